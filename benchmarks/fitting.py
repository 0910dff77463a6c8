"""Curves through measured times: how time grows with size, and where two curves meet."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import exp, log


@dataclass(frozen=True)
class Curve:
    """The time *factor* x size ** *exponent*, in seconds."""

    factor: float
    exponent: float

    def at(self, size: float) -> float:
        """Seconds at this size."""
        return float(self.factor * size**self.exponent)


def fit(sizes: Sequence[float], seconds: Sequence[float]) -> Curve | None:
    """The straight line by least squares through the logarithms; None where there are not two sizes."""
    if len(set(sizes)) < 2:
        return None
    xs, ys = [log(size) for size in sizes], [log(second) for second in seconds]
    mean_x, mean_y = sum(xs) / len(xs), sum(ys) / len(ys)
    spread = sum((x - mean_x) ** 2 for x in xs)
    exponent = sum((x - mean_x) * (y - mean_y) for x, y in zip(xs, ys, strict=True)) / spread
    return Curve(exp(mean_y - exponent * mean_x), exponent)


def crossover(low: Curve, high: Curve) -> float | None:
    """The size from which *high* is at least as fast as *low*; None if it never is. 0: it always is."""
    if high.exponent == low.exponent:
        return 0.0 if high.factor <= low.factor else None
    if high.exponent > low.exponent:  # it is faster below, if anywhere, and falls behind
        return None
    logarithm = log(high.factor / low.factor) / (low.exponent - high.exponent)
    return exp(min(logarithm, 700.0))  # what no float holds is out of reach anyway


@dataclass(frozen=True)
class Line:
    """The time *start* + *each* x size, in seconds: what a run costs before its first event, and per event."""

    start: float
    each: float


def straight(sizes: Sequence[float], seconds: Sequence[float]) -> Line | None:
    """The line through the smallest and the largest size, between which all start-up is the same."""
    if len(set(sizes)) < 2:
        return None
    (small, first), *_, (large, last) = sorted(zip(sizes, seconds, strict=True))
    each = (last - first) / (large - small)
    return Line(first - each * small, each)
