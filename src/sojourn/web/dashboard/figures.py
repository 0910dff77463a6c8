"""Figures: the charts of `sojourn chart` on a page, each with its words and its numbers."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

from sojourn.charts import CHARTS, Chart, picture
from sojourn.charts.looks import Spec
from sojourn.charts.narrowing import Where
from sojourn.web.dashboard.asked import Asked, Remembered, Scope

if TYPE_CHECKING:
    from sojourn.charts.drawing import Drawer

_NOTHING = {"found": 0, "p25": None, "median": None, "p75": None, "p90": None}
_specs = Remembered(48)
_pictures = Remembered(64)

WAYS = {(False, False)}
"""How pictures were asked for so far: whether dark, whether narrow."""


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
    headings: tuple[str, ...]
    rows: Sequence[tuple[Any, ...]]
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
        headings=tuple(heading for _, heading in numbers),
        rows=[tuple(_told(row.get(column)) for column, _ in numbers) for row in rows],
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
        return picture(chart, asked.reading, asked.pipeline, tables, _where(asked, name))

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


def _told(value: Any) -> Any:
    """A value of the table: the two lines of a label are one."""
    return value.replace("\n", ": ") if isinstance(value, str) else value
