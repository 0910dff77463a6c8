"""How every picture looks: size, font, colours and dates, and what stands where there is no data."""

from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any, TypeAlias

import altair as alt

Rows: TypeAlias = list[dict[str, Any]]
Ask: TypeAlias = Callable[[str], Rows]
Spec: TypeAlias = dict[str, Any]

WIDTH, HEIGHT = 800, 400
FONT = "Liberation Sans, Arial, Helvetica, sans-serif"  # the first is within vl-convert

NAMED = ("#0072b2", "#e69f00", "#009e73", "#cc79a7", "#56b4e9", "#d55e00", "#f0e442", "#332288")
"""Colours for names without an order, told apart also by the colour-blind."""

OTHER = "#a6a6a6"
"""The colour of what is left over."""

_VIRIDIS = ("#440154", "#3b528b", "#21918c", "#5ec962", "#fde725")
_INK, _GREY, _LINE = "#222222", "#5a5a5a", "#e4e4e4"


def steps(count: int) -> list[str]:
    """Colours for *count* classes in an order, from dark to light, at equal distances."""
    places = [at * (len(_VIRIDIS) - 1) / max(count - 1, 1) for at in range(count)]
    return [_between(_VIRIDIS[int(place)], _VIRIDIS[min(int(place) + 1, 4)], place % 1) for place in places]


def _between(start: str, end: str, share: float) -> str:
    pairs = [(int(start[at : at + 2], 16), int(end[at : at + 2], 16)) for at in (1, 3, 5)]
    return "#" + "".join(f"{round(low + (high - low) * share):02x}" for low, high in pairs)


def finished(picture: alt.TopLevelMixin, title: str, subtitle: Sequence[str], data: dict[str, Rows]) -> Spec:
    """The specification of *picture* with its title and its *data* by name, in the common look."""
    config = {
        "font": FONT,
        "view": {"stroke": None},
        "title": {"anchor": "start", "fontSize": 17, "color": _INK, "subtitleFontSize": 12, "subtitleColor": _GREY}
        | {"subtitlePadding": 5, "offset": 12, "limit": WIDTH - 30},
        "axis": {"labelFontSize": 11, "titleFontSize": 12, "titleFontWeight": "normal", "labelColor": _GREY}
        | {"titleColor": _GREY, "gridColor": _LINE, "domainColor": "#9a9a9a", "tickColor": "#9a9a9a"},
        "legend": {"labelFontSize": 12, "titleFontSize": 12, "titleFontWeight": "normal", "labelColor": _INK}
        | {"titleColor": _GREY, "labelLimit": 140, "symbolStrokeWidth": 0, "symbolType": "square"}
        | {"symbolOpacity": 1},
    }
    spec: Spec = picture.to_dict()
    spec |= {"title": {"text": title, "subtitle": list(subtitle)}, "background": "white", "padding": 12}
    return spec | {"config": config, "datasets": data}


def chart(data: str) -> alt.Chart:
    """A chart of the data of that name. The rows come when it is finished: Altair would check each for a long time."""
    return alt.Chart(alt.NamedData(name=data))


def layered(*layers: alt.Chart) -> alt.LayerChart | alt.FacetChart:
    """One picture of *layers* in the usual size, title and legend included."""
    return alt.layer(*layers).properties(
        width=WIDTH, height=HEIGHT, autosize=alt.AutoSizeParams(type="fit", contains="padding")
    )


def bars(data: str, rows: Rows, counted: str) -> tuple[alt.LayerChart | alt.FacetChart, Rows]:
    """A bar for each of *rows* (`name`, the number *counted*, `text` under the name), from the top down; its data."""
    labelled = [{**row, "label": f"{' '.join(row['name'].split())}\n{row['text']}"} for row in rows]
    drawn = chart(data).mark_bar(color=NAMED[0], height={"band": 0.7})
    drawn = drawn.encode(
        x=alt.X(f"{counted}:Q", scale=alt.Scale(zero=True), axis=counts(counted)),
        y=alt.Y("label:N", sort=None, axis=two_lines()),
    )
    return layered(drawn), labelled


def two_lines() -> alt.Axis:
    """An axis of names, each with a line of text under it."""
    axis = alt.Axis(title=None, labelExpr=r"split(datum.label, '\n')", labelLimit=220, ticks=False, labelLineHeight=13)
    axis.labelOffset = -6  # a label of two lines hangs from its first
    axis.labelPadding = 6
    return axis


def marked(name: str) -> list[alt.Chart]:
    """A line at the field *name* of the data of that name, with its `text`."""
    base = chart(name).encode(x=f"{name}:Q")
    rule = base.mark_rule(color="#d55e00", strokeWidth=2, strokeDash=[6, 3])
    text = base.mark_text(align="left", dx=6, dy=1, baseline="top", fontSize=13, fontWeight="bold", color="#b34a00")
    return [rule, text.encode(y=alt.value(0), text="text:N")]


def empty(title: str) -> Spec:
    """A picture without data, which says so."""
    text = chart("nothing").mark_text(fontSize=16, color=_GREY).encode(text=alt.value("No data yet"))
    return finished(layered(text), title, [], {"nothing": [{}]})


def instants(name: str, first: datetime, last: datetime, *, unit: str = "day", labels: bool = True) -> alt.X:
    """The field *name* on an axis of time from *first* to *last*, in UTC: no time zone of a reader's shifts a day."""
    scale = alt.Scale(type="utc", domainMin=_utc(first), domainMax=_utc(last), nice=False)
    every, form = _ticks(last - first, unit)
    axis = alt.Axis(format=form, tickCount=every, title=None, grid=False, labels=labels)
    axis.labelOverlap, axis.labelSeparation = "greedy", 8
    axis.labelFlush, axis.labelBound = True, True  # the first and the last label do not stick out
    return alt.X(f"{name}:T", scale=scale, axis=axis)


def counts(title: str, most: int = 6) -> alt.Axis:
    """An axis of whole numbers, about *most* of them named."""
    whole = "datum.value % 1 ? '' : datum.label"
    return alt.Axis(title=title, format=",d", tickMinStep=1, tickCount=most, labelExpr=whole)


def _ticks(span: timedelta, unit: str) -> tuple[Any, str]:
    """How often a date stands on the axis, and how it is written: no two ticks look the same."""
    if unit == "hour" and span <= timedelta(days=3):
        return 5, "%-d %b %Y, %H:%M"
    for most, interval, step, form in (
        (9, "day", 1, "%-d %b %Y"),
        (18, "day", 2, "%-d %b %Y"),
        (64, "week", 1, "%-d %b %Y"),
        (130, "week", 2, "%-d %b %Y"),
        (270, "month", 1, "%b %Y"),
        (520, "month", 2, "%b %Y"),
        (800, "month", 3, "%b %Y"),
        (1500, "month", 6, "%b %Y"),
    ):
        if span <= timedelta(days=most):
            return {"interval": interval, "step": step}, form
    return {"interval": "year", "step": 1 + span.days // 3650}, "%Y"


def _utc(moment: datetime) -> int:
    """Milliseconds since 1970, which Vega-Lite takes as they are."""
    return round(moment.replace(tzinfo=UTC).timestamp() * 1000)


def spelled(day: date) -> str:
    """`1 Mar 2024`, as on the axes."""
    return f"{day.day} {day:%b %Y}"
