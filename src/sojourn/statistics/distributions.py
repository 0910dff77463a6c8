"""Distributions that tests end in. SciPy takes a quarter of a second to import: only what needs it pays."""

import math


def chi_squared_above(number: float, freedom: int) -> float:
    """How likely chi-squared with so many whole degrees of *freedom* is above *number*: a sum of that many halves."""
    half = number / 2
    if freedom % 2:
        chance, term, at = math.erfc(math.sqrt(half)), 2 * math.sqrt(half / math.pi) * math.exp(-half), 1.5
    else:
        chance, term, at = 0.0, math.exp(-half), 1.0
    for _ in range(freedom // 2):
        chance += term
        term *= half / at
        at += 1
    return chance


def normal_beyond(number: float) -> float:
    """How likely the normal distribution is so far from 0, to either side."""
    return math.erfc(abs(number) / math.sqrt(2))


def student_beyond(number: float, freedom: float) -> float:
    """How likely Student's distribution is so far from 0, to either side."""
    from scipy import special

    return 2 * float(special.stdtr(freedom, -abs(number)))


def student_point(share: float, freedom: float) -> float:
    """The number that Student's distribution stays below with the chance *share*."""
    from scipy import special

    return float(special.stdtrit(freedom, share))
