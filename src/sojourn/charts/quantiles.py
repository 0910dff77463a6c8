"""Quantiles without sorting everything: counts by bars tell which bars hold them, and only those are looked into."""

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from itertools import accumulate
from math import ceil, floor
from typing import TypeAlias

Counts: TypeAlias = Sequence[tuple[float, int]]
"""Values in their order, each with how often it is there; or bars of values."""


def quantile(counts: Counts, share: float) -> float:
    """The value below which the *share* lies, between the two around it in proportion, as `percentile_cont` has it."""
    low, high, part = _around(counts, share)
    return low + (high - low) * part


def holding(bars: Counts, *shares: float) -> set[float]:
    """The bars that hold the quantiles of these *shares*."""
    return {bar for share in shares for bar in _around(bars, share)[:2]}


def opened(bars: Counts, inner: Mapping[float, Counts]) -> Counts:
    """*bars*, with their values in place of those that are known from within."""
    return [pair for bar, found in bars for pair in inner.get(bar, [(bar, found)])]


def _around(counts: Counts, share: float) -> tuple[float, float, float]:
    reached = list(accumulate(found for _, found in counts))
    place = share * (reached[-1] - 1)
    low, high = (counts[bisect_right(reached, at)][0] for at in (floor(place), ceil(place)))
    return low, high, place - floor(place)
