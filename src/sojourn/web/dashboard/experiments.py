"""Experiments: each variant against the control, goal by goal."""

from itertools import groupby
from typing import Any

from sojourn.charts import CHARTS
from sojourn.charts.looks import Rows
from sojourn.web.dashboard.asked import Asked, Scope
from sojourn.web.dashboard.figures import figure

SCOPE = Scope("pageviews", ("experiments",), has_times=False)


def content(asked: Asked) -> dict[str, Any]:
    """What the template shows: rows by experiment, and charts where there are some of this table."""
    rows = asked.rows("experiments")
    by_name = [(name, list(found)) for name, found in groupby(rows, key=lambda row: row["experiment"])]
    charts = [name for name, chart in CHARTS.items() if chart.tables == ("experiments",)]
    return {
        "experiments": [(name, _control(found), found) for name, found in by_name],
        "figures": [figure(asked, name) for name in charts] if rows else [],
        "options": {},
    }


def _control(rows: Rows) -> str | None:
    """The variant that all others are compared with: the one that has no difference itself."""
    compared = {row["variant"] for row in rows if row["difference"] is not None}
    others = {row["variant"] for row in rows} - compared - {"multiple"}
    return others.pop() if compared and len(others) == 1 else None
