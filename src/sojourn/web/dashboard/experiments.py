"""Experiments: each variant against the control, goal by goal."""

from itertools import groupby
from typing import Any

from sojourn.charts import CHARTS
from sojourn.web.dashboard.asked import Asked, Scope
from sojourn.web.dashboard.figures import figure

SCOPE = Scope("pageviews", ("experiments",), has_times=False)


def content(asked: Asked) -> dict[str, Any]:
    """What the template shows: rows by experiment, and charts where there are some of this table."""
    rows = asked.rows("experiments")
    charts = [name for name, chart in CHARTS.items() if chart.tables == ("experiments",)]
    return {
        "experiments": [(name, list(found)) for name, found in groupby(rows, key=lambda row: row["experiment"])],
        "figures": [figure(asked, name) for name in charts] if rows else [],
        "options": {},
    }
