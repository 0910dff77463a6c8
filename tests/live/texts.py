"""What clients may send, for Hypothesis."""

from __future__ import annotations

import json

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

from tests.laws.effort import EFFORT, examples
from tests.live.stream import END, START, event


def tries(count: int) -> settings:
    """Settings for *count* examples in CI, the same every time."""
    slow = [HealthCheck.too_slow, HealthCheck.data_too_large]
    return settings(examples(count), deadline=None, derandomize=EFFORT == 1, database=None, suppress_health_check=slow)


DIGITS = st.one_of(
    st.integers(1569972080, 1569972190).map(str),
    st.decimals("1569972080", "1569972190", places=6).map(str),
    st.decimals("-62135596800", "253402300799", places=3).map(lambda number: f"{number:f}"),
    st.integers(0, 9).map(lambda digit: f"1.56997208{digit}E9"),
)
"""Timestamps as a client may write them."""

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=9),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
EVENTS = st.lists(
    st.builds(
        lambda digits, name, more: event(digits, name, f',"more":{json.dumps(more)}'),
        DIGITS,
        st.sampled_from("ab"),
        VALUES,
    ),
    max_size=12,
)
WHOLE = st.builds(lambda events, is_ended: [START, *events, *[END] * is_ended], EVENTS, st.booleans())
