"""Fleet: devices online by day and in 28 days, by how many of them the same user has, and what repairs they rest on."""

from typing import Any

from sojourn import metrics
from sojourn.charts import window_days
from sojourn.show import counted
from sojourn.web.dashboard.asked import Asked, Scope
from sojourn.web.dashboard.figures import figure

SCOPE = Scope(
    "devices",
    ("fleet_daily", "fleet_rolling_28d"),
    ("fleet_projection", "repairs", "device_uptime"),
    filters=("fleet",),
)


def content(asked: Asked) -> dict[str, Any]:
    """What the template shows."""
    names = ["fleet_daily", "fleet_rolling_28d", *(["repairs"] if "repairs" in asked.tables else [])]
    return {
        "window": counted(window_days(asked.store, asked.pipeline), "day"),
        "classes": asked.answer(metrics.metric("fleet").sql),
        "uptime": asked.answer(metrics.metric("uptime").sql) if "device_uptime" in asked.tables else [],
        "figures": [figure(asked, name) for name in names],
        "options": {"fleet": asked.options("fleet_sizes")},
    }
