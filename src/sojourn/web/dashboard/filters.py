"""Filters of a view: what a person chose, as conditions on the tables that have such a column."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from urllib.parse import urlencode

import pyarrow as pa

from sojourn.web.errors import refused
from sojourn.web.filters import condition

DIRECT = "(direct)"
"""What stands for a session without a referrer, as in the tables."""

_NONE = "(none)"

_TIMES = {
    "sessions": "started_at",
    "hourly_activity": "time_bucket",
    "user_activity": "time_stamp",
    "fleet_daily": "day",
    "fleet_rolling_28d": "day",
    "fleet_projection": "day",
}
_COLUMNS = {
    "referrer": {"sessions": "referrer"},
    "landing": {"sessions": "landing_page"},
    "site": {"hourly_activity": "url_level1", "user_activity": "url_level1"},
    "activity": {"hourly_activity": "activity", "user_activity": "activity"},
    "fleet": {"fleet_daily": "fleet_size", "fleet_rolling_28d": "fleet_size", "fleet_projection": "fleet_size"},
}

LABELS = {
    "referrer": "Referrer",
    "landing": "Landing page",
    "site": "Site",
    "activity": "Activity",
    "fleet": "Fleet size",
}
"""What filters are called; beside them every view over time takes `from` and `to`."""


@dataclass(frozen=True)
class Chosen:
    """What was chosen: the days *first* to *last*, both included, and a value for some filters."""

    first: date | None = None
    last: date | None = None
    values: tuple[tuple[str, str], ...] = ()

    @property
    def words(self) -> dict[str, str]:
        """The same as in an address."""
        days = {"from": self.first, "to": self.last}
        return {name: day.isoformat() for name, day in days.items() if day is not None} | dict(self.values)

    def address(self, **more: str | None) -> str:
        """The query string of an address that chooses this, with *more* words or (None) without them."""
        words = {name: text for name, text in {**self.words, **more}.items() if text is not None}
        return f"?{urlencode(words)}" if words else ""


def read(params: Mapping[str, str], names: tuple[str, ...]) -> Chosen:
    """What the words of an address choose; of values those of the filters *names*. Raises `Refused`."""
    first, last = _day(params, "from"), _day(params, "to")
    if first is not None and last is not None and last < first:
        raise refused("bad_filter", f"the time ends on {last}, before it begins on {first}", "$.query.to")
    values = tuple((name, params[name]) for name in names if params.get(name))
    if any("\0" in text for _, text in values):
        raise refused("bad_filter", "no text here holds a NUL", "$.query")
    return Chosen(first, last, values)


def where(chosen: Chosen, schemas: Mapping[str, pa.Schema]) -> dict[str, str]:
    """The SQL condition of each table that what was chosen concerns."""
    found = {}
    for table, columns in schemas.items():
        asked = [*_times(chosen, table), *_values(chosen, table)]
        if asked:
            found[table] = condition([pair for pair in asked if pair[0].partition(".")[0] in columns.names], columns)
    return found


def _times(chosen: Chosen, table: str) -> list[tuple[str, str]]:
    name = _TIMES.get(table)
    if name is None:
        return []
    bounds = [("gte", chosen.first), ("lt", chosen.last and chosen.last + timedelta(days=1))]
    write = "%Y%m%d00" if name == "time_bucket" else "%Y-%m-%d"
    return [(f"{name}.{word}", f"{day:{write}}") for word, day in bounds if day is not None]


def _values(chosen: Chosen, table: str) -> list[tuple[str, str]]:
    asked = []
    for name, text in chosen.values:
        column = _COLUMNS[name].get(table)
        if column is not None:
            asked.append((f"{column}.null", "true") if text in (DIRECT, _NONE) else (column, text))
    return asked


def _day(params: Mapping[str, str], name: str) -> date | None:
    text = params.get(name, "")
    if not text:
        return None
    try:
        day = date.fromisoformat(text) if len(text) == 10 else None
    except ValueError:
        day = None
    if day is None or day.year > 9998:
        raise refused("bad_filter", f"{text[:40]!r} is no day; write one such as 2024-05-31", f"$.query.{name}")
    return day
