"""The projection of fleets: which days, how its errors come about, and that no history breaks it."""

from __future__ import annotations

from datetime import date, timedelta
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from statsmodels.tsa.forecasting.theta import ThetaModel

from sojourn.projection import DAYS, SCHEMA, project
from tests.laws.effort import EFFORT, examples

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sojourn.theta import Numbers

FIRST = date(2024, 1, 1)
CLOSE = 1e-4
"""As near as statsmodels, which stops its search early, comes to the best smoothing."""

QUANTILE = 1.2815515655446004
"""Of the normal distribution: four fifths lie within so many deviations."""


def fleet(**classes: Iterable[float]) -> pa.Table:
    """A fleet table: class (`_3` stands for `3+`) -> its devices from FIRST on."""
    rows = [
        {"day": FIRST + timedelta(days=at), "fleet_size": f"{name[1:]}+", "devices": int(devices), "users": 1}
        for name, counts in classes.items()
        for at, devices in enumerate(counts)
    ]
    columns = [("day", pa.date32()), ("fleet_size", pa.string()), ("devices", pa.int64()), ("users", pa.int64())]
    return pa.Table.from_pylist(rows, schema=pa.schema(columns))


EMPTY = fleet()


def noisy(days: int, level: float = 100, seed: int = 1) -> Numbers:
    """Numbers with a weekly rhythm, a slope and chance in them."""
    at = np.arange(days)
    mean = (level + 0.1 * at) * (1 + 0.2 * np.sin(2 * np.pi * at / 7))
    return np.random.default_rng(seed).poisson(mean).astype(np.float64)


def daily(counts: Iterable[float]) -> list[dict[str, Any]]:
    """The projection of a class's daily counts; another day follows them, on which observation ended."""
    rows: list[dict[str, Any]] = project(fleet(_1=[*counts, 0]), EMPTY).to_pylist()
    return rows


def column(rows: list[dict[str, Any]], name: str) -> Numbers:
    """One column of a projection."""
    return np.array([row[name] for row in rows])


def test_each_class_has_the_days_after_the_last() -> None:
    """Four weeks for each series and class, in the order of series, of the classes' numbers, and of days."""
    table = fleet(_10=noisy(70), _2=noisy(70), _1000=noisy(70))
    found = project(table, table)
    assert found.schema == SCHEMA
    assert [(row["series"], row["fleet_size"], row["day"]) for row in found.to_pylist()] == [
        (series, fleet_size, FIRST + timedelta(days=69 + ahead))
        for series in ("daily", "rolling_28d")
        for fleet_size in ("2+", "10+", "1000+")
        for ahead in range(1, DAYS + 1)
    ]


def test_nothing_gives_nothing() -> None:
    """Empty tables have an empty projection, of the same columns."""
    assert project(EMPTY, EMPTY).equals(SCHEMA.empty_table())


def test_five_weeks_are_enough() -> None:
    """Of days that count: not the last one of `daily`, not those of `rolling_28d` before its window is whole."""
    for used, rows in ((34, 0), (35, DAYS)):
        assert project(fleet(_1=noisy(used + 1)), EMPTY).num_rows == rows
        assert project(EMPTY, fleet(_1=noisy(27 + used))).num_rows == rows
        assert project(EMPTY, fleet(_1=noisy(6 + used)), window_days=7).num_rows == rows


def test_a_class_begins_with_its_first_device() -> None:
    """Days before it say nothing about it."""
    assert daily([0] * 300 + list(noisy(34))) == []
    late, born = daily([0] * 301 + list(noisy(60))), daily(noisy(60))
    assert [{**row, "day": None} for row in late] == [{**row, "day": None} for row in born]


def test_days_that_are_not_whole_change_nothing() -> None:
    """The last day of `daily`, on which observation ended, and the first 27 of `rolling_28d`."""
    counts = noisy(90)
    assert project(fleet(_1=[*counts, 0]), EMPTY) == project(fleet(_1=[*counts, 500]), EMPTY)
    few, many = ([level] * 27 + list(counts) for level in (1, 900))
    assert project(EMPTY, fleet(_1=few)) == project(EMPTY, fleet(_1=many))
    assert project(EMPTY, fleet(_1=few)) != project(EMPTY, fleet(_1=[*few[:-1], 500]))


def test_two_years_are_looked_at() -> None:
    """What lies further back changes nothing."""
    counts: list[float] = noisy(730).tolist()
    calm, wild = (daily([level] * 200 + counts) for level in (100, 9000))
    assert calm == wild
    assert calm != daily([100] * 200 + [500] + counts[1:])


@pytest.mark.parametrize(("days", "held_out"), [(35, 7), (41, 7), (42, 14), (55, 21), (56, 28), (200, 28)])
def test_errors_are_those_of_weeks_held_out(days: int, held_out: int) -> None:
    """As many weeks as leave four to fit, four at most; the model knows only what came before them."""
    counts = noisy(days)
    known, truth = counts[:-held_out], counts[-held_out:]
    model = ThetaModel(known, period=7).fit().forecast(held_out).to_numpy()
    repeated = [known[-7 + at % 7] for at in range(held_out)]
    rows = daily(counts)
    assert column(rows, "error") == pytest.approx([np.abs(model - truth).mean()] * DAYS, rel=CLOSE)
    assert set(column(rows, "error_as_last_week")) == {np.abs(np.array(repeated) - truth).mean()}


@pytest.mark.parametrize("counts", [noisy(365), np.append(noisy(200, level=5), [0, 0, 9])])
def test_devices_are_the_models_and_intervals_those_of_smoothing(counts: Numbers) -> None:
    """The first day after the history is the unfinished one, which is not told; both kinds of season."""
    model = ThetaModel(counts, period=7)
    fitted = model.fit()
    rows = daily(counts)
    assert column(rows, "devices") == pytest.approx(fitted.forecast(DAYS + 1).to_numpy()[1:], rel=CLOSE)

    season = fitted.forecast_components(7 * 60)["seasonal"].to_numpy()
    of_history = np.array([season[(at - len(counts)) % 7] for at in range(len(counts))])
    plain = counts / of_history if model.method == "mul" else counts - of_history
    alpha, level, errors = fitted.params["alpha"], plain[0], []
    for devices in plain:
        errors.append(devices - level)
        level += alpha * errors[-1]
    margins = QUANTILE * np.sqrt(np.mean(np.square(errors)) * (1 + np.arange(1, DAYS + 1) * alpha**2))
    margins *= season[1 : DAYS + 1] if model.method == "mul" else 1
    assert column(rows, "upper") == pytest.approx(column(rows, "devices") + margins, rel=CLOSE)
    assert column(rows, "lower") == pytest.approx(np.maximum(0, column(rows, "devices") - margins), rel=CLOSE)


def test_both_kinds_of_season_are_tried_above() -> None:
    """A class that was ever empty has an additive season, another one a factor."""
    assert ThetaModel(noisy(365), period=7).method == "mul"
    assert ThetaModel(np.append(noisy(200, level=5), [0, 0, 9]), period=7).method == "add"


def test_four_of_five_days_lie_within() -> None:
    """What comes lies between the bounds about as often as it should."""
    within = []
    for seed in range(12):
        counts = noisy(200 + 1 + DAYS, seed=seed)
        rows, truth = daily(counts[:200]), counts[201:]
        within += list((column(rows, "lower") <= truth) & (truth <= column(rows, "upper")))
    assert 0.75 < np.mean(within) < 0.9


def test_a_week_that_repeats_goes_on() -> None:
    """Without a doubt, as there has never been a difference; each day of the week keeps its count."""
    rows = daily([5, 6, 7, 8, 9, 1, 0] * 10)  # the unfinished day would be a 5
    assert list(column(rows, "devices")) == [6, 7, 8, 9, 1, 0, 5] * 4
    assert list(column(rows, "lower")) == list(column(rows, "upper")) == list(column(rows, "devices"))
    assert {(row["error"], row["error_as_last_week"]) for row in rows} == {(0, 0)}


HISTORIES = {
    "constant": [7] * 100,
    "none any more": [0] * 10 + list(noisy(100)) + [0] * 800,
    "died last month": list(noisy(200)) + [0] * 30,
    "a single device for a day": [1] + [0] * 99,
    "one day is different": [3] * 60 + [4] + [3] * 60,
    "the first day is different": [5] + [3] * 99,
    "the last day is different": [3] * 99 + [5],
    "a straight line": range(1, 120),
    "down to nothing": range(120, -1, -1),
    "a repeating week, then a step": [9, 9, 9, 9, 9, 1, 0] * 12 + [9],
    "a growing week": [day * week for week in range(1, 20) for day in (9, 9, 9, 9, 9, 1, 2)],
    "tiny": noisy(100, level=0.01) + np.eye(1, 100)[0],
    "huge": noisy(100) * 1e9,
    "explosive": np.exp(np.arange(100) / 6),
    "rhythms of two days": [10, 20] * 50,
}


@pytest.mark.parametrize("counts", HISTORIES.values(), ids=HISTORIES)
def test_no_history_breaks_it(counts: Iterable[float]) -> None:
    """Numbers within their bounds, none below 0, and no warning."""
    assert_sound(daily(counts))


@given(counts=st.lists(st.integers(0, 3) | st.integers(0, 10**6), min_size=35, max_size=60))
@settings(examples(25), deadline=None, derandomize=EFFORT == 1)
def test_whatever_was_counted(counts: list[int]) -> None:
    """The same for any counts."""
    assert_sound(daily([1, *counts]))


def assert_sound(rows: list[dict[str, Any]]) -> None:
    """Four weeks of finite numbers in their order."""
    assert len(rows) == DAYS
    assert all(0 <= row["lower"] <= row["devices"] <= row["upper"] < np.inf for row in rows)
    assert all(0 <= row[name] < np.inf for row in rows for name in ("error", "error_as_last_week"))


def test_the_same_tables_give_the_same_bits() -> None:
    """Also when their rows come in another order, or in pieces."""
    table = fleet(_1=noisy(120), _3=noisy(120, seed=2))
    shuffled = table.take(np.random.default_rng(1).permutation(table.num_rows))
    pieces = pa.concat_tables([shuffled[:50], shuffled[50:]])
    assert project(table, table).equals(project(table, table))
    assert project(table, table).equals(project(pieces, shuffled))
