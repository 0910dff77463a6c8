"""What fleets will count: each class of the fleet tables four weeks on, by the Theta model, with its error so far.

A week here is seven days counted back from the last day that is used, not a calendar week.
"""

import itertools
from datetime import date, timedelta
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from sojourn.theta import Numbers, forecast

SCHEMA = pa.schema(
    [
        ("series", pa.string()),
        ("day", pa.date32()),
        ("fleet_size", pa.string()),
        ("devices", pa.float64()),
        ("lower", pa.float64()),
        ("upper", pa.float64()),
        ("error", pa.float64()),
        ("error_as_last_week", pa.float64()),
    ]
)
"""A projection: one row per series (`daily`, `rolling_28d`), class and day. All numbers are devices."""

WEEK = 7
DAYS = 28
"""The days that are projected."""

HISTORY = 730
"""The days at most that are looked at: two years, so that ten cost no more."""

FITTED_WEEKS = 4
"""The weeks at least that a model is fitted to."""

HELD_OUT_WEEKS = 4
"""The weeks at most that are held out to measure the error."""

COVERAGE = 0.8
"""How often the truth should lie between `lower` and `upper`."""


def project(daily: pa.Table, rolling: pa.Table, window_days: int = 28) -> pa.Table:
    """The 28 days after the last one, for each class, as `SCHEMA` says; rows by series, class and day.

    *daily* and *rolling* have the columns `day`, `fleet_size` and `devices`, and a row for every class and day from
    the table's first to its last; *rolling* counts over *window_days*.

    A class's history begins with its first day that has a device. `error` is the mean distance between the truth and
    a projection made before it: of the last four weeks of the history or, where it has fewer than eight, of as many
    as leave four to fit. `error_as_last_week` is the same for repeating the last week before them. A class with fewer
    than five weeks has no rows.
    """
    # Observation ends somewhere in the last day, which would look like a fall: `daily` is fitted without it. It is
    # over all the same, so that the days that are told begin after it. A window of four weeks hardly feels it, but is
    # itself not whole before its table is as old as it is long, which would look like growth.
    rows = _rows("daily", daily, unfinished=1) + _rows("rolling_28d", rolling, beginning=window_days - 1)
    return pa.Table.from_pylist(rows, schema=SCHEMA)


def _first_number(label: str) -> int:
    """The number that a class's label begins with: `10-99`, `1000+` and `5` stand in the order of theirs."""
    return int("".join(itertools.takewhile(str.isdigit, label)))


def _rows(series: str, table: pa.Table, beginning: int = 0, unfinished: int = 0) -> list[dict[str, Any]]:
    """The projection of one table, leaving out so many days at its beginning and at its end."""
    if not table.num_rows:
        return []
    last: date = pc.max(table["day"]).as_py()
    if (date.max - last).days < DAYS:  # a broken clock: the calendar ends
        return []
    days = [last + timedelta(days=ahead) for ahead in range(1, DAYS + 1)]
    rows = []
    for fleet_size in sorted(pc.unique(table["fleet_size"]).to_pylist(), key=_first_number):
        counts = _counts(table, fleet_size)
        history = np.trim_zeros(counts[beginning : len(counts) - unfinished], "f")[-HISTORY:]
        if len(history) < (FITTED_WEEKS + 1) * WEEK:
            continue
        names = {"series": series, "fleet_size": fleet_size, **_errors(history)}
        devices, margins = (numbers[unfinished:] for numbers in _forecast(history, unfinished + DAYS))
        bounds = np.maximum(0, [devices, devices - margins, devices + margins]).tolist()
        rows += [
            {**names, "day": day, "devices": middle, "lower": lower, "upper": upper}
            for day, middle, lower, upper in zip(days, *bounds, strict=True)
        ]
    return rows


def _counts(table: pa.Table, fleet_size: str) -> Numbers:
    """One class's devices in the order of days."""
    of_class = table.filter(pc.equal(table["fleet_size"], fleet_size)).sort_by("day")
    counts: Numbers = of_class["devices"].to_numpy().astype(np.float64)
    return counts


def _errors(history: Numbers) -> dict[str, float]:
    """How far a projection of the last weeks from those before them is from the truth, on average, in devices."""
    days = min(HELD_OUT_WEEKS, len(history) // WEEK - FITTED_WEEKS) * WEEK
    known, truth = history[:-days], history[-days:]
    devices, _ = _forecast(known, days)
    return {
        "error": float(np.abs(np.maximum(0, devices) - truth).mean()),
        "error_as_last_week": float(np.abs(_as_last_week(known, days) - truth).mean()),
    }


def _as_last_week(history: Numbers, days: int) -> Numbers:
    """The last week, again and again."""
    return np.resize(history[-WEEK:], days)


def _forecast(history: Numbers, days: int) -> tuple[Numbers, Numbers]:
    """The days after *history*, and how far to either side of each its interval reaches."""
    if np.array_equal(history[WEEK:], history[:-WEEK]):  # nothing ever differs from a week before: no model has work
        return _as_last_week(history, days), np.zeros(days)
    return forecast(history, days, WEEK, COVERAGE)
