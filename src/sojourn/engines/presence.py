"""Presence brought up to date: the intervals of touched devices, those that were open, and the days they change."""

from sojourn.engines.duckdb import Connection
from sojourn.engines.plans import Plan
from sojourn.engines.relations import as_published, number
from sojourn.engines.replacing import given, of_touched, remove
from sojourn.engines.snapshots import create
from sojourn.pipeline import Pipeline

_PAIR = ("user_id", "device_id")
_FLEETS = ("fleet_daily", "fleet_rolling_28d")


def renew_presence(connection: Connection, planned: Plan, pipeline: Pipeline) -> bool:
    """Bring intervals, and what is kept of days and devices, up to date; False where observation did not end with all
    events, or ends earlier than it did, which touches everything.
    """
    steps = planned.steps
    ends = given(steps["_observation"], events="from after", landed_events="from after")
    connection.execute(f"create temp table observation_now as {ends}")
    asked = "select coalesce({}, false)::int from state._observation as was, observation_now as now"
    latest = "(select max(occurred_at) from before)"
    if not number(connection, asked.format(f"now.ends >= was.ends and {latest} <= was.ends")):
        return False
    is_later = bool(number(connection, asked.format("now.ends > was.ends")))
    _scope(connection, steps["_servers"])
    create(connection, "_observation", "from observation_now")
    _renew_intervals(connection, planned, is_later=is_later)
    _renew_times(connection, planned)
    _renew_days(connection, planned)
    _renew_fleets(connection, planned, pipeline)
    return True


def _scope(connection: Connection, servers: str) -> None:
    """`touched_devices` (with other events, or on servers of which something else is known now) and their events."""
    connection.execute(f"create temp table servers_now as {servers}")
    changed = (
        "select id as server_id from servers_now as now full join state._servers as was using (id) "
        "where now.destroyed_at is distinct from was.destroyed_at"
    )
    connection.execute(
        "create temp table touched_devices as select distinct device_id from delta "
        f"union select device_id from presence semi join ({changed}) using (server_id)"
    )
    connection.execute(f"create temp table touched_after as {of_touched('after', 'touched_devices', 'device_id')}")
    create(connection, "_servers", "from servers_now")


def _renew_intervals(connection: Connection, planned: Plan, *, is_later: bool) -> None:
    """The table `presence`. Made besides: `fresh` (the intervals of touched devices), and `extended`: those of others
    that last until the end of observation, which is later now.
    """
    fresh = given(planned.steps["presence"], events="from touched_after")
    connection.execute(f"create temp table fresh as {as_published(connection, 'presence', fresh)}")
    remove(connection, "presence", "touched_devices", "device_id")
    is_open = f"ended_by = 'observation_end' and {is_later}"
    extended = given(planned.touched["extended"], presence=f"from presence where {is_open}")
    connection.execute(f"create temp table extended as {as_published(connection, 'presence', extended)}")
    connection.execute(f"delete from presence where {is_open}")
    connection.execute("insert into presence from fresh union all from extended")


def _renew_times(connection: Connection, planned: Plan) -> None:
    """Since when devices have been observed, and how long they were online."""
    observed = given(planned.steps["_observed"], events="from touched_after", landed_events="from touched_after")
    remove(connection, "_observed", "touched_devices", "device_id")
    connection.execute(f"insert into _observed {observed}")
    longer = "(select distinct device_id from extended)"
    theirs = f"from fresh union all {of_touched('presence', longer, 'device_id')}"
    remove(connection, "_online", "touched_devices", "device_id")
    remove(connection, "_online", longer, "device_id")
    connection.execute(f"insert into _online {given(planned.steps['_online'], presence=theirs)}")


def _renew_days(connection: Connection, planned: Plan) -> None:
    """The spans of days. Made besides: `days_before` and `days_now`, of those that may have changed."""
    longer = "(select distinct user_id, device_id from extended)"
    connection.execute(f"create temp table days_extended as {of_touched('_days', longer, *_PAIR)}")
    connection.execute(
        f"create temp table days_before as {of_touched('_days', 'touched_devices', 'device_id')} "
        "union all from days_extended"
    )
    now = given(planned.steps["_days"], presence="from fresh")
    moved = given(planned.touched["moved_on"], _days="from days_extended", presence="from extended")
    connection.execute(f"create temp table days_now as from ({now}) union all from ({moved})")
    remove(connection, "_days", "touched_devices", "device_id")
    remove(connection, "_days", longer, *_PAIR)
    connection.execute("insert into _days from days_now")


def _renew_fleets(connection: Connection, planned: Plan, pipeline: Pipeline) -> None:
    """How fleets change from day to day, from the first day on that is not what it was."""
    names = [name for name in _FLEETS if name in pipeline.tables]
    if not names:
        return
    edges = (
        "(select user_id, device_id, true as begins, first as day from {0} "
        "union all select user_id, device_id, false as begins, last + 1 as day from {0})"
    )
    before, now = edges.format("days_before"), edges.format("days_now")
    changed = f"select min(day) from ((from {before} except from {now}) union all (from {now} except from {before}))"
    stopped = f'select max("at") from _{names[0]}'  # where observation ended, spans that go on were cut off
    connection.execute(f"create or replace temp table since as select least(({changed}), ({stopped})) as day")
    for name in names:
        later = planned.steps[f"_{name}"]
        connection.execute(f"create or replace temp table changes_now as {later}")
        sql = given(planned.touched["changed_since"], before=f"from _{name}", after="from changes_now")
        create(connection, f"_{name}", sql)
        create(connection, name, planned.steps[name])
