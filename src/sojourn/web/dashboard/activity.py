"""Activity: events by the hour, users, sites, and steps from page to page."""

from typing import Any

from sojourn.web.dashboard.asked import Asked, Scope
from sojourn.web.dashboard.figures import figure

SCOPE = Scope("activity", ("hourly_activity",), ("user_activity", "transitions"), filters=("site", "activity"))


def content(asked: Asked) -> dict[str, Any]:
    """What the template shows; users only where every event is published, as those of hours cannot be summed."""
    has_users = "user_activity" in asked.tables
    names = ["hourly_activity", *(["transitions"] if "transitions" in asked.tables else [])]
    return {
        "totals": asked.rows("activity_totals")[0],
        "users": asked.rows("activity_users")[0]["users"] if has_users else None,
        "figures": [figure(asked, name) for name in names],
        "sites": asked.rows("activity_by_site"),
        "options": {"site": asked.options("activity_sites"), "activity": asked.options("activity_names")},
    }
