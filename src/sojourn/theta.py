"""The Theta model: a season, half the trend, and exponential smoothing; with the width of its intervals.

As statsmodels has it, which would take longer to import, and to fit, than the tables take that it is for
(docs/decisions).
"""

from statistics import NormalDist
from typing import TypeAlias

import numpy as np

Numbers: TypeAlias = np.ndarray[tuple[int], np.dtype[np.float64]]
"""A history without a gap, or what follows one."""

_SEASONAL = 2.705543454095404
"""Of chi-squared with one degree of freedom: a tenth lies above. What is above it has a season."""

_LEAST, _MOST = 1e-4, 1 - 1e-4
"""The bounds of `alpha`, how much of each error the smoothed level takes on."""

_GOLDEN = (5**0.5 - 1) / 2


def forecast(history: Numbers, steps: int, period: int, coverage: float) -> tuple[Numbers, Numbers]:
    """The *steps* after *history* (two periods at least), and how far to either side of each its interval reaches.

    *period*: the steps after which a season repeats. *coverage*: how often the truth should lie in an interval. The
    season is a factor where the history is above 0 throughout, else a summand.
    """
    count, is_factor = len(history), bool(history.min() > 0)
    season = _season(history, period, is_factor=is_factor)
    repeated = np.resize(season, count + steps)
    level = history / repeated[:count] if is_factor else history - repeated[:count]
    changes = np.diff(level).tolist()
    alpha = _alpha(changes)
    squares, error = _smoothed(changes, alpha)
    ahead = np.arange(steps)
    trend = _slope(level) / 2 * (ahead + (1 - (1 - alpha) ** count) / alpha)
    plain = trend + level[-1] - (1 - alpha) * error
    margins = np.sqrt(squares / count * (1 + ahead * alpha**2)) * NormalDist().inv_cdf((1 + coverage) / 2)
    if is_factor:
        return plain * repeated[count:], margins * repeated[count:]
    return plain + repeated[count:], margins


def _season(history: Numbers, period: int, *, is_factor: bool) -> Numbers:
    """One *period* from the first step on: how far each of its steps is from the mean over a period around it."""
    if not _is_seasonal(history, period):
        return np.full(period, float(is_factor))
    around = np.convolve(history, np.full(period, 1 / period), "valid")
    first = (period - 1) // 2
    middle = history[first : first + len(around)]
    apart = middle / around if is_factor else middle - around
    at = np.arange(first, first + len(around)) % period
    means = np.bincount(at, apart) / np.bincount(at)
    season: Numbers = means / means.mean() if is_factor else means - means.mean()
    return season


def _is_seasonal(history: Numbers, period: int) -> bool:
    """Whether the history goes with itself a *period* before more than chance would have it."""
    around = history - history.mean()
    related = [float(around[lag:] @ around[: len(around) - lag]) for lag in range(period + 1)]
    return len(history) * related[-1] ** 2 > _SEASONAL * sum(number**2 for number in related[:-1])


def _slope(level: Numbers) -> float:
    """The slope of the line of least squares, by step."""
    at = np.arange(len(level)) - (len(level) - 1) / 2
    return float(at @ (level - level.mean()) / (at @ at))


def _alpha(changes: list[float]) -> float:
    """The `alpha` whose errors have the least squares: the best of a grid, and by the golden section the best near it.

    The grid is there since errors can have more than one valley.
    """
    grid = np.linspace(_LEAST, _MOST, 25).tolist()
    best = min(range(len(grid)), key=lambda at: _smoothed(changes, grid[at])[0])
    low, high = grid[max(best - 1, 0)], grid[min(best + 1, len(grid) - 1)]
    while high - low > 1e-7:  # squares that are as good as equal lie closer together
        left, right = high - _GOLDEN * (high - low), low + _GOLDEN * (high - low)
        if _smoothed(changes, left)[0] <= _smoothed(changes, right)[0]:
            high = right
        else:
            low = left
    return float((low + high) / 2)


def _smoothed(changes: list[float], alpha: float) -> tuple[float, float]:
    """The errors of smoothing by *alpha* from the first number on, as the sum of their squares, and the last one."""
    squares = error = 0.0
    for change in changes:
        error = (1 - alpha) * error + change
        squares += error * error
    return squares, error
