"""Repairs: how much of presence rests on which rule."""

from collections.abc import Set

import altair as alt

from sojourn.charts import looks
from sojourn.charts.looks import Ask, Rows, Spec

_ROWS = "select rule, ended_by, intervals, share, hours from repairs order by intervals desc, rule, ended_by"


def picture(title: str, ask: Ask, _: Set[str]) -> Spec:
    """Bars: intervals by rule and by what ended them, with their share and hours."""
    rows = ask(_ROWS)
    return bars(title, rows) if rows else looks.empty(title)


def bars(title: str, rows: Rows) -> Spec:
    """The bars of `rule`, `ended_by`, `intervals`, `share` and `hours`."""
    values = [
        {
            "name": ", ".join(part for part in (row["rule"], row["ended_by"]) if part),
            "intervals": row["intervals"],
            "text": f"{row['intervals']:,} ({row['share'] or 0:.1%}, {row['hours'] or 0:,.0f} h)",
        }
        for row in rows
    ]
    most = max(row["intervals"] for row in rows)
    base = looks.chart("repairs").encode(
        x=alt.X(
            "intervals:Q",
            scale=alt.Scale(domain=[0, 1.45 * most or 1], nice=False),
            axis=looks.counts("intervals"),
        ),
        y=alt.Y(
            "name:N",
            sort=None,
            axis=alt.Axis(title=None, labelLimit=260, ticks=False, labelPadding=6, labelFontSize=12),
        ),
    )
    bar = base.mark_bar(color=looks.NAMED[0], height={"band": 0.7})
    text = base.mark_text(align="left", dx=5, color="#222222").encode(text="text:N")
    told = (
        "Intervals of presence by the rule that ended them and by its reason, with their share of all and their hours"
    )
    return looks.finished(looks.layered(bar, text), title, [told], {"repairs": values})
