"""Sojourn's semantics once more: slow, simple, standard library only.

It shares no code with the engine and is the oracle of its property tests. Each rule is written down
as plainly as its text reads; where the two disagree, look at the semantics first.
"""

from tests.reference.experiments import experiment_users, experiments, referrer_differences
from tests.reference.ledger import Ledger, Outcome, Quarantined, Run, process
from tests.reference.pipelines import ACTIVITY, PAGEVIEWS, WEBSHOP, Pipeline, in_order, order_of
from tests.reference.presence import (
    classes_on,
    conflicting,
    device_uptime,
    fleet,
    intervals,
    merged,
    observation_end,
    online,
    presence_tables,
    repairs,
)
from tests.reference.records import (
    Accepted,
    Blank,
    Contract,
    Event,
    Field,
    Rejected,
    Value,
    judge,
    read_lines,
)
from tests.reference.rows import Devices, judge_row
from tests.reference.sessions import (
    Group,
    Row,
    groups_by_gap,
    groups_by_key,
    sessions_by_gap,
    sessions_by_key,
)
from tests.reference.tables import (
    hourly_activity,
    minutes_before_order,
    orders,
    pages,
    quantile,
    session_durations_by_referrer,
    time_to_order,
    transitions,
    user_activity,
    visits_before_order,
)
from tests.reference.urls import host, levels, page

__all__ = [
    "ACTIVITY",
    "PAGEVIEWS",
    "WEBSHOP",
    "Accepted",
    "Blank",
    "Contract",
    "Devices",
    "Event",
    "Field",
    "Group",
    "Ledger",
    "Outcome",
    "Pipeline",
    "Quarantined",
    "Rejected",
    "Row",
    "Run",
    "Value",
    "classes_on",
    "conflicting",
    "device_uptime",
    "experiment_users",
    "experiments",
    "fleet",
    "groups_by_gap",
    "groups_by_key",
    "host",
    "hourly_activity",
    "in_order",
    "intervals",
    "judge",
    "judge_row",
    "levels",
    "merged",
    "minutes_before_order",
    "observation_end",
    "online",
    "order_of",
    "orders",
    "page",
    "pages",
    "presence_tables",
    "process",
    "quantile",
    "read_lines",
    "referrer_differences",
    "repairs",
    "session_durations_by_referrer",
    "sessions_by_gap",
    "sessions_by_key",
    "time_to_order",
    "transitions",
    "user_activity",
    "visits_before_order",
]
