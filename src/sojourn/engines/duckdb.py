"""The door to DuckDB: connections with limits, and a person's read-only queries."""

import os
import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path

import pyarrow as pa

from sojourn.engines.waiting import waited_for
from sojourn.errors import SojournError, UsageError, disk_full
from sojourn.pipeline import parse_size
from sojourn.signals import held, interrupt, is_ending

with held():  # broken off, it says that it cannot be imported
    import duckdb

DEFAULT_MEMORY = 640_000_000
"""Bytes for a whole run where `--memory` says nothing, unless its events are many (`fitting`)."""

_UNPACKED = 6  # bytes to sort an event in, for each that it takes as Parquet
_PROCESS = 130_000_000  # Python, Arrow and DuckDB themselves, before the first row
_COUNTED = 0.85  # of the rest: DuckDB counts neither the footers of thousands of files nor what lies between its pages
_LEAST = 110_000_000
_NO_ROOM = re.compile("No space left on device|File too large|Disk quota exceeded", re.IGNORECASE)
_PATH = re.compile(r'/[^"\\]+')
_QUOTED = re.compile(r"""["'](/.*?\.parquet)["']""")
_DAMAGED = re.compile(
    r"too small to be a Parquet file|No magic bytes found|Failed to read file .*\.parquet|"
    r"TProtocolException|Variable-length int"
)
_NOT_ITS_FAULT = (duckdb.OutOfMemoryException, duckdb.IOException, duckdb.FatalException, duckdb.InternalException)

Connection = duckdb.DuckDBPyConnection


def fitting(size: int) -> int:
    """Bytes for a run over *size* bytes of landed events, where `--memory` says nothing: enough to sort them without
    writing most of them to the disk, and at most half of what DuckDB would allow itself, which knows of containers.
    """
    wanted = _UNPACKED * size
    if wanted <= DEFAULT_MEMORY:
        return DEFAULT_MEMORY
    with closing(duckdb.connect()) as connection:
        [(most,)] = connection.execute("select current_setting('memory_limit')").fetchall()
    return max(DEFAULT_MEMORY, min(wanted, parse_size(most) // 2))


@contextmanager
def connect(memory: int | None = None, spill: Path | None = None, threads: int | None = None) -> Iterator[Connection]:
    """An in-memory DuckDB in UTC that never looks for extensions; DuckDB's errors come out as ours.

    *memory* bounds it, in bytes; one that has a folder to *spill* to is bounded in any case.
    """
    connection = duckdb.connect(
        config={
            "autoinstall_known_extensions": False,
            "autoload_known_extensions": True,
            "threads": threads or os.cpu_count() or 1,
        }
    )
    with closing(connection), _told():
        connection.execute("set global TimeZone = 'UTC'")  # global: for its cursors too
        connection.execute("set enable_progress_bar = false")  # on where Python has no script: in the midst of --json
        if memory is not None or spill is not None:
            limit = max(_LEAST, int(((memory or DEFAULT_MEMORY) - _PROCESS) * _COUNTED))
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
    except (duckdb.Error, RuntimeError) as error:
        if is_ending() or str(error) == "Query interrupted":  # DuckDB saw the signal, and tells of it in many ways
            raise interrupt() from error
        if (ours := _as_ours(error)) is not None:
            raise ours from error
        raise


def _as_ours(error: Exception) -> SojournError | None:
    """What a person is told of an *error* of DuckDB; None where it is a mistake in code."""
    if isinstance(error, duckdb.OutOfMemoryException):
        return SojournError("memory", f"the memory is not enough; give more with --memory ({_first_line(error)})")
    if not isinstance(error, duckdb.Error):
        return None
    if _NO_ROOM.search(str(error)):
        path = _PATH.search(str(error))
        return disk_full(f" ({path[0]})" if path is not None else "")
    if isinstance(error, duckdb.IOException):
        return SojournError("io", f"reading or writing failed: {_first_line(error)}")
    return _damaged(error) if _is_damage(error) else None


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
        raise _damaged(error) if _is_damage(error) else _does_not_run(error) from error
    return pa.RecordBatchReader.from_batches(reader.schema, _batches(connection, reader))


def _batches(connection: Connection, reader: pa.RecordBatchReader) -> Iterator[pa.RecordBatch]:
    try:
        while (batch := waited_for(lambda: next(reader, None), connection.interrupt)) is not None:
            yield batch
    except OSError as error:  # DuckDB's, in Arrow's clothes
        raise _damaged(error) if _is_damage(error) else _does_not_run(error) from error


def _does_not_run(error: Exception) -> UsageError:
    return UsageError("bad_query", f"the query does not run: {_first_line(error)}")


def _is_damage(error: Exception) -> bool:
    """Whether a Parquet file is none any more; what the decoder of its headers says has no class of its own."""
    return type(error) is duckdb.Error or _DAMAGED.search(str(error)) is not None


def _damaged(error: Exception) -> SojournError:
    """The error for a Parquet file that is none any more; DuckDB does not always say which."""
    path = _QUOTED.search(str(error))
    what = f"the file {path[1]} is damaged" if path is not None else "a Parquet file is damaged (see: sojourn verify)"
    return SojournError("damaged_file", f"{what}: {_first_line(error)}; bring it back from a backup")


def quote(text: str) -> str:
    """*text* as an SQL string."""
    return "'" + text.replace("'", "''") + "'"


def identifier(name: str) -> str:
    """*name* as an SQL identifier."""
    return '"' + name.replace('"', '""') + '"'


def parquet(files: Iterable[Path]) -> str:
    """Parquet *files* as an SQL relation."""
    return f"read_parquet([{', '.join(quote(str(file)) for file in files)}])"


def _first_line(error: Exception) -> str:
    """What DuckDB says first, with its suggestion where it has one."""
    first, *more = str(error).strip().split("\n")
    return " ".join([first, *(line for line in more if line.startswith(("Did you mean", "Candidate bindings")))])
