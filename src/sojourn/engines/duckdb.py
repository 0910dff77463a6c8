"""The door to DuckDB: connections with limits, building a snapshot, and a person's read-only queries."""

import os
import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

import duckdb
import pyarrow as pa

from sojourn.engines.apart import MADE
from sojourn.engines.plans import plan
from sojourn.engines.waiting import waited_for
from sojourn.errors import SojournError, UsageError, disk_full
from sojourn.pipeline import Pipeline, Source

DEFAULT_MEMORY = 640_000_000
"""Bytes for a whole run where `--memory` says nothing."""

_PROCESS = 130_000_000  # Python, Arrow and DuckDB themselves, before the first row
_LEAST = 90_000_000
_INSTANTS = {
    "sessions": ("started_at", "ended_at"),
    "event_counts": ("first_at", "last_at"),
    "user_activity": ("time_stamp",),
    "presence": ("started_at", "ended_at"),
    "experiment_users": ("first_seen",),
}
_DAYS = {"fleet_daily": "day", "fleet_rolling_28d": "day"}
_NOTES = {"_unknown_servers": "unknown_server", "_refused": "refused"}
_KINDS = {"integer": "bigint", "number": "double", "boolean": "boolean", "time": "bigint"}

_NO_ROOM = re.compile("No space left on device|File too large|Disk quota exceeded", re.IGNORECASE)
_PATH = re.compile(r'/[^"\\]+')
_NOT_ITS_FAULT = (duckdb.OutOfMemoryException, duckdb.IOException, duckdb.FatalException, duckdb.InternalException)

Connection = duckdb.DuckDBPyConnection


@dataclass(frozen=True)
class EventFile:
    """A landed Parquet file of one *source*; *part* numbers this run's, and is None for those of earlier runs.

    Those that are not kept (*is_kept*) will be read anew by the next run.
    """

    path: Path
    source: str
    part: int | None = None
    is_kept: bool = True


@dataclass(frozen=True)
class Built:
    """What a snapshot holds: events in all, and rows by table; and what that tells of this run's parts.

    *kept*: the events that the kept files alone hold. *duplicates*: `(duplicate, conflicting)` by source and part.
    *notes*: counts by name and part, which are no ends of records.
    """

    events: int
    kept: int
    tables: dict[str, int]
    duplicates: dict[tuple[str, int], tuple[int, int]]
    notes: dict[str, dict[int, int]]


@contextmanager
def connect(memory: int | None = None, spill: Path | None = None, threads: int | None = None) -> Iterator[Connection]:
    """An in-memory DuckDB in UTC that never looks for extensions; DuckDB's errors come out as ours."""
    connection = duckdb.connect(
        config={
            "autoinstall_known_extensions": False,
            "autoload_known_extensions": True,
            "threads": threads or os.cpu_count() or 1,
        }
    )
    with closing(connection), _told():
        connection.execute("set global TimeZone = 'UTC'")  # global: for its cursors too
        if memory is not None:
            limit = max(_LEAST, memory - _PROCESS)
            connection.execute(f"set memory_limit = '{limit}B'")
        if spill is not None:
            connection.execute(f"set temp_directory = {quote(str(spill))}")
        yield connection


@contextmanager
def read_aside(connection: Connection) -> Iterator[Connection]:
    """Another connection to the DuckDB of *connection*, for one thread to read with; nobody waits for another."""
    with closing(connection.cursor()) as aside, _told():
        aside.execute("begin transaction read only")  # also for what `explain analyze` would do in memory
        yield aside


@contextmanager
def _told() -> Iterator[None]:
    try:
        yield
    except duckdb.OutOfMemoryException as error:
        raise SojournError(
            "memory", f"the memory is not enough; give more with --memory ({_first_line(error)})"
        ) from error
    except duckdb.Error as error:
        if _NO_ROOM.search(str(error)):
            path = _PATH.search(str(error))
            raise disk_full(f" ({path[0]})" if path is not None else "") from error
        if isinstance(error, duckdb.IOException):
            raise SojournError("io", f"reading or writing failed: {_first_line(error)}") from error
        raise
    except RuntimeError as error:
        if str(error) == "Query interrupted":  # DuckDB saw the interrupt before Python did
            raise KeyboardInterrupt from error
        raise


def build(
    pipeline: Pipeline,
    files: list[EventFile],
    snapshot: Path,
    memory: int | None,
    spill: Path,
    until: int | None = None,
) -> Built:
    """Compute every table of *pipeline* over *files* into the DuckDB file *snapshot*.

    *until*: the end of observation in epoch microseconds, where it is not that of the latest event.
    """
    steps = dict(plan(pipeline))
    with connect(memory or DEFAULT_MEMORY, spill) as connection:
        connection.execute(f"attach {quote(str(snapshot))} as snapshot")
        connection.execute("use snapshot")
        for name, source in pipeline.source.items():
            _landed(connection, name, source, [file for file in files if file.source == name])
        connection.execute("create temp table limits as select $1::bigint as until", [until])
        passing = [file.part for file in files if not file.is_kept]
        built = waited_for(lambda: _built(connection, steps, pipeline, passing), connection.interrupt)
        connection.execute("use memory")
        connection.execute("checkpoint snapshot")  # detaching would do it too, but silently leave a log when it fails
        connection.execute("detach snapshot")
    return built


def _built(connection: Connection, steps: dict[str, str], pipeline: Pipeline, passing: list[int | None]) -> Built:
    if "repeated" in steps:
        connection.execute(f"create temp table repeated as {steps.pop('repeated')}")
    duplicates = _duplicates(connection, "events", steps.pop("duplicates", None))
    connection.execute(f"create temp view events as {steps.pop('events')}")
    notes: dict[str, dict[int, int]] = {}
    rows: dict[str, int] = {}
    for name, sql in steps.items():
        if name == "_server_duplicates":
            duplicates |= _duplicates(connection, "servers", sql)
        elif name in _NOTES:
            notes[_NOTES[name]] = dict(connection.execute(sql).fetchall())
        elif name.startswith("_"):
            connection.execute(f"create temp table {name} as {sql}")
        else:
            rows[name] = _create(connection, name, sql)
    for name in pipeline.tables:
        if name in MADE:
            rows[name] = _make(connection, name, pipeline)
    events = _number(connection, "select count(*) from events")
    kept = _number(connection, _of_others(passing, pipeline)) if passing else events
    return Built(events, kept, {name: rows[name] for name in pipeline.tables}, duplicates, notes)


def _of_others(passing: list[int | None], pipeline: Pipeline) -> str:
    """How many events there are without the parts *passing*."""
    keys = ", ".join(map(identifier, pipeline.events.identity))
    numbers = ", ".join(map(str, passing))
    return f"select count(*) from (select distinct {keys} from parts_events where _part not in ({numbers}))"


def _make(connection: Connection, name: str, pipeline: Pipeline) -> int:
    """Make a table that a library works out."""
    connection.register("made", MADE[name](lambda sql: connection.sql(sql).to_arrow_table(), pipeline))
    connection.execute(f"create table {name} as from made")
    connection.unregister("made")
    return _number(connection, f"select count(*) from {name}")


@contextmanager
def attached(
    snapshots: Mapping[str, Path], memory: int | None = None, spill: Path | None = None, threads: int | None = None
) -> Iterator[Connection]:
    """A connection with each snapshot attached read-only under its pipeline's name."""
    with connect(memory, spill, threads) as connection:
        for name, path in snapshots.items():
            connection.execute(f"attach {quote(str(path))} as {identifier(name)} (read_only)")
        yield connection


def lock_down(connection: Connection, readable: list[Path]) -> None:
    """Let *connection* read what is attached and the files *readable*, and nothing else, for good."""
    connection.execute("set allowed_paths = $1", [[str(path) for path in readable]])
    connection.execute("set enable_external_access = false")
    connection.execute("set lock_configuration = true")


def select(connection: Connection, sql: str) -> pa.RecordBatchReader:
    """The rows of a person's one read-only statement; a mistake in it is a `UsageError`, also while they are read."""
    try:
        statements = connection.extract_statements(sql)
        if len(statements) != 1 or statements[0].type not in (
            duckdb.StatementType.SELECT,
            duckdb.StatementType.EXPLAIN,
        ):
            raise UsageError("not_a_query", "only one SELECT (or EXPLAIN, DESCRIBE, SHOW) can be run here")
        reader = waited_for(lambda: connection.sql(sql).to_arrow_reader(10_000), connection.interrupt)
    except duckdb.PermissionException as error:
        raise UsageError(
            "not_allowed", f"the query reads outside the published tables: {_first_line(error)}"
        ) from error
    except _NOT_ITS_FAULT:
        raise
    except duckdb.Error as error:
        raise _does_not_run(error) from error
    return pa.RecordBatchReader.from_batches(reader.schema, _batches(connection, reader))


def _batches(connection: Connection, reader: pa.RecordBatchReader) -> Iterator[pa.RecordBatch]:
    try:
        while (batch := waited_for(lambda: next(reader, None), connection.interrupt)) is not None:
            yield batch
    except OSError as error:  # DuckDB's, in Arrow's clothes
        raise _does_not_run(error) from error


def _does_not_run(error: Exception) -> UsageError:
    return UsageError("bad_query", f"the query does not run: {_first_line(error)}")


def quote(text: str) -> str:
    """*text* as an SQL string."""
    return "'" + text.replace("'", "''") + "'"


def identifier(name: str) -> str:
    """*name* as an SQL identifier."""
    return '"' + name.replace('"', '""') + '"'


def parquet(files: Iterable[Path]) -> str:
    """Parquet *files* as an SQL relation."""
    return f"read_parquet([{', '.join(quote(str(file)) for file in files)}])"


def _landed(connection: Connection, name: str, source: Source, files: list[EventFile]) -> None:
    """The relations of one source that plans read: `landed_NAME`, and `parts_NAME` with the part of each record."""
    columns = source.landed
    if not files:
        nulls = [f"null::{_KINDS.get(kind, 'varchar')} as {identifier(column)}" for column, kind in columns.items()]
        connection.execute(f"create temp view landed_{name} as select {', '.join(nulls)} where false")
        connection.execute(
            f"create temp view parts_{name} as select *, 0::bigint as _part, true as _is_new from landed_{name}"
        )
        return
    fields = ", ".join(identifier(column) for column in columns)
    paths = ", ".join(quote(str(file.path)) for file in files)
    connection.execute(f"create temp table numbered_{name} (_file varchar, _part bigint)")
    connection.executemany(
        f"insert into numbered_{name} values ($1, $2)", [[str(file.path), file.part] for file in files]
    )
    connection.execute(f"create temp view landed_{name} as select {fields} from read_parquet([{paths}])")
    connection.execute(
        f"create temp view parts_{name} as select {fields}, coalesce(_part, -1) as _part, _part is not null as _is_new "
        f"from read_parquet([{paths}], filename = '_file') join numbered_{name} using (_file)"
    )


def _duplicates(connection: Connection, source: str, sql: str | None) -> dict[tuple[str, int], tuple[int, int]]:
    if sql is None or (source == "events" and not _number(connection, "select count(*) from repeated")):
        return {}
    rows = connection.execute(sql).fetchall()
    return {(source, part): (int(copies), int(conflicting)) for part, copies, conflicting in rows}


def _create(connection: Connection, name: str, sql: str) -> int:
    """Make one published table: instants become timestamps (UTC), days dates, wide sums ordinary integers."""
    kinds = {row[0]: row[1] for row in connection.execute(f"describe {sql}").fetchall()}
    replaced = [f"make_timestamp({column}) as {column}" for column in _INSTANTS.get(name, ())]
    replaced += [f"date '1970-01-01' + {_DAYS[name]}::integer as {_DAYS[name]}"] if name in _DAYS else []
    replaced += [f"{column}::bigint as {column}" for column, kind in kinds.items() if kind == "HUGEINT"]
    columns = f"* replace ({', '.join(replaced)})" if replaced else "*"
    connection.execute(f"create table {identifier(name)} as select {columns} from ({sql})")
    return _number(connection, f"select count(*) from {identifier(name)}")


def _number(connection: Connection, sql: str) -> int:
    rows = connection.execute(sql).fetchall()  # all of them: a result half read would stand in the way of others
    return int(rows[0][0])


def _first_line(error: Exception) -> str:
    """What DuckDB says first, with its suggestion where it has one."""
    first, *more = str(error).strip().split("\n")
    return " ".join([first, *(line for line in more if line.startswith(("Did you mean", "Candidate bindings")))])
