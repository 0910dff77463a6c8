"""Repairs: how much of presence rests on which rule."""

from collections.abc import Set

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
    told = (
        "Intervals of presence by the rule that ended them and by its reason, with their share of all and their hours"
    )
    drawn, labelled = looks.bars("repairs", values, "intervals")
    return looks.finished(drawn, title, [told], {"repairs": labelled})
