"""Figures: the charts of `sojourn chart` on a page, each with its words and its numbers."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from typing import TYPE_CHECKING, Any, NamedTuple

from sojourn.charts import CHARTS, Chart, picture, window_days
from sojourn.charts.looks import Spec
from sojourn.charts.narrowing import Where
from sojourn.web.dashboard import templates
from sojourn.web.dashboard.asked import Asked, Remembered, Scope

if TYPE_CHECKING:
    from sojourn.charts.drawing import Drawer

_SHARES = ("share", "difference", "lower", "upper")
_NOTHING = {"found": 0, "p25": None, "median": None, "p75": None, "p90": None}
_specs = Remembered(48)
_pictures = Remembered(64)

WAYS = {(False, False)}
"""How pictures were asked for so far: whether dark, whether narrow."""


class Column(NamedTuple):
    """A column of a table: its *heading*, and whether it holds numbers, which stand on its right."""

    heading: str
    is_number: bool


@dataclass(frozen=True)
class Figure:
    """A chart on a page: its title, *notes* under it, the query string of its picture, the `pipeline/table`
    that it reads first, and its numbers.

    *sources*: the pictures themselves, light and dark, as `data:` addresses for a file without a server.
    """

    name: str
    title: str
    notes: tuple[str, ...]
    address: str
    table: str
    columns: tuple[Column, ...]
    rows: Sequence[tuple[str, ...]]
    is_empty: bool
    sources: tuple[str, str] | None = None

    @property
    def alternative(self) -> str:
        """What the picture shows, in words."""
        return ". ".join([self.title, *self.notes, "The numbers stand in the table below the picture"])


def scope(chart: Chart) -> Scope:
    """What *chart* looks at."""
    filters = {"sessions": ("referrer", "landing"), "hourly_activity": ("site", "activity")}
    return Scope(
        chart.pipeline,
        chart.tables,
        chart.helpful,
        "orders" if chart.needs_goal else "bounced" if chart.tables[0] == "sessions" else None,
        filters.get(chart.tables[0], ("fleet",)),
    )


def figure(asked: Asked, name: str) -> Figure:
    """The chart *name* of what was *asked*."""
    spec = specification(asked, name)
    numbers = CHARTS[name].numbers
    rows = spec["datasets"].get(CHARTS[name].data, [])
    address = asked.chosen.address(pipeline=asked.pipeline)
    return Figure(
        name=name,
        title=spec["title"]["text"],
        notes=tuple(spec["title"]["subtitle"]),
        address=address,
        table=f"{asked.pipeline}/{CHARTS[name].tables[0]}",
        columns=tuple(_column(heading, [row.get(name) for row in rows]) for name, heading in numbers),
        rows=list(zip(*(_told(name, [row.get(name) for row in rows]) for name, _ in numbers), strict=True)),
        is_empty="nothing" in spec["datasets"],
    )


def shape(asked: Asked, name: str) -> dict[str, Any]:
    """How many values a distribution has, and its quantiles, as its chart has worked them out."""
    return dict(specification(asked, name)["datasets"].get("shape", [_NOTHING])[0])


def specification(asked: Asked, name: str) -> Spec:
    """The specification of the chart *name*."""
    chart = CHARTS[name]
    tables = asked.tables.intersection({*chart.tables, *chart.helpful})

    def make() -> Spec:
        days = window_days(asked.store, asked.pipeline)
        return picture(chart, asked.reading, asked.pipeline, tables, _where(asked, name), days)

    return _specs.get((*asked.key(_where(asked, name)), name), make)


def _where(asked: Asked, name: str) -> Where:
    """The conditions that concern the chart *name*."""
    tables = (*CHARTS[name].tables, *CHARTS[name].helpful)
    return {table: condition for table, condition in asked.where.items() if table in tables}


def svg(asked: Asked, name: str, *, is_dark: bool = False, is_narrow: bool = False) -> bytes:
    """The picture of the chart *name*, for a page."""
    WAYS.add((is_dark, is_narrow))
    spec = specification(asked, name)

    def make() -> bytes:
        from sojourn.charts import themes

        return _drawer().svg(themes.on_page(spec, is_dark=is_dark, is_narrow=is_narrow))

    return _pictures.get((*asked.key(_where(asked, name)), name, is_dark, is_narrow), make)


@cache
def _drawer() -> "Drawer":
    from sojourn.charts.drawing import Drawer

    return Drawer()


def _column(heading: str, values: Sequence[Any]) -> Column:
    return Column(templates.heading(heading), any(isinstance(value, int | float) for value in values))


def _told(name: str, values: Sequence[Any]) -> list[str]:
    """The values of the column *name*, as one reads them: the two lines of a label are one."""
    if name in ("start", "day"):
        instants = [datetime.fromisoformat(value) for value in values]
        has_hours = any(instant.hour for instant in instants)
        return [templates.day(instant) + (f", {instant:%H:%M}" if has_hours else "") for instant in instants]
    if name in _SHARES:
        return [templates.percent(value) for value in values]
    return [templates.plain(value.replace("\n", ": ") if isinstance(value, str) else value) for value in values]
