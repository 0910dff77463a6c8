"""Comparing groups by ranks: whether any differ (Kruskal and Wallis 1952), and which do (Dunn 1964).

Groups come as how many values they have and the sum of their ranks among all values, equal values sharing the mean of
theirs; so a million values are a few numbers.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

from sojourn.statistics.distributions import chi_squared_above, normal_beyond


@dataclass(frozen=True)
class Group:
    """*n* values, and twice the sum of their ranks, which is a whole number."""

    n: int
    twice_ranks: int

    @property
    def mean_rank(self) -> Fraction:
        """The mean of the ranks."""
        return Fraction(self.twice_ranks, 2 * self.n)


@dataclass(frozen=True)
class Result:
    """A test's statistic, the size of the effect between 0 and 1 (with a sign for a pair), and the p-value."""

    statistic: float
    effect: float
    p: float


def kruskal_wallis(groups: Sequence[Group], tied: int) -> Result | None:
    """Whether the *groups* differ; the effect is epsilon squared. None where all values are equal, or one group is all.

    *tied* is what equal values take from the variance: t^3 - t of each t that are equal. The p-value is that of
    chi-squared, for which groups should have five values.
    """
    n = sum(group.n for group in groups)
    if len(groups) < 2 or tied >= n**3 - n:
        return None
    spread = sum((Fraction(group.twice_ranks**2, 4 * group.n) for group in groups), Fraction(0))
    statistic = (spread * 12 / (n * (n + 1)) - 3 * (n + 1)) / (1 - Fraction(tied, n**3 - n))
    p = chi_squared_above(float(statistic), len(groups) - 1)
    return Result(float(statistic), float(statistic / (n - 1)), p)


def dunn(one: Group, other: Group, n: int, tied: int) -> Result:
    """Whether two groups among *n* values differ, by the ranks among all of them.

    The effect is the distance of their mean ranks, as a share of the greatest that it can be: of two groups alone the
    rank-biserial correlation, or Cliff's delta.
    """
    variance = (Fraction(n * (n + 1), 12) - Fraction(tied, 12 * (n - 1))) * (Fraction(1, one.n) + Fraction(1, other.n))
    distance = one.mean_rank - other.mean_rank
    z = float(distance) / math.sqrt(variance)
    return Result(z, float(distance / (n - Fraction(one.n + other.n, 2))), normal_beyond(z))
