"""Building a snapshot: every table of a pipeline in one DuckDB file, whole, or made from the one of the run before.

A snapshot holds the published tables and, in its schema `state`, what the next run goes on from.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from sojourn.engines import duckdb as engine
from sojourn.engines.apart import MADE
from sojourn.engines.duckdb import Connection, identifier, quote
from sojourn.engines.plans import Plan, plan
from sojourn.engines.relations import EventFile, as_published, landed, number
from sojourn.engines.waiting import waited_for
from sojourn.pipeline import Pipeline

_NOTES = {"_unknown_servers": "unknown_server", "_refused": "refused"}

STATE = (
    "_servers", "_observation", "_days", "_observed", "_online", "_fleet_daily", "_fleet_rolling_28d",
    "_experiment_users",
)  # fmt: skip
"""Steps whose tables the next run needs. With them stand `losers` (rows of kept files whose identity another record
has that is the event: `file, row`) and `made` (the plan's digest, the time zone's version)."""


@dataclass(frozen=True)
class Built:
    """What a snapshot holds: events in all, and rows by table; and what that tells of this run's parts.

    *kept*: the events that the kept files alone hold. *lost*: identities that are gone with withdrawn files.
    *duplicates*: `(duplicate, conflicting)` by source and part. *notes*: counts by name and part, which are no ends of
    records.
    """

    events: int
    kept: int
    tables: dict[str, int]
    duplicates: dict[tuple[str, int], tuple[int, int]]
    notes: dict[str, dict[int, int]]
    lost: int = 0


def build(
    pipeline: Pipeline,
    files: Sequence[EventFile],
    snapshot: Path,
    memory: int | None,
    spill: Path,
    until: int | None = None,
) -> Built:
    """Compute every table of *pipeline* over *files* into the DuckDB file *snapshot*.

    *until*: the end of observation in epoch microseconds, where it is not that of the latest event.
    """
    planned = plan(pipeline)
    with engine.connect(memory or engine.DEFAULT_MEMORY, spill) as connection:
        open_snapshot(connection, snapshot)
        for name, source in pipeline.source.items():
            landed(connection, name, source, [file for file in files if file.source == name])
        limit(connection, until)
        passing = [file.part for file in files if not file.is_kept]
        built = waited_for(lambda: _built(connection, planned, pipeline, passing), connection.interrupt)
        close_snapshot(connection)
    return built


def open_snapshot(connection: Connection, snapshot: Path) -> None:
    """Attach *snapshot*: its tables, and those of its state, need no schema."""
    connection.execute(f"attach {quote(str(snapshot))} as snapshot")
    connection.execute("create schema if not exists snapshot.state")
    connection.execute("set search_path = 'snapshot.main,snapshot.state'")


def close_snapshot(connection: Connection) -> None:
    """Write down everything and let go."""
    connection.execute("use memory")
    connection.execute("checkpoint snapshot")  # detaching would do it too, but silently leave a log when it fails
    connection.execute("detach snapshot")


def limit(connection: Connection, until: int | None) -> None:
    """Make the relations of one row that plans read beside records."""
    connection.execute("create temp table limits as select $1::bigint as until", [until])
    connection.execute("create temp table since as select -(1::bigint << 40) as day")


def _built(connection: Connection, planned: Plan, pipeline: Pipeline, passing: list[int | None]) -> Built:
    steps = dict(planned.steps)
    for name in ("repeated", "ranked"):
        if name in steps:
            connection.execute(f"create temp table {name} as {steps.pop(name)}")
    duplicates = duplicates_of(connection, "events", steps.pop("duplicates", None))
    connection.execute(f"create temp view events as {steps.pop('events')}")
    losers = "select _name as file, _row as row from ranked join numbered_events using (_file) where _place > 0"
    none = "select '' as file, 0::bigint as row where false"
    connection.execute(f"create table state.losers as {losers if 'ranked' in planned.steps else none}")
    notes: dict[str, dict[int, int]] = {}
    for name, sql in steps.items():
        if name == "_server_duplicates":
            duplicates |= duplicates_of(connection, "servers", sql)
        elif name in _NOTES:
            notes[_NOTES[name]] = dict(connection.execute(sql).fetchall())
        else:
            create(connection, name, sql)
    rows = finish(connection, planned, pipeline)
    events = number(connection, "select count(*) from events")
    kept = number(connection, _of_others(passing, pipeline)) if passing else events
    return Built(events, kept, rows, duplicates, notes)


def create(connection: Connection, name: str, sql: str) -> None:
    """Make what one step of a plan gives, in place of what stood there."""
    if name in STATE:
        connection.execute(f"create or replace table state.{name} as {sql}")
    elif name.startswith("_"):
        connection.execute(f"create or replace temp table {name} as {sql}")
    else:
        connection.execute(f"create or replace table {identifier(name)} as {as_published(connection, name, sql)}")


def finish(connection: Connection, planned: Plan, pipeline: Pipeline) -> dict[str, int]:
    """Make the tables that libraries work out, and say by which plan all was made; the rows of each table."""
    for name in pipeline.tables:
        if name in MADE:
            connection.register("made", MADE[name](lambda sql: connection.sql(sql).to_arrow_table(), pipeline))
            connection.execute(f"create or replace table {name} as from made")
            connection.unregister("made")
    connection.execute(f"create or replace table state.made as select {quote(planned.digest)} as digest")
    return {name: number(connection, f"select count(*) from {identifier(name)}") for name in pipeline.tables}


def notes_of(connection: Connection, steps: Mapping[str, str]) -> dict[str, dict[int, int]]:
    """Counts by name and part, which are no ends of records."""
    return {_NOTES[name]: dict(connection.execute(sql).fetchall()) for name, sql in steps.items() if name in _NOTES}


def duplicates_of(connection: Connection, source: str, sql: str | None) -> dict[tuple[str, int], tuple[int, int]]:
    """`(duplicate, conflicting)` by *source* and part, as the *sql* of a step finds them."""
    if sql is None:
        return {}
    rows = connection.execute(sql).fetchall()
    return {(source, part): (int(copies), int(conflicting)) for part, copies, conflicting in rows}


def _of_others(passing: list[int | None], pipeline: Pipeline) -> str:
    """How many events there are without the parts *passing*."""
    keys = ", ".join(map(identifier, pipeline.events.identity))
    numbers = ", ".join(map(str, passing))
    return f"select count(*) from (select distinct {keys} from parts_events where _part not in ({numbers}))"
