"""Experiments: how far each variant is from the control, goal by goal, with intervals."""

from collections.abc import Set
from typing import Any

import altair as alt

from sojourn.charts import looks
from sojourn.charts.looks import Ask, Rows, Spec
from sojourn.show import counted

_ROWS = """
select experiment, variant, goal, users, goal_users, rate, difference, ci_low, ci_high, p_adjusted, warnings,
    count(*) over () as found
from experiments
where goal_users is not null and difference is not null and ci_low is not null
order by experiment, goal, variant
limit 30
"""

_ROW = 30  # units that the two lines of a name need


def picture(title: str, ask: Ask, _: Set[str]) -> Spec:
    """A point for each variant and goal: the difference of its rate from the control's."""
    rows = ask(_ROWS)
    return differences(title, rows) if rows else looks.empty(title)


def differences(title: str, rows: Rows) -> Spec:
    """The points of rows with `experiment`, `variant`, `goal`, `users`, `goal_users`, the difference and its bounds.

    They are the first of all that were `found`.
    """
    values = [_value(row) for row in rows]
    base = looks.chart("differences").encode(y=_names([value["name"] for value in values]))
    reach = max(abs(value[name]) for value in values for name in ("lower", "upper"))
    axis = alt.Axis(title="difference in percentage points", format="+%", tickCount=7)
    scale = alt.Scale(domain=[-reach or -1, reach or 1], nice=True)
    zero = looks.chart("zero").mark_rule(strokeDash=[4, 3], color="#777777").encode(x=alt.X("at:Q", scale=scale))
    spans = base.mark_rule(strokeWidth=3, color=looks.NAMED[4])
    spans = spans.encode(x=alt.X("lower:Q", scale=scale, axis=axis), x2="upper:Q")
    points = base.mark_point(filled=True, size=90, color=looks.NAMED[0], opacity=1)
    shown = ["name:N", *(alt.Tooltip(f"{name}:Q", format="+.1%") for name in ("difference", "lower", "upper"))]
    points = points.encode(x="difference:Q", tooltip=[*shown, "warnings:N"])
    told = ["The line is the 95 % interval (score): a difference of 0 within it may be chance"]
    if any(value["warnings"] for value in values):
        told.append("There are warnings, also where an interval looks sure: sojourn metrics experiments")
    if (found := rows[0]["found"]) > len(rows):
        told.append(f"The first {len(rows)} of {found:,} comparisons")
    data = {"differences": values, "zero": [{"at": 0}]}
    drawn = looks.layered(zero, spans, points).properties(height=max(looks.HEIGHT, _ROW * len(values)))
    return looks.finished(drawn, title, told, data)


def _value(row: dict[str, Any]) -> dict[str, Any]:
    """One point, as it is called in the picture."""
    label = f"{row['goal']}: {row['variant']}"
    prefix = "" if row["experiment"] == "default" else f"{row['experiment']}, "
    users = f"{row['goal_users']:,} of {counted(row['users'], 'user')}"
    bounds = {"difference": row["difference"], "lower": row["ci_low"], "upper": row["ci_high"]}
    return {"name": f"{prefix}{label}\n{users}", **bounds, "warnings": row["warnings"] or ""}


def _names(names: list[str]) -> alt.Y:
    axis = alt.Axis(title=None, labelExpr=r"split(datum.label, '\n')", labelLimit=300, ticks=False, labelLineHeight=13)
    axis.labelOffset, axis.labelPadding = -6, 6  # a label of two lines hangs from its first
    return alt.Y("name:N", sort=names, axis=axis)
