"""Presence brought up to date: the intervals of touched devices, those that were open, and the days they change."""

from sojourn.engines.duckdb import Connection
from sojourn.engines.plans import Plan
from sojourn.engines.relations import as_published, number
from sojourn.engines.replacing import given, of_touched, remove, same
from sojourn.engines.snapshots import create
from sojourn.pipeline import Pipeline

_PAIR = ("user_id", "device_id")
_DAY = 86_400_000_000
_AROUND = 4
"""Days before `since` from which an interval may reach into a day that changes, in any time zone."""
_FLEETS = ("fleet_daily", "fleet_rolling_28d")


def renew_presence(connection: Connection, planned: Plan, pipeline: Pipeline) -> bool:
    """Bring intervals, and what is kept of days and devices, up to date; False where observation did not end with all
    events, or ends earlier than it did, which touches everything.
    """
    steps = planned.steps
    connection.execute("create temp table latest_before as select max(occurred_at) as occurred_at from before")
    is_less = bool(number(connection, "select count(*) from delta where _change < 0"))
    times = "from after" if is_less else "from latest_before union all select occurred_at from delta"
    ends = given(steps["_observation"], events=times, landed_events=times)
    connection.execute(f"create temp table observation_now as {ends}")
    asked = "select coalesce({}, false)::int from state._observation as was, observation_now as now"
    if not number(connection, asked.format("now.ends >= was.ends and (from latest_before) <= was.ends")):
        return False
    is_later = bool(number(connection, asked.format("now.ends > was.ends")))
    _scope(connection, steps["_servers"], is_later=is_later)
    create(connection, "_observation", "from observation_now")
    _renew_intervals(connection, planned, is_later=is_later)
    _renew_times(connection, planned)
    _renew_repairs(connection, planned)
    _renew_days(connection, planned)
    _renew_fleets(connection, planned, pipeline)
    return True


def _scope(connection: Connection, servers: str, *, is_later: bool) -> None:
    """`anew`: devices with the instant `since`, which no change comes before. It is null where nothing stays.

    Those that are touched (with other events, or on servers of which something else is known now) have that at which
    an interval begins that nothing has touched. The others that were online when observation ended, which is later now,
    have that end. A device `goes_on` where all that changes comes after observation ended.
    """
    ended = "make_timestamp((select ends from state._observation))"
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
        "create temp table anew as select touched.device_id, max(presence.started_at) as since, true as is_touched, "
        f"first_at > {ended} as goes_on from first_touched as touched left join presence "
        f"on {same('presence', 'device_id')} and started_at < first_at group by touched.device_id, first_at"
    )
    _touched_events(connection)
    create(connection, "_servers", "from servers_now")
    others = f"presence anti join anew as touched on {same('presence', 'device_id')}"
    connection.execute(
        f"insert into anew select distinct device_id, {ended}, false, false from {others} "
        f"where {_is_open(is_later=is_later)}"
    )


def _touched_events(connection: Connection) -> None:
    """`touched_after`: the events of touched devices from `since` on. Where a device only goes on, its last interval
    stands for the event that opened it, so that no kept event is read again.
    """
    later, again = "(from anew where goes_on)", "(from anew where not goes_on)"
    connection.execute(
        "create temp table touched_after as select device_id, user_id, server_id, true as connected, "
        f"epoch_us(started_at) as occurred_at from ({of_touched('presence', later, 'device_id')} where rule = 'last') "
        f"union all by name select * exclude (_change) from ({of_touched('delta', later, 'device_id')}) "
        f"union all by name select after.* from after join {again} as touched "
        f"on {same('after', 'device_id')} where since is null or occurred_at >= epoch_us(since)"
    )


def _is_open(*, is_later: bool) -> str:
    """Which intervals last until the end of observation, where that is later now."""
    return f"ended_by = 'observation_end' and {is_later}"


def _renew_intervals(connection: Connection, planned: Plan, *, is_later: bool) -> None:
    """The table `presence`. Made besides, each with `since`: `gone` and `come`, the intervals that left and those in
    their place, and `staying`, those of the same devices that reach into the days from shortly before `since` on.
    """
    connection.execute(
        "create temp table standing as select presence.*, presence.rowid as _id, since, is_touched, "
        "is_touched and (since is null or if(goes_on, rule = 'last', started_at >= since)) as is_anew, "
        f"{_is_open(is_later=is_later)} as is_open "
        f"from presence join anew as touched on {same('presence', 'device_id')} "
        f"where since is null or ended_at >= since - interval {_AROUND} days"
    )
    for name, which in (("gone", "is_anew or is_open"), ("staying", "not (is_anew or is_open)")):
        connection.execute(f"create temp view {name} as select * exclude (_id) from standing where {which}")
    fresh = given(planned.steps["presence"], events="from touched_after")
    extended = given(planned.touched["extended"], presence="from standing where is_open and not is_anew")
    rows = " union all ".join(as_published(connection, "presence", sql) for sql in (fresh, extended))
    connection.execute(
        f"create temp table come as select come.*, since from ({rows}) as come "
        f"join anew as touched on {same('come', 'device_id')}"
    )
    connection.execute("delete from presence where rowid in (select _id from standing where is_anew or is_open)")
    connection.execute("insert into presence select * exclude (since) from come")


def _renew_times(connection: Connection, planned: Plan) -> None:
    """Since when devices have been observed, and how long they were online: longer by what they are now from `since`
    on, less what they were.
    """
    whole = "(from anew where since is null)"
    events = of_touched("touched_after", whole, "device_id")
    remove(connection, "_observed", "(from anew where since is null and not goes_on)", "device_id")
    observed = given(planned.steps["_observed"], events=events, landed_events=events)
    unknown = f"({observed}) as fresh anti join _observed as touched on {same('fresh', 'device_id')}"
    connection.execute(f"insert into _observed from {unknown}")
    later = (
        "select device_id, rule, greatest(started_at, since) as started_at, greatest(ended_at, since) as ended_at from"
    )
    reaching = f"{later} staying where since is not null union all {later} gone where since is not null"
    before = given(planned.steps["_online"], presence=reaching)
    now = given(planned.steps["_online"], presence=f"{later} staying union all {later} come")
    known = of_touched("_online", "(from anew where since is not null)", "device_id")
    connection.execute(
        "create temp table online_now as select device_id, sum(online)::bigint as online from "
        f"({known} union all select device_id, -online from ({before}) union all from ({now})) group by device_id"
    )
    remove(connection, "_online", "anew", "device_id")
    connection.execute("insert into _online from online_now")


def _renew_repairs(connection: Connection, planned: Plan) -> None:
    """How many intervals rest on which rule."""
    if "_repairs" not in planned.steps:
        return
    before, now = (given(planned.steps["_repairs"], presence=f"from {name}") for name in ("gone", "come"))
    create(
        connection,
        "_repairs",
        "select rule, ended_by, sum(intervals)::bigint as intervals, sum(microseconds)::bigint as microseconds "
        "from (from _repairs union all select rule, ended_by, -intervals, -microseconds "
        f"from ({before}) union all from ({now})) group by rule, ended_by having sum(intervals) <> 0",
    )


def _renew_days(connection: Connection, planned: Plan) -> None:
    """The spans of days. Made besides: `days_before` and `days_now`, of those that may have changed.

    Days long before a device's `since` stay: whatever the time zone, those from `first_day` on are counted anew, from
    all intervals that reach into them.
    """
    connection.execute(
        "create temp table days_before as select _days.*, first_day from _days join (select device_id, "
        f"coalesce(epoch_us(since) // {_DAY} - 2, -(1::bigint << 40)) as first_day from anew) as touched "
        f"on {same('_days', 'device_id')} where last >= first_day - {_AROUND}"
    )
    earlier = (
        "select user_id, device_id, first, least(last, first_day - 1) as last from days_before where first < first_day"
    )
    reaching = "from staying union all by name from come"
    moved = given(planned.touched["moved_on"], _days=earlier, presence=reaching)
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
    moved = f"select *, 1 as change from {before} union all select *, -1 as change from {now}"
    differing = f"select day from ({moved}) group by user_id, device_id, begins, day having sum(change) <> 0"
    changed = f"select min(day) from ({differing})"
    stopped = f'select max("at") from _{names[0]}'  # where observation ended, spans that go on were cut off
    connection.execute(f"create or replace temp table since as select least(({changed}), ({stopped})) as day")
    for name in names:
        later = planned.steps[f"_{name}"]
        connection.execute(f"create or replace temp table changes_now as {later}")
        sql = given(planned.touched["changed_since"], before=f"from _{name}", after="from changes_now")
        create(connection, f"_{name}", sql)
