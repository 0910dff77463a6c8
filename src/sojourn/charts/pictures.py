"""Which function draws which chart."""

from collections.abc import Callable, Set

from sojourn.charts import activity, durations, experiments, fleet, orders, repairs, sessions, transitions, visits
from sojourn.charts.looks import Ask, Spec

Picture = Callable[[str, Ask, Set[str]], Spec]
"""Draws a chart of a title; it asks by SQL, and is told which of the helpful tables there are."""

PICTURES: dict[str, Picture] = {
    "fleet_daily": fleet.daily,
    "fleet_rolling_28d": fleet.rolling,
    "repairs": repairs.picture,
    "hourly_activity": activity.picture,
    "session_durations": durations.picture,
    "visits_before_order": visits.picture,
    "minutes_before_order": orders.minutes,
    "conversion_by_referrer": orders.conversion,
    "sessions_over_time": sessions.over_time,
    "session_lengths": sessions.lengths,
    "landing_pages": sessions.landing,
    "transitions": transitions.picture,
    "experiments": experiments.picture,
}
