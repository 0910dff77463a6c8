"""Distributions of minutes: bars of equal width, the long tail as one, and the median."""

from collections.abc import Mapping
from typing import Any

import altair as alt

from sojourn.charts import looks
from sojourn.charts.looks import Ask, Rows, Spec

BARS = 30
"""Bars up to where the tail begins, at most."""

_WIDTHS = (0.5, 1, 2, 5, 10, 15, 30, 60, 120, 240, 480, 1440)

_SHAPE = """
{values}
select count(*) as found, count(case when minutes = 0 then 1 end) as zeros,
    percentile_cont(0.5) within group (order by minutes) as median,
    percentile_cont(0.98) within group (order by minutes) as far, max(minutes) as most
from wanted
"""

_BINS = """
{values}
select cast(least(floor(minutes / {width}), {last}) as bigint) as bar, count(*) as found
from wanted
where minutes is not null
group by 1
order by 1
"""


def minutes(title: str, ask: Ask, values: str, told: str, noun: str) -> Spec:
    """The distribution of the column `minutes` of `wanted`, which the SQL *values* (a `with`) defines.

    *told* says what is counted, and *noun* what one of it is.
    """
    shape = ask(_SHAPE.format(values=values))[0]
    if not shape["found"]:
        return looks.empty(title)
    width = next((each for each in _WIDTHS if shape["far"] / each < BARS), 10_080)
    last = min(int(shape["far"] // width) + 1, int(shape["most"] // width))
    bins = ask(_BINS.format(values=values, width=width, last=last))
    notes = [f"{looks.number(shape['found'], noun)}: {told}"]
    if shape["zeros"]:
        notes.append(f"{shape['zeros']:,} of them are 0 s long")
    return bars(title, notes, bins, shape, width, noun)


def bars(title: str, notes: list[str], bins: Rows, shape: Mapping[str, Any], width: float, noun: str) -> Spec:
    """Bars of `bar` (its number from 0) and `found`; the last one holds what lies beyond it, too."""
    final = bins[-1]["bar"]
    has_tail = shape["most"] >= (final + 1) * width
    values = [
        {"from": row["bar"] * width, "to": (row["bar"] + 1) * width, "found": row["found"]}
        | {"minutes": _named(row["bar"] * width, width, is_tail=has_tail and row["bar"] == final)}
        for row in bins
    ]
    end = (final + 1) * width
    axis = alt.Axis(title="minutes", format=",~f", grid=False, tickCount=10)
    axis.labelExpr = f"datum.value >= {final * width} ? datum.label + '+' : datum.label" if has_tail else alt.Undefined
    highest = alt.Scale(domain=[0, 1.12 * max(row["found"] for row in bins)], nice=False)
    drawn = looks.chart("minutes").mark_bar(color=looks.NAMED[0], orient="vertical", binSpacing=1)
    drawn = drawn.encode(
        x=alt.X("from:Q", bin="binned", scale=alt.Scale(domain=[0, end], nice=False), axis=axis),
        x2="to:Q",
        y=alt.Y("found:Q", scale=highest, axis=looks.counts(f"{noun}s")),
        tooltip=["minutes:N", alt.Tooltip("found:Q", title=f"{noun}s", format=",")],
    )
    median = {"median": min(shape["median"], end), "text": f"median {shape['median']:.3g} min"}
    data: dict[str, Rows] = {"minutes": values, "median": [median]}
    return looks.finished(looks.layered(drawn, *looks.marked("median")), title, notes, data)


def _named(start: float, width: float, *, is_tail: bool) -> str:
    return f"{start:g} and more" if is_tail else f"{start:g} to {start + width:g}"
