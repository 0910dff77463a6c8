"""Distributions of minutes: bars of equal width, the long tail as one, and the median."""

from collections import Counter
from collections.abc import Mapping
from typing import Any

import altair as alt

from sojourn.charts import looks
from sojourn.charts.looks import Ask, Rows, Spec

BARS = 30
"""Bars up to where the tail begins, at most."""

_FINEST = 0.5
_WIDTHS = (_FINEST, 1, 2, 5, 10, 15, 30, 60, 120, 240, 480, 1440, 10_080)
"""Minutes that a bar may stand for; all are multiples of the finest."""

_ASKED = """
{values}
-- one question for both: what is wanted is worked out once
select null as bar, count(*) as found, count(case when minutes = 0 then 1 end) as zeros,
    percentile_cont(0.25) within group (order by minutes) as p25,
    percentile_cont(0.5) within group (order by minutes) as median,
    percentile_cont(0.75) within group (order by minutes) as p75,
    percentile_cont(0.98) within group (order by minutes) as far
from wanted
where minutes is not null
union all
select cast(least(floor(minutes / {finest}), {most}) as bigint), count(*), null, null, null, null, null
from wanted
where minutes is not null
group by 1
"""
_MOST = 1_000_000  # half minutes: nearly a year


def minutes(title: str, ask: Ask, values: str, told: str, noun: str) -> Spec:
    """The distribution of the column `minutes` of `wanted`, which the SQL *values* (a `with`) defines.

    *told* says what is counted, and *noun* what one of it is.
    """
    rows = ask(_ASKED.format(values=values, finest=_FINEST, most=_MOST))
    shape = next(row for row in rows if row["bar"] is None)
    if not shape["found"]:
        return looks.empty(title)
    width = next((each for each in _WIDTHS if shape["far"] / each < BARS), _WIDTHS[-1])
    fine = {row["bar"]: row["found"] for row in rows if row["bar"] is not None}
    most = int(max(fine) * _FINEST // width)
    last = min(int(shape["far"] // width) + 1, most)
    bins: Counter[int] = Counter()
    for bar, found in sorted(fine.items()):
        bins[min(int(bar * _FINEST // width), last)] += found
    notes = [f"{looks.number(shape['found'], noun)}: {told}"]
    if shape["zeros"]:
        notes.append(f"{shape['zeros']:,} of them {'is' if shape['zeros'] == 1 else 'are'} 0 s long")
    return bars(title, notes, bins, shape, width, noun, has_tail=most > last)


def bars(
    title: str,
    notes: list[str],
    bins: Mapping[int, int],
    shape: Mapping[str, Any],
    width: float,
    noun: str,
    *,
    has_tail: bool,
) -> Spec:
    """Bars by their number from 0, each *width* minutes; with a tail the last one holds what lies beyond it, too.

    The *shape* (`found`, `p25`, `median`, `p75`) is kept beside them.
    """
    final = max(bins)
    values = [
        {"from": bar * width, "to": (bar + 1) * width, "found": found}
        | {"minutes": _named(bar * width, width, is_tail=has_tail and bar == final)}
        for bar, found in bins.items()
    ]
    end = (final + 1) * width
    axis = alt.Axis(title="minutes", format=",~f", grid=False, tickCount=10)
    axis.labelExpr = f"datum.value >= {final * width} ? datum.label + '+' : datum.label" if has_tail else alt.Undefined
    highest = alt.Scale(domain=[0, 1.12 * max(bins.values())], nice=False)
    drawn = looks.chart("minutes").mark_bar(color=looks.NAMED[0], orient="vertical", binSpacing=1)
    drawn = drawn.encode(
        x=alt.X("from:Q", bin="binned", scale=alt.Scale(domain=[0, end], nice=False), axis=axis),
        x2="to:Q",
        y=alt.Y("found:Q", scale=highest, axis=looks.counts(f"{noun}s")),
        tooltip=["minutes:N", alt.Tooltip("found:Q", title=f"{noun}s", format=",")],
    )
    median = {"median": min(shape["median"], end), "text": f"median {shape['median']:.3g} min"}
    data: dict[str, Rows] = {"minutes": values, "median": [median], "shape": [dict(shape)]}
    return looks.finished(looks.layered(drawn, *looks.marked("median")), title, notes, data)


def _named(start: float, width: float, *, is_tail: bool) -> str:
    return f"{start:g} and more" if is_tail else f"{start:g} to {start + width:g}"
