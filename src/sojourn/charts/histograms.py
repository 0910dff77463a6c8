"""Distributions of minutes: bars of equal width, the long tail as one, and the median."""

from collections import Counter
from collections.abc import Mapping
from typing import Any

import altair as alt

from sojourn.charts import looks, quantiles
from sojourn.charts.looks import Ask, Rows, Spec
from sojourn.show import counted

BARS = 30
"""Bars up to where the tail begins, at most."""

_WIDTHS = (0.5, 1, 2, 5, 10, 15, 30, 60, 120, 240, 480, 1440, 10_080)
"""Minutes that a bar may stand for."""

_SHARES = {"p25": 0.25, "median": 0.5, "p75": 0.75, "p90": 0.9, "far": 0.98}

_ASKED = """
{values},
barred as not materialized (
    select minutes, cast(least(floor(60 * minutes), {most}) as bigint) as bar
    from wanted
    where minutes is not null
),
bars as (
    select bar, count(*) as found, count(case when minutes = 0 then 1 end) as zeros
    from barred
    group by bar
),
reached as (
    select bar, found, sum(found) over (order by bar) as upto, sum(found) over () as total
    from bars
),
holding as (
    select bar
    from reached
    join (values {shares}) as shares (share)
        on upto > share * (total - 1) - 1 and upto - found < share * (total - 1) + 1
)
-- bars of a second each, and the values within those that hold quantiles: nothing is sorted
select bar, null as minutes, found, zeros
from bars
union all
select bar, minutes, count(*), null
from barred
where bar in (select bar from holding)
group by 1, 2
order by 1, 2
"""
_MOST = 30_000_000  # seconds: nearly a year


def minutes(title: str, ask: Ask, values: str, told: str, noun: str) -> Spec:
    """The distribution of the column `minutes` of `wanted`, which the SQL *values* (a `with`) defines.

    *told* says what is counted, and *noun* what one of it is.
    """
    shares = ", ".join(f"({share})" for share in _SHARES.values())
    rows = ask(_ASKED.format(values=values.rstrip(), shares=shares, most=_MOST))
    fine = {row["bar"]: row["found"] for row in rows if row["minutes"] is None}
    if not fine:
        return looks.empty(title)
    shape = {"found": sum(fine.values()), **_shape(fine, rows)}
    width = next((each for each in _WIDTHS if shape["far"] / each < BARS), _WIDTHS[-1])
    most = int(max(fine) // (60 * width))
    last = min(int(shape["far"] // width) + 1, most)
    bins: Counter[int] = Counter()
    for bar, found in sorted(fine.items()):
        bins[min(int(bar // (60 * width)), last)] += found
    notes = [f"{counted(shape['found'], noun)}: {told}"]
    if zeros := sum(row["zeros"] or 0 for row in rows):
        notes.append(f"{zeros:,} of them {'is' if zeros == 1 else 'are'} 0 s long")
    return bars(title, notes, bins, shape, width, noun, has_tail=most > last)


def _shape(fine: Mapping[int, int], rows: Rows) -> dict[str, float]:
    """Quantiles by their names."""
    inner: dict[float, list[tuple[float, int]]] = {}
    for row in rows:
        if row["minutes"] is not None:
            inner.setdefault(row["bar"], []).append((row["minutes"], row["found"]))
    counts = quantiles.opened(sorted(fine.items()), inner)
    return {name: quantiles.quantile(counts, share) for name, share in _SHARES.items()}


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

    The *shape* (`found` and quantiles) is kept beside them.
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
