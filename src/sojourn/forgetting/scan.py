"""Where actors are: in event files, snapshots, quarantine and the messages of runs. Used to find, and then to prove."""

from collections.abc import Collection, Iterable
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from sojourn.engines import duckdb as engine
from sojourn.engines.duckdb import Connection, identifier, quote
from sojourn.forgetting.known import Actors
from sojourn.pipeline import Source
from sojourn.reading.forgotten import ACTORS, KINDS, is_named, kinds_of
from sojourn.reading.tokens import of_reject
from sojourn.store.base import Store
from sojourn.store.refusals import SUFFIX
from sojourn.store.schemas import IDENTITY

_OF_STREAMS = ("session_id", "name")
_NO_VALUES = ("seq", "position", "type", "occurred_at", "fingerprint")  # of an entry as it landed

_KINDS = {"VARCHAR": "text", "BIGINT": "integer", "DOUBLE": "number"}
_MOST = 1 << 63

Row = dict[str, Any]
Columns = dict[str, str]
"""Columns of a relation, and their types in DuckDB."""


def pipelines(store: Store) -> list[str]:
    """Every pipeline that something is kept of, by name."""
    folders = [*(store.area / "events").glob("*"), *(store.area / "warehouse").glob("*")]
    return sorted({*(row["pipeline"] for row in store.published()), *(folder.name for folder in folders)})


def event_files(store: Store, pipeline: str) -> list[Path]:
    """Every landed event file of *pipeline* that lies in the store, whether a run names it or not."""
    return sorted((store.area / "events" / pipeline).glob("*/*.parquet"))


def in_events(paths: Collection[Path], actors: Actors, *, streams: bool) -> dict[Path, int]:
    """The event files with rows that name an actor, and how many; of streams, rows of sessions that do."""
    named = actors.with_sessions(sessions_in(paths, actors)) if streams else actors
    found = {}
    with engine.connect() as connection:
        for path in paths:
            held = of_events(_columns(connection, path), named, streams=streams)
            if rows := _count(connection, engine.parquet([path]), held):
                found[path] = rows
    return found


def sessions_in(paths: Collection[Path], actors: Actors) -> set[str]:
    """The sessions of streams that name an actor in what landed of them."""
    with engine.connect() as connection:
        found: set[str] = set()
        for path in paths:
            held = of_events(_columns(connection, path), actors, streams=True)
            if held is not None:
                sql = f"select distinct session_id from {engine.parquet([path])} where {held}"
                found |= {row[0] for row in connection.execute(sql).fetchall()}
    return found


def in_snapshots(store: Store, pipeline: str, actors: Actors, *, streams: bool) -> list[Path]:
    """The snapshots of *pipeline* in the store with tables (those of their state included) that name an actor."""
    found = []
    for path in sorted((store.area / "warehouse" / pipeline).glob("*.duckdb")):
        with engine.attached({"snapshot": path}) as connection:
            tables = _tables(connection).items()
            if any(_count(connection, name, of_table(columns, actors, streams=streams)) for name, columns in tables):
                found.append(path)
    return found


def in_tables(store: Store, pipeline: str, actors: Actors, *, streams: bool) -> list[str]:
    """The tables with rows that name an actor, as readers of the store see them."""
    found = []
    kinds = {"string": "VARCHAR", "int64": "BIGINT", "double": "DOUBLE"}
    for table in [row["table"] for row in store.published() if row["pipeline"] == pipeline]:
        with store.query(f"select * from {identifier(table)} limit 0", pipeline=pipeline) as reader:
            columns = {column.name: kinds.get(str(column.type), "") for column in reader.schema}
        held = of_table(columns, actors, streams=streams)
        if held is not None:
            with store.query(f"select 1 as n from {identifier(table)} where {held} limit 1", pipeline=pipeline) as rows:
                found += [table] if rows.read_all().num_rows else []
    return found


def in_quarantine(
    store: Store, pipeline: str | None, actors: Actors, sources: dict[str, dict[str, Source]]
) -> list[Row]:
    """The quarantined records that name an actor: what each is known by, its file and its reason.

    *sources* of the pipelines say what can be an actor, and how text is cut; without them everything can.
    """
    columns = ", ".join((*IDENTITY, "file", "reason", "raw", "value"))
    chosen = f" where pipeline = {quote(pipeline)}" if pipeline is not None else ""
    found = []
    with store.query(f"select {columns} from sojourn.quarantine{chosen}") as reader:
        for batch in reader:
            found += [row for row in batch.to_pylist() if _is_named(row, actors, sources)]
    return [{name: row[name] for name in (*IDENTITY, "file", "reason")} for row in found]


def in_changes(store: Store, pipeline: str, actors: Actors, sources: dict[str, Source]) -> list[Path]:
    """The files that say what runs of *pipeline* changed in the quarantine, with records that name an actor."""
    found = []
    for path in sorted((store.area / "warehouse" / pipeline).glob(f"*{SUFFIX}")):
        with pq.ParquetFile(path) as file:
            batches = file.iter_batches(1000, columns=["pipeline", "source", "raw", "value", "reason"])
            if any(_is_named(row, actors, {pipeline: sources}) for batch in batches for row in batch.to_pylist()):
                found.append(path)
    return found


def told_by(store: Store, actors: Actors) -> list[str]:
    """The runs whose message names an actor, as the error that ended one may."""
    with store.query("select run_id, message from sojourn.runs where message is not null") as reader:
        rows = reader.read_all().to_pylist()
    return [row["run_id"] for row in rows if is_named(of_reject(row["message"].encode(), None), {"text"}, actors)]


def of_events(columns: Columns, actors: Actors, *, streams: bool) -> str | None:
    """The condition on a landed record that names an actor; None where none can."""
    names = [name for name in columns if name not in _NO_VALUES] if streams else ACTORS
    return _condition(columns, names, actors)


def of_table(columns: Columns, actors: Actors, *, streams: bool) -> str | None:
    """The condition on a row of a table that names an actor; None where none can."""
    return _condition(columns, (*ACTORS, *(_OF_STREAMS if streams else ())), actors)


def _condition(columns: Columns, names: Iterable[str], actors: Actors) -> str | None:
    held = []
    for name in names:
        kind = _KINDS.get(columns.get(name, ""))
        forms = actors.of(kind) if kind is not None else []
        if kind == "integer":
            forms = [form for form in forms if -_MOST <= int(form) < _MOST]
        values = ", ".join(map(quote, forms) if kind == "text" else forms)
        held += [f"{identifier(name)} in ({values})"] if values else []
    return " or ".join(held) or None


def _is_named(row: Row, actors: Actors, sources: dict[str, dict[str, Source]]) -> bool:
    source = sources.get(row["pipeline"], {}).get(row["source"])
    kinds = kinds_of(source) if source is not None else set(KINDS)
    delimiter = source.delimiter if source is not None and source.format == "csv" else None
    return bool(kinds) and is_named(of_reject(row["raw"], row["value"], delimiter, row["reason"]), kinds, actors)


def _columns(connection: Connection, path: Path) -> Columns:
    rows = connection.execute(f"describe from {engine.parquet([path])}").fetchall()
    return {row[0]: row[1] for row in rows}


def _tables(connection: Connection) -> dict[str, Columns]:
    """Each table of the attached snapshot, with its columns."""
    found: dict[str, Columns] = {}
    rows = connection.execute(
        "select schema_name, table_name, column_name, data_type from duckdb_columns() "
        "where database_name = 'snapshot' and not internal"
    ).fetchall()
    for schema, table, column, kind in rows:
        found.setdefault(f"snapshot.{identifier(schema)}.{identifier(table)}", {})[column] = kind
    return found


def _count(connection: Connection, relation: str, held: str | None) -> int:
    if held is None:
        return 0
    rows: list[tuple[int]] = connection.execute(f"select count(*) from {relation} where {held}").fetchall()
    return rows[0][0]
