"""Comparing groups: differences with intervals and p-values. Plain numbers in, plain numbers out.

All intervals have 95 %, all tests two sides. What cannot be estimated is None. Where the methods come from, and why
these: docs/decisions, Experiments.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np

from sojourn.statistics.distributions import chi_squared_above, normal_beyond, student_beyond, student_point

COVERAGE = 0.95
POWER = 0.8
"""How often a difference of the size that could be seen would be seen."""

RESAMPLES = 2000
SEED = 20180102
"""Of every bootstrap: the same users give the same interval."""

_CELLS = 4_000_000
_Z = NormalDist().inv_cdf((1 + COVERAGE) / 2)
_Z_POWER = NormalDist().inv_cdf(POWER)


@dataclass(frozen=True)
class Comparison:
    """A difference from the control: its interval, its p-value, and the smallest one that these samples would show."""

    low: float | None = None
    high: float | None = None
    p: float | None = None
    least: float | None = None


@dataclass(frozen=True)
class Sample:
    """Whole numbers of *n* users by their sum and the sum of their squares."""

    n: int
    total: int
    squares: int

    @property
    def mean(self) -> float | None:
        """The mean; None of nobody."""
        return self.total / self.n if self.n else None

    @property
    def error(self) -> float:
        """The variance of the mean, as estimated from two users at least; exact until the last division."""
        return (self.n * self.squares - self.total**2) / (self.n * self.n * (self.n - 1))


def proportions(hits: int, n: int, control_hits: int, control_n: int) -> Comparison:
    """The difference of two proportions by the score method of Miettinen and Nurminen (1985).

    The interval holds the differences that its test does not refuse, so the p-value (for a difference of 0) is below
    0.05 exactly where the interval leaves out 0.
    """
    if not n or not control_n:
        return Comparison()
    counts = (hits, n, control_hits, control_n)
    found = hits / n - control_hits / control_n
    low, high = (_bound(found, end, counts) for end in (-1.0, 1.0))
    # two more users on either side, one of whom reaches the goal: rates of 0 and 1 have a spread, too
    rate = (hits + control_hits + 2) / (n + control_n + 4)
    least = (_Z + _Z_POWER) * math.sqrt(rate * (1 - rate) * (1 / n + 1 / control_n))
    return Comparison(low, high, normal_beyond(_score(0.0, counts)), least)


def _bound(found: float, end: float, counts: tuple[int, int, int, int]) -> float:
    """Between the difference that was *found* and the *end* of all: the furthest that the test does not refuse."""
    inner, outer = found, end
    for _ in range(80):
        middle = (inner + outer) / 2
        if _score(middle, counts) <= _Z:
            inner = middle
        else:
            outer = middle
    return inner if inner != outer else end


def _score(difference: float, counts: tuple[int, int, int, int]) -> float:
    """How many standard errors what was found is away from *difference*."""
    hits, n, control_hits, control_n = counts
    both = n + control_n
    control_rate = _likely(difference, counts)
    rate = min(1.0, max(0.0, control_rate + difference))
    spread = rate * (1 - rate) / n + control_rate * (1 - control_rate) / control_n
    away = abs(hits / n - control_hits / control_n - difference)
    if spread <= 0:
        return 0.0 if away == 0 else math.inf
    return away / math.sqrt(spread * both / (both - 1))


def _likely(difference: float, counts: tuple[int, int, int, int]) -> float:
    """The control's most likely rate where the rates differ by *difference*: the root of a cubic between 0 and 1."""
    hits, n, control_hits, control_n = counts
    both, all_hits = n + control_n, hits + control_hits
    square = ((n + 2 * control_n) * difference - both - all_hits) / both
    linear = ((control_n * difference - both - 2 * control_hits) * difference + all_hits) / both
    constant = control_hits * difference * (1 - difference) / both
    half = (square / 3) ** 3 - square * linear / 6 + constant / 2
    size = math.copysign(math.sqrt(max(0.0, (square / 3) ** 2 - linear / 3)), half)
    turn = math.acos(min(1.0, max(-1.0, half / size**3))) if size else 0.0
    root = 2 * size * math.cos((math.pi + turn) / 3) - square / 3
    return min(1.0, max(0.0, root))


def means(sample: Sample, control: Sample) -> Comparison:
    """The difference of two means by Welch (1947): each sample has its own variance."""
    if min(sample.n, control.n) < 2:
        return Comparison()
    errors = (sample.error, control.error)
    error = math.sqrt(sum(errors))
    found = sample.total / sample.n - control.total / control.n
    if error == 0:  # nobody differs from their like: the values say all there is
        return Comparison()
    freedom = error**4 / (errors[0] ** 2 / (sample.n - 1) + errors[1] ** 2 / (control.n - 1))
    reach = student_point((1 + COVERAGE) / 2, freedom)
    p = student_beyond(found / error, freedom)
    least = (reach + student_point(POWER, freedom)) * error
    return Comparison(found - reach * error, found + reach * error, p, least)


def median(counts: Mapping[int, int]) -> float | None:
    """The median of values by how many users have each; None of nobody."""
    if not counts:
        return None
    values = np.array(sorted(counts))
    return float(_medians(values, np.array([[counts[int(value)] for value in values]]))[0])


def medians(counts: Mapping[int, int], control: Mapping[int, int]) -> Comparison:
    """The difference of two medians by the percentile bootstrap (Efron 1979), without a test."""
    if min(sum(counts.values()), sum(control.values())) < 2:
        return Comparison()
    chance = np.random.Generator(np.random.PCG64(SEED))
    found = _resampled(counts, chance) - _resampled(control, chance)
    low, high = np.quantile(found, [(1 - COVERAGE) / 2, (1 + COVERAGE) / 2]).tolist()
    return Comparison(low, high)


def _resampled(
    counts: Mapping[int, int], chance: np.random.Generator
) -> "np.ndarray[tuple[int], np.dtype[np.float64]]":
    """The medians of so many samples drawn anew, with as many users each."""
    values = np.array(sorted(counts))
    users = np.array([counts[int(value)] for value in values])
    at_once = max(1, _CELLS // len(values))
    starts = range(0, RESAMPLES, at_once)
    drawn = (chance.multinomial(users.sum(), users / users.sum(), min(at_once, RESAMPLES - start)) for start in starts)
    return np.concatenate([_medians(values, rows) for rows in drawn])


def _medians(
    values: "np.ndarray[tuple[int], np.dtype[np.int64]]", users: "np.ndarray[tuple[int, int], np.dtype[np.int64]]"
) -> "np.ndarray[tuple[int], np.dtype[np.float64]]":
    """Of each row of *users* by value the median."""
    so_far = users.cumsum(axis=1)
    last = so_far[:, -1:]
    below, above = (so_far > (last - 1) // 2).argmax(axis=1), (so_far > last // 2).argmax(axis=1)
    middle: np.ndarray[tuple[int], np.dtype[np.float64]] = (values[below] + values[above]) / 2
    return middle


def rounded(number: float | None) -> float | None:
    """Twelve digits that count: what lies beyond differs from one machine's library of functions to another's."""
    return None if number is None else float(f"{number:.12g}")


def holm(ps: Sequence[float]) -> list[float]:
    """The p-values of one family of tests, adjusted by Holm (1979), in the order given."""
    adjusted, most = [0.0] * len(ps), 0.0
    for rank, at in enumerate(sorted(range(len(ps)), key=ps.__getitem__)):
        most = max(most, min(1.0, (len(ps) - rank) * ps[at]))
        adjusted[at] = most
    return adjusted


def sample_ratio(users: Sequence[int], shares: Sequence[float]) -> float | None:
    """The p-value of Pearson's chi-squared test that *users* are split by *shares*; None of nobody."""
    whole = sum(users) / sum(shares)
    if not whole:
        return None
    distance = sum((count - whole * share) ** 2 / (whole * share) for count, share in zip(users, shares, strict=True))
    return chi_squared_above(distance, len(users) - 1)
