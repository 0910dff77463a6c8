"""Sessions: how many, how long, from where, onto which page; and the latest ones."""

from typing import Any

from sojourn.web.dashboard.asked import Asked, Scope
from sojourn.web.dashboard.figures import figure, shape

SCOPE = Scope("webshop", ("sessions",), ("referrer_differences",), column="bounced", filters=("referrer", "landing"))

_FIGURES = ("sessions_over_time", "session_lengths", "session_durations", "landing_pages")
_LATEST = 25


def content(asked: Asked) -> dict[str, Any]:
    """What the template shows."""
    return {
        "totals": asked.rows("sessions_totals")[0],
        "minutes": shape(asked, "session_lengths"),
        "figures": [figure(asked, name) for name in _FIGURES],
        "differences": asked.rows("referrer_differences") if "referrer_differences" in asked.tables else [],
        "latest": asked.rows("sessions_latest", limit=_LATEST),
        "options": {"referrer": asked.options("referrers"), "landing": asked.options("landings")},
    }
