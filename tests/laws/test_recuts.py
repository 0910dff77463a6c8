"""Spans that were cut in another way against a slow comparison of all pairs."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sojourn.comparing import recuts
from sojourn.engines import duckdb as engine
from tests.laws.effort import examples

_BEGIN = datetime(2024, 5, 1)  # noqa: DTZ001 - tables hold UTC without saying so


@st.composite
def spans(draw):
    """Intervals of two devices, which may overlap, touch, be equal or have no length: device, server, from, to."""
    found = []
    for _ in range(draw(st.integers(0, 7))):
        low = draw(st.integers(0, 8))
        found.append((draw(st.integers(1, 2)), draw(st.integers(1, 2)), low, low + draw(st.integers(0, 3))))
    return found


@pytest.fixture(scope="module")
def connection():
    """A DuckDB with the two sides, as snapshots are attached."""
    with engine.connect() as opened:
        for side in ("before", "after"):
            opened.execute(f"attach ':memory:' as {side}")
        yield opened


def fill(connection, side, rows):
    """Make the table of presence, and that of sessions by key (named after device and server, the first of each)."""
    hour = timedelta(hours=1)
    at = [[device, 7, server, _BEGIN + low * hour, _BEGIN + high * hour] for device, server, low, high in rows]
    columns = "device_id bigint, user_id bigint, server_id bigint, started_at timestamp, ended_at timestamp"
    connection.execute(f"create or replace table {side}.presence ({columns})")
    if at:
        connection.executemany(f"insert into {side}.presence values ($1, $2, $3, $4, $5)", at)
    connection.execute(
        f"create or replace table {side}.sessions as select distinct on (session_id) device_id || '-' || server_id "
        f"as session_id, device_id::varchar as actor, started_at, ended_at from {side}.presence order by all"
    )


def touch(one, other):
    """Whether two intervals of a device share an instant."""
    return one[0] == other[0] and one[2] <= other[3] and other[2] <= one[3]


@examples(150)
@given(before=spans(), after=spans())
def test_intervals_that_touch_are_cut_in_another_way(connection, before, after):
    """Of the intervals that the other side has not, those that touch such a one were cut in another way."""
    fill(connection, "before", before)
    fill(connection, "after", after)
    gone, come = ([row for row in some if row not in other] for some, other in ((before, after), (after, before)))
    pairs = ((gone, come), (come, gone))
    recut = [sum(any(touch(row, other) for other in theirs) for row in ours) for ours, theirs in pairs]
    assert recuts.moved(connection, recuts.PRESENCE) == {
        "same": len(before) - len(gone),
        "new": len(come) - recut[1],
        "gone": len(gone) - recut[0],
        "recut": {"before": recut[0], "after": recut[1]},
    }


@examples(60)
@given(before=spans(), after=spans())
def test_sessions_with_names_are_compared_by_these(connection, before, after):
    """A session by key is the one of its name, whenever it is: the same, cut in another way, new or gone."""
    fill(connection, "before", before)
    fill(connection, "after", after)
    rows = "select session_id, started_at, ended_at from {}.sessions"
    left, right = (
        {name: bounds for name, *bounds in connection.execute(rows.format(side)).fetchall()}
        for side in ("before", "after")
    )
    both = left.keys() & right.keys()
    same = sum(left[name] == right[name] for name in both)
    assert recuts.moved(connection, recuts.sessions({"key"})) == {
        "same": same,
        "new": len(right.keys() - left.keys()),
        "gone": len(left.keys() - right.keys()),
        "recut": {"before": len(both) - same, "after": len(both) - same},
    }
