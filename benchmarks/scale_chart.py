"""The chart of the cost curve: seconds against events, both logarithmic."""

from typing import Any

import altair as alt
import vl_convert

from sojourn.charts.looks import NAMED, chart, finished, layered

_TITLE = "Time of a whole run"
_SUBTITLE = (
    "each point a run into a fresh home on one machine, by DuckDB (solid) or by Spark (dashed);",
    "a line of slope 1 is twice the time for twice the events",
)


def svg(figures: list[dict[str, Any]]) -> str:
    """A line for each pipeline and engine."""
    rows = [
        {
            "pipeline": figure["pipeline"],
            "engine": {"duckdb": "DuckDB", "spark": "Spark"}[figure["engine"]],
            "millions": figure["events"] / 1e6,
            "seconds": figure["wall"],
        }
        for figure in figures
    ]
    drawn = chart("runs").encode(
        x=alt.X("millions:Q", scale=alt.Scale(type="log", nice=False, padding=20), title="million events"),
        y=alt.Y("seconds:Q", scale=alt.Scale(type="log"), title="seconds"),
        color=alt.Color("pipeline:N", scale=alt.Scale(range=[*NAMED]), title="Pipeline"),
        strokeDash=alt.StrokeDash("engine:N", legend=None),
    )
    spec = finished(
        layered(drawn.mark_line(strokeWidth=2), drawn.mark_point(filled=True, size=50)),
        _TITLE,
        _SUBTITLE,
        {"runs": rows},
    )
    return str(vl_convert.vegalite_to_svg(spec))
