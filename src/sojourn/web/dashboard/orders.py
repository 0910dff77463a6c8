"""Orders: visits and minutes before them, and where the sessions with one come from."""

from typing import Any

from sojourn.web.dashboard.asked import Asked, Scope
from sojourn.web.dashboard.figures import figure, shape

SCOPE = Scope("webshop", ("sessions",), column="orders", filters=("referrer",))


def content(asked: Asked) -> dict[str, Any]:
    """What the template shows: filters choose orders; the visits before them are counted over all sessions."""
    names = ("visits_before_order", "minutes_before_order", "conversion_by_referrer")
    return {
        "totals": asked.rows("orders_totals")[0],
        "visits": shape(asked, "visits_before_order"),
        "minutes": shape(asked, "minutes_before_order"),
        "figures": [figure(asked, name) for name in names],
        "options": {"referrer": asked.options("referrers")},
    }
