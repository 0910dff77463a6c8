"""A snapshot made from the one of the run before: only what a change of the events touches is made anew.

The change is a relation, `delta`: events that are new, or are events no more. From it follows what is touched (actors,
session keys, devices, hours); the same steps as for a whole snapshot run over the events of those alone, and their rows
take the place of the old ones.
"""

from collections.abc import Mapping, Sequence

from sojourn.engines.delta import find_delta
from sojourn.engines.duckdb import Connection, quote
from sojourn.engines.plans import Plan
from sojourn.engines.presence import renew_presence
from sojourn.engines.relations import EventFile, as_published, landed, number
from sojourn.engines.replacing import given, of_touched, replace
from sojourn.engines.snapshots import Built, asked, create, duplicates_of, finish, notes_of
from sojourn.pipeline import Pipeline
from sojourn.times import parse_duration

_COUNTED = {
    "transitions": (("from_page", "to_page", "activity"), ("transitions", "users")),
    "pages": (("url",), ("views", "users", "sessions", "entries", "exits", "bounces")),
}
"""Tables that add up what actors and their sessions do: grain, and counts. The first count of every row is not 0."""


def increment(
    connection: Connection,
    planned: Plan,
    pipeline: Pipeline,
    files: Sequence[EventFile],
    withdrawn: Sequence[EventFile],
) -> Built | None:
    """Bring the attached snapshot up to date, over *files* and without those *withdrawn*; None where it cannot be."""
    if not _is_made_by(connection, planned) or not _is_touched_by_events(pipeline):
        return None
    steps = planned.steps
    for name, source in pipeline.source.items():
        if name != "events":
            landed(connection, name, source, [file for file in files if file.source == name])
    lost = find_delta(connection, planned, pipeline, files, [file for file in withdrawn if file.source == "events"])
    done: set[str] = set()
    if "presence" in steps:
        if not renew_presence(connection, planned, pipeline):
            return None
        done |= {"_servers", "_observation", "presence", "_days", "_observed", "_online"}
        done |= {"_fleet_daily", "_fleet_rolling_28d", "_repairs"}
    _scopes(connection, pipeline)
    for name, sql in steps.items():
        if name not in done:
            _renew(connection, planned, pipeline, name, sql)
    rows = finish(connection, planned, pipeline, is_kept=True)
    events = _rows_of_events(connection, files) - number(connection, "select count(*) from state.losers")
    ask = asked(connection)
    duplicates = duplicates_of(ask, "events", steps) | duplicates_of(ask, "servers", steps)
    return Built(events, events, rows, duplicates, notes_of(ask, steps), lost)


def _rows_of_events(connection: Connection, files: Sequence[EventFile]) -> int:
    """How many records of events *files* hold, as their footers say."""
    paths = [str(file.path) for file in files if file.source == "events"]
    counted = "select coalesce(sum(num_rows), 0) from parquet_file_metadata([{}])"
    return number(connection, counted.format(", ".join(map(quote, paths)))) if paths else 0


def _is_made_by(connection: Connection, planned: Plan) -> bool:
    """Whether the snapshot was made as it would be now, and from nothing but kept files."""
    known = "select count(*) from duckdb_tables() where database_name = 'snapshot' and schema_name = 'state'"
    if not number(connection, f"{known} and table_name = 'made'"):
        return False
    made = f"select count(*) from state.made where is_kept and digest = {quote(planned.digest)}"
    return bool(number(connection, made))


def _is_touched_by_events(pipeline: Pipeline) -> bool:
    """Whether what a table says of an actor, an hour or a page rests on records alone: of live messages it rests on
    what their whole sessions take of them, from which nothing but tables of these sessions can be made in part.
    """
    if pipeline.events.format != "streams":
        return True
    by_markers = pipeline.sessions is None or pipeline.sessions.rule == "markers"
    return by_markers and {*pipeline.tables} <= {"sessions", "event_counts"}


def _renew(connection: Connection, planned: Plan, pipeline: Pipeline, name: str, sql: str) -> None:
    """Bring what one step gives up to date."""
    if name == "_judged":
        create(connection, name, given(sql, events="from after semi join touched_sessions using (session_id)"))
    elif name in ("sessions", "event_counts") and pipeline.events.format == "streams":
        replace(connection, name, as_published(connection, name, sql), "session_id in (from touched_sessions)")
    elif name == "sessions" and not _is_by_key(pipeline):
        _sessions_by_gap(connection, pipeline, sql)
    elif name in ("sessions", "_experiment_users"):
        _of_actors(connection, pipeline, name, sql)
    elif name in _COUNTED:
        _counted(connection, name, sql)
    elif name == "hourly_activity":
        _hours(connection, planned.touched, sql)
    elif name == "user_activity":
        _since(connection, sql)
    else:
        create(connection, name, sql)


def _scopes(connection: Connection, pipeline: Pipeline) -> None:
    """What is touched: `touched_sessions` of live messages; else `touched_actors`, each with the instant of the first
    change (`first_at`), and where tables need all of their events, `actors_before` and `actors_after`; and where
    sessions have keys, what goes with these.
    """
    if pipeline.events.format == "streams":
        connection.execute("create temp table touched_sessions as select distinct session_id from delta")
        return
    has_actors = "actor" in pipeline.events.fields
    if has_actors:
        first = "make_timestamp(min(occurred_at)) as first_at"
        actors = f"select actor, {first} from delta where actor::varchar <> '' group by actor"
        connection.execute(f"create temp table touched_actors as {actors}")
    if _has_all_of_actors(pipeline):
        _events_of(connection, "actors", "touched_actors using (actor)")
    if _is_by_key(pipeline) or "pages" in pipeline.tables:
        _scope_of_keys(connection, has_actors=has_actors)


def _scope_of_keys(connection: Connection, *, has_actors: bool) -> None:
    """`changed_keys`, `key_actors` (all who have an event in one of those), and `keys_before` and `keys_after`: the
    events of every session in which one of those has an event, as an actor's sessions are numbered through.
    """
    connection.execute("create temp table changed_keys as select distinct session_key from delta")
    connection.execute("create temp table key_actors (actor varchar)")
    connection.execute("create temp table touched_keys as from changed_keys")
    if has_actors:
        columns = "select session_key, actor::varchar as actor from"
        connection.execute(f"create temp view actors_of_keys as {columns} every union all {columns} withdrawn_rows")
        theirs = "actors_of_keys semi join changed_keys using (session_key) where actor <> ''"
        connection.execute(f"insert into key_actors select distinct actor from {theirs}")
        more = "select distinct session_key from actors_of_keys semi join key_actors using (actor)"
        connection.execute(f"insert into touched_keys {more} anti join changed_keys using (session_key)")
    _events_of(connection, "keys", "touched_keys using (session_key)")


def _events_of(connection: Connection, name: str, touched: str) -> None:
    connection.execute(f"create temp table {name}_after as from after semi join {touched}")
    connection.execute(f"create temp view {name}_before as from before semi join {touched}")


def _is_by_key(pipeline: Pipeline) -> bool:
    return pipeline.sessions is not None and pipeline.sessions.rule == "key"


def _has_all_of_actors(pipeline: Pipeline) -> bool:
    """Whether tables are made from all events of the touched actors."""
    has_users = "experiment_users" in pipeline.tables and not _is_by_key(pipeline)
    return has_users or "transitions" in pipeline.tables


def _sessions_by_gap(connection: Connection, pipeline: Pipeline, sql: str) -> None:
    """Sessions of touched actors, from `since` on: those before it stay."""
    _beginnings(connection, pipeline)
    known = "actors_after" if _has_all_of_actors(pipeline) else "after"
    again = "(from beginnings where not goes_on)"
    events = (
        f"select * exclude (_change) from ({of_touched('delta', '(from beginnings where goes_on)', 'actor')}) "
        f"union all by name select known.* from {known} as known join {again} as touched using (actor) "
        "where occurred_at >= epoch_us(since)"
    )
    rows = as_published(connection, "sessions", given(sql, events=events))
    connection.execute(
        "create temp table fresh_rows as select made.* replace (session_number + earlier as session_number) "
        f"from ({rows}) as made join beginnings on made.actor = beginnings.actor::varchar"
    )
    connection.execute(
        "delete from sessions using beginnings "
        "where not goes_on and sessions.actor = beginnings.actor::varchar and started_at >= since"
    )
    connection.execute("insert into sessions from fresh_rows")


def _beginnings(connection: Connection, pipeline: Pipeline) -> None:
    """`beginnings`: touched actors, with `since`, the instant from which on their sessions are made anew, and how many
    come `earlier`.

    The last session that began before the first change is made anew if the change is within its reach. An actor
    `goes_on` whose sessions all ended longer ago than the gap: then no kept event has a say in what is new.
    """
    assert pipeline.sessions is not None, "these are sessions by gap"
    gap = parse_duration(pipeline.sessions.gap)
    connection.execute(
        "create temp table beginnings as with known as (select touched.actor, first_at, max(started_at) as last_start, "
        f"coalesce(epoch_us(max(ended_at)) >= epoch_us(first_at) - {gap}, false) as is_reached, "
        "coalesce(max(session_number), 0) as numbered from touched_actors as touched left join sessions "
        "on sessions.actor = touched.actor::varchar and started_at < first_at group by touched.actor, first_at) "
        "select actor, if(is_reached, last_start, first_at) as since, "
        "if(is_reached, numbered - 1, numbered) as earlier, not is_reached and not exists (from sessions where "
        "sessions.actor = known.actor::varchar and started_at >= first_at) as goes_on from known"
    )


def _of_actors(connection: Connection, pipeline: Pipeline, name: str, sql: str) -> None:
    """Rows of actors, made from all of their events."""
    events, theirs = "actors_after", "actor in (select actor::varchar from touched_actors)"
    if _is_by_key(pipeline):
        events, theirs = "keys_after", "actor in (from key_actors)"
        if name == "sessions":
            text = quote(f"{pipeline.name}|")
            theirs += f" or session_id in (select md5({text} || session_key) from changed_keys)"
    rows = as_published(connection, name, given(sql, events=f"from {events}"))
    replace(connection, name, f"select * from ({rows}) where {theirs}", theirs)


def _counted(connection: Connection, name: str, sql: str) -> None:
    """Counts: less what the touched gave before, plus what they give now."""
    scope = "keys" if name == "pages" else "actors"
    grain, counts = _COUNTED[name]
    less = ", ".join((*grain, *(f"-{count} as {count}" for count in counts)))
    moved = (
        f"from {name} union all by name select {less} from ({given(sql, events=f'from {scope}_before')}) "
        f"union all by name from ({given(sql, events=f'from {scope}_after')})"
    )
    added = ", ".join((*grain, *(f"sum({count}) as {count}" for count in counts)))
    summed = f"select {added} from ({moved}) group by {', '.join(grain)} having sum({counts[0]}) <> 0"
    create(connection, name, summed)


def _hours(connection: Connection, touched: Mapping[str, str], sql: str) -> None:
    """The hours in which something changed."""
    connection.execute(f"create temp table hours as {touched['hours']}")
    connection.execute(f"create temp table events_of_hours as {touched['events_of_hours']}")
    rows = as_published(connection, "hourly_activity", given(sql, events="from events_of_hours"))
    replace(connection, "hourly_activity", rows, "time_bucket in (select time_bucket from hours)")


def _since(connection: Connection, sql: str) -> None:
    """The end of a table in the total order: from the first change on."""
    connection.execute("create temp table beginning as select min(occurred_at) as _begins_at from delta")
    later = given(sql, events="select after.* from after join beginning on occurred_at >= _begins_at")
    rows = as_published(connection, "user_activity", later)
    replace(connection, "user_activity", rows, "time_stamp >= (select make_timestamp(_begins_at) from beginning)")
