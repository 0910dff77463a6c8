"""Presence brought up to date: the intervals of touched devices, those that were open, and the days they change."""

from sojourn.engines.duckdb import Connection
from sojourn.engines.plans import Plan
from sojourn.engines.relations import as_published, number
from sojourn.engines.replacing import given, of_touched, remove, same
from sojourn.engines.snapshots import create
from sojourn.pipeline import Pipeline

_PAIR = ("user_id", "device_id")
_DAY = 86_400_000_000
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
    """`touched_devices` (with other events, or on servers of which something else is known now), and `touched_after`:
    their events from the instant `since` on, at which an interval begins that nothing has touched: what was before it
    stays. It is null where nothing stays.
    """
    connection.execute(f"create temp table servers_now as {servers}")
    changed = (
        "select id as server_id from servers_now as now full join state._servers as was using (id) "
        "where now.destroyed_at is distinct from was.destroyed_at"
    )
    connection.execute(
        "create temp table first_touched as select device_id, make_timestamp(min(occurred_at)) as first_at "
        "from (select device_id, occurred_at from delta union all select device_id, epoch_us(started_at) from presence "
        f"semi join ({changed}) using (server_id)) group by device_id"
    )
    connection.execute(
        "create temp table touched_devices as select touched.device_id, max(presence.started_at) as since "
        f"from first_touched as touched left join presence on {same('presence', 'device_id')} "
        "and presence.started_at < touched.first_at group by touched.device_id"
    )
    connection.execute(
        f"create temp table touched_after as select after.* from after join touched_devices as touched "
        f"on {same('after', 'device_id')} where since is null or occurred_at >= epoch_us(since)"
    )
    create(connection, "_servers", "from servers_now")


def _renew_intervals(connection: Connection, planned: Plan, *, is_later: bool) -> None:
    """The table `presence`. Made besides: `extended`, the intervals of untouched devices that last until the end of
    observation, which is later now.
    """
    fresh = given(planned.steps["presence"], events="from touched_after")
    connection.execute(f"create temp table fresh as {as_published(connection, 'presence', fresh)}")
    connection.execute(
        f"delete from presence using touched_devices as touched where {same('presence', 'device_id')} "
        "and (since is null or started_at >= since)"
    )
    is_open = f"ended_by = 'observation_end' and {is_later}"
    rows = f"select * from presence where {is_open}"
    extended = given(planned.touched["extended"], presence=rows)
    connection.execute(f"create temp table extended as {as_published(connection, 'presence', extended)}")
    connection.execute(f"delete from presence where {is_open}")
    connection.execute("insert into presence from fresh union all from extended")


def _renew_times(connection: Connection, planned: Plan) -> None:
    """Since when devices have been observed, and how long they were online."""
    anew = "(from touched_devices where since is null)"
    events = of_touched("touched_after", anew, "device_id")
    remove(connection, "_observed", anew, "device_id")
    connection.execute(
        f"insert into _observed {given(planned.steps['_observed'], events=events, landed_events=events)}"
    )
    others = "(select device_id from touched_devices union select device_id from extended)"
    theirs = of_touched("presence", others, "device_id")
    remove(connection, "_online", others, "device_id")
    connection.execute(f"insert into _online {given(planned.steps['_online'], presence=theirs)}")


def _renew_days(connection: Connection, planned: Plan) -> None:
    """The spans of days. Made besides: `days_before` and `days_now`, of those that may have changed.

    Of a touched device, days long before its `since` stay: whatever the time zone, the days from `first_day` on are
    counted anew, from all intervals that reach into them.
    """
    connection.execute(
        "create temp table anew as select device_id, since, "
        f"coalesce(epoch_us(since) // {_DAY} - 2, -(1::bigint << 40)) as first_day from touched_devices"
    )
    connection.execute(
        "create temp table reaching as from extended union all select presence.* from presence join anew "
        "as touched on presence.device_id is not distinct from touched.device_id "
        "where since is null or ended_at >= since - interval 4 days"
    )
    longer = "(select distinct user_id, device_id from extended)"
    of_others = f"select _days.*, null::bigint as first_day {of_touched('_days', longer, *_PAIR)}"
    of_anew = f"select _days.*, first_day from _days join anew as touched on {same('_days', 'device_id')}"
    connection.execute(f"create temp table days_before as {of_others} union all {of_anew} where last >= first_day - 4")
    earlier = (
        "select user_id, device_id, first, least(last, coalesce(first_day - 1, last)) as last from days_before "
        "where first_day is null or first < first_day"
    )
    moved = given(planned.touched["moved_on"], _days=earlier, presence="from reaching")
    connection.execute(f"create temp table days_now as {moved}")
    remove(connection, "_days", "days_before", *_PAIR, "first")
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
