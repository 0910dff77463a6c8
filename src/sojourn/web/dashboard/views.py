"""The views over one pipeline's tables: what each looks at, and what its template is given."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from sojourn.web.dashboard import activity, experiments, fleet, orders, sessions
from sojourn.web.dashboard.asked import Asked, Scope


@dataclass(frozen=True)
class View:
    """A view at `/name`, whose template is `name.html`."""

    name: str
    title: str
    scope: Scope
    content: Callable[[Asked], dict[str, Any]]


VIEWS = {
    view.name: view
    for view in (
        View("sessions", "Sessions", sessions.SCOPE, sessions.content),
        View("orders", "Orders", orders.SCOPE, orders.content),
        View("activity", "Activity", activity.SCOPE, activity.content),
        View("fleet", "Fleet", fleet.SCOPE, fleet.content),
        View("experiments", "Experiments", experiments.SCOPE, experiments.content),
    )
}
"""Every such view by name, in the order of the navigation."""
