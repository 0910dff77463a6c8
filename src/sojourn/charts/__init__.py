"""Charts: published tables as pictures, drawn without a browser or a network.

What draws is imported when it is used: it takes longer than all the rest of a command.
"""

from collections.abc import Set
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

from sojourn.charts.narrowing import Where, narrowed
from sojourn.errors import SojournError, UsageError
from sojourn.pipeline import Fleet, did_you_mean
from sojourn.show import counted
from sojourn.store.base import Store
from sojourn.store.readings import Reading

ENDINGS = (".png", ".svg", ".html", ".json")
"""What a chart's file may end with."""


@dataclass(frozen=True)
class Chart:
    """A chart: its SQL reads *tables* of *pipeline*, and those of *helpful* where they are published.

    *needs_goal*: it counts orders, which only sessions with a goal have. *numbers* are the columns of what it shows,
    as they are called in a table, and stand in its data named *data*.
    """

    name: str
    title: str
    pipeline: str
    tables: tuple[str, ...]
    helpful: tuple[str, ...] = ()
    needs_goal: bool = False
    data: str = ""
    numbers: tuple[tuple[str, str], ...] = ()


_FLEET = (("day", "day"), ("fleet_size", "devices of the user"), ("devices", "devices"))

CHARTS = {
    chart.name: chart
    for chart in (
        Chart(
            "fleet_daily",
            "Devices online per day",
            "devices",
            ("fleet_daily",),
            ("fleet_projection",),
            data="fleets",
            numbers=_FLEET,
        ),
        Chart(
            "fleet_rolling_28d",
            "Devices online in the past 28 days",
            "devices",
            ("fleet_rolling_28d",),
            ("fleet_projection",),
            data="fleets",
            numbers=_FLEET,
        ),
        Chart(
            "repairs",
            "What ended presence, by rule",
            "devices",
            ("repairs",),
            data="repairs",
            numbers=(("name", "rule, and what ended it"), ("text", "intervals (share, hours)")),
        ),
        Chart(
            "hourly_activity",
            "Events and users over time",
            "activity",
            ("hourly_activity",),
            ("user_activity",),
            data="events",
            numbers=(("start", "from"), ("activity", "activity"), ("events", "events")),
        ),
        Chart(
            "session_durations",
            "How long sessions last, by referrer",
            "webshop",
            ("sessions",),
            data="sessions",
            numbers=(
                ("name", "referrer"),
                ("length", "duration"),
                ("sessions", "sessions"),
                ("share", "share of the referrer's"),
            ),
        ),
        Chart(
            "visits_before_order",
            "Visits before an order",
            "webshop",
            ("sessions",),
            needs_goal=True,
            data="visits",
            numbers=(("visits", "visits"), ("purchases", "visits with an order")),
        ),
        Chart(
            "minutes_before_order",
            "Session minutes before the first order",
            "webshop",
            ("sessions",),
            needs_goal=True,
            data="minutes",
            numbers=(("minutes", "minutes"), ("found", "buyers")),
        ),
        Chart(
            "conversion_by_referrer",
            "Sessions with an order, by referrer",
            "webshop",
            ("sessions",),
            needs_goal=True,
            data="shares",
            numbers=(("name", "referrer"), ("share", "with an order"), ("lower", "from"), ("upper", "to")),
        ),
        Chart(
            "sessions_over_time",
            "Sessions over time",
            "webshop",
            ("sessions",),
            data="sessions",
            numbers=(("start", "from"), ("kind", "sessions"), ("sessions", "count")),
        ),
        Chart(
            "session_lengths",
            "How long sessions last",
            "webshop",
            ("sessions",),
            data="minutes",
            numbers=(("minutes", "minutes"), ("found", "sessions")),
        ),
        Chart(
            "landing_pages",
            "Where sessions begin",
            "webshop",
            ("sessions",),
            data="pages",
            numbers=(("name", "page"), ("text", "sessions")),
        ),
        Chart(
            "transitions",
            "Steps from page to page",
            "activity",
            ("transitions",),
            data="steps",
            numbers=(
                ("from_page", "from"),
                ("to_page", "to"),
                ("transitions", "steps"),
                ("share", "share of the steps out"),
            ),
        ),
        Chart(
            "experiments",
            "Experiments: differences from the control",
            "pageviews",
            ("experiments",),
            data="differences",
            numbers=(
                ("name", "goal and variant"),
                ("difference", "difference"),
                ("lower", "from"),
                ("upper", "to"),
                ("warnings", "warnings"),
            ),
        ),
    )
}
"""Every chart by name."""


def draw(name: str, store: Store, target: Path, pipeline: str | None = None) -> None:
    """Write the chart *name* to *target*, as its ending says; a mistake is told before anything is read."""
    _chart(name)
    if target.suffix.lower() not in ENDINGS:
        raise UsageError(
            "unknown_ending",
            f"a chart cannot be written as {target}; name a file that ends with {', '.join(ENDINGS)}",
        )
    if not target.parent.is_dir():
        raise UsageError("out_unusable", f"cannot write {target}: there is no folder {target.parent}")
    drawn = specification(name, store, pipeline)
    from sojourn.charts import files

    content = files.rendered(drawn, target.suffix.lower(), drawn["title"]["text"])
    try:
        target.write_bytes(content)
    except OSError as error:
        raise UsageError("out_unusable", f"cannot write {target}: {error.strerror}") from error


def specification(name: str, store: Store, pipeline: str | None = None) -> dict[str, Any]:
    """The chart *name* as a Vega-Lite specification with its data inside.

    A `UsageError` says that there is no such chart, or that *pipeline* lacks a table; a `SojournError` that nothing
    is published yet.
    """
    chart = _chart(name)
    source = pipeline or chart.pipeline
    with store.reading_for(f"chart {name}", source, chart.tables) as (reading, published):
        return picture(chart, reading, source, published, window_days=window_days(store, source))


def window_days(store: Store, pipeline: str) -> int:
    """How many days `fleet_rolling_28d` counts together, as the rules say by which *pipeline*'s tables were made."""
    usual = Fleet().window_days
    try:
        return int(store.kept(pipeline).rules.get("fleet", {}).get("window_days", usual))
    except SojournError:  # a damaged manifest is told by `verify`; tables can be read without
        return usual


def picture(
    chart: Chart,
    reading: Reading,
    pipeline: str,
    published: Set[str],
    where: Where = MappingProxyType({}),
    window_days: int = Fleet().window_days,
) -> dict[str, Any]:
    """The specification of *chart* from those rows of *pipeline*'s *published* tables that *where* names.

    *window_days*: how many days `fleet_rolling_28d` counts together.
    """
    from sojourn.charts.pictures import PICTURES

    helpful = published & set(chart.helpful)
    tables = [*chart.tables, *sorted(helpful)]

    def ask(sql: str) -> list[dict[str, Any]]:
        rows: list[dict[str, Any]] = reading.query(narrowed(sql, pipeline, tables, where)).read_all().to_pylist()
        return rows

    title = chart.title.replace("28 days", counted(window_days, "day"))
    return PICTURES[chart.name](title, ask, helpful)


def _chart(name: str) -> Chart:
    if name not in CHARTS:
        raise UsageError(
            "unknown_chart",
            f"there is no chart {name!r}{did_you_mean(name, CHARTS)} known are {', '.join(CHARTS)}",
        )
    return CHARTS[name]
