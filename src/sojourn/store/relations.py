"""What Sojourn keeps in a PostgreSQL database: the schema `sojourn`, and a schema of tables for each pipeline.

A pipeline's table has one partition: its rows, loaded beside the current ones into the schema `sojourn` under the
run's name. Publishing exchanges the partition, so that people's views and grants on the table stay.
"""

import json
import time
from collections.abc import Mapping
from itertools import count
from pathlib import Path
from typing import Any

import pyarrow as pa

from sojourn.engines import duckdb as engine
from sojourn.engines.duckdb import identifier
from sojourn.errors import SojournError, UsageError
from sojourn.store.adbc import DatabaseError, Session
from sojourn.store.base import Publication
from sojourn.store.files import tell
from sojourn.store.manifest import Entry
from sojourn.store.schemas import FORMAT, IDENTITY, QUARANTINE, RUNS, run_row

_COLUMNS = ", ".join(QUARANTINE.names)
_ADDED = f"insert into sojourn.quarantine ({_COLUMNS}) select {_COLUMNS} from {{part}} on conflict do nothing"
_WITHDRAWN = "delete from sojourn.quarantine as q using {part} as p where " + " and ".join(
    f"q.{name} = p.{name}" for name in IDENTITY
)

PATIENCE = 600.0
"""Seconds that publishing waits for open transactions that have read the tables."""

# The first is shorter than PostgreSQL's deadlock_timeout of 1 s, the second shorter than two of them: of a reader and
# us, we are who steps back. But only who waits longer than one makes autovacuum step back.
_TRY, _LONG_TRY = "300ms", "1500ms"
_LOCK_NOT_AVAILABLE = ("55P03", "40P01")
_TYPES = {
    "BIGINT": "bigint",
    "DOUBLE": "double precision",
    "BOOLEAN": "boolean",
    "VARCHAR": 'text collate "C"',  # in the order of its bytes everywhere, also where a metric or a person sorts
    "TIMESTAMP": "timestamptz",
    "BLOB": "bytea",
    "DATE": "date",
}
_OWN = {pa.int64(): "BIGINT", pa.float64(): "DOUBLE", pa.string(): "VARCHAR", pa.binary(): "BLOB"}


def are_made(session: Session) -> bool:
    """Whether a run has ever written to the database."""
    return bool(session.rows("select 1 as yes where to_regclass('sojourn.meta') is not null"))


def make(session: Session, store_id: str, home_id: str) -> None:
    """Create `sojourn`'s own tables in a database that has none."""
    if session.rows("show server_encoding", copies=False)[0]["server_encoding"] != "UTF8":
        raise UsageError("bad_encoding", "the database's encoding is not UTF8; make one with: createdb -E UTF8 NAME")
    _make_schema(session, "sojourn")
    session.execute(
        "create table sojourn.meta (store text, home text, format bigint);"
        f"create table sojourn.runs ({_own_columns(RUNS)}, primary key (run_id));"
        f"create table sojourn.quarantine ({_own_columns(QUARANTINE)}, primary key ({', '.join(IDENTITY)}));"
        'create table sojourn.pipelines (pipeline text collate "C" primary key, run_id text, tables text, runs text)'
    )
    session.execute("insert into sojourn.meta values ($1, $2, $3)", store_id, home_id, FORMAT)


def store_id(session: Session) -> str:
    """The database's own id."""
    return str(session.rows("select store from sojourn.meta")[0]["store"])


def entries(session: Session) -> dict[str, Entry]:
    """The pipelines that publish here, by name; of a database of format 1 their current tables only."""
    rows = session.rows(
        "select pipeline, run_id, tables, coalesce(to_jsonb(p) ->> 'runs', '[]') as runs from sojourn.pipelines as p "
        "order by pipeline"
    )
    return {row["pipeline"]: Entry(row["run_id"], json.loads(row["tables"]), json.loads(row["runs"])) for row in rows}


def is_kept(session: Session, pipeline: str) -> bool:
    """Whether runs of *pipeline* keep something in a home."""
    if session.rows("select 1 as yes where to_regclass('sojourn.event_files') is not null"):  # format 1
        return bool(session.rows("select 1 as yes from sojourn.event_files where pipeline = $1 limit 1", pipeline))
    return pipeline in (known := entries(session)) and bool(known[pipeline].runs)


def load_tables(session: Session, publication: Publication) -> dict[str, str]:
    """Load every table of the snapshot beside the current ones; table -> the name of its rows."""
    run_id = publication.report["run_id"]
    parts = {table: f"{run_id}_{at}" for at, table in enumerate(publication.kept.tables)}
    with engine.attached({publication.pipeline: publication.snapshot}) as snapshot:
        snapshot.execute(f"use {identifier(publication.pipeline)}")
        for table, part in parts.items():
            _load(session, snapshot, f"from {identifier(table)}", part, creates=True)
    return parts


def list_pipeline(session: Session, publication: Publication, runs: list[str]) -> None:
    """Name the run as the pipeline's current one, and the *runs* that are kept."""
    session.execute("delete from sojourn.pipelines where pipeline = $1", publication.pipeline)
    session.execute(
        "insert into sojourn.pipelines (pipeline, run_id, tables, runs) values ($1, $2, $3, $4)",
        publication.pipeline,
        str(publication.kept.run_id),
        json.dumps(publication.kept.tables),
        json.dumps(runs),
    )


def list_kept(session: Session, kept: dict[str, list[str]]) -> None:
    """Name the runs that are kept of each pipeline."""
    for pipeline, runs in kept.items():
        session.execute("update sojourn.pipelines set runs = $1 where pipeline = $2", json.dumps(runs), pipeline)


def let_go_of_rows(session: Session, kept: dict[str, list[str]], older_than: float | None, *, is_dry: bool) -> int:
    """Remove the rows of runs, none of them *kept*, that began more than *older_than* seconds ago; how many."""
    if older_than is None or not are_made(session):
        return 0
    names = ", ".join(engine.quote(run) for runs in kept.values() for run in runs) or "''"
    goes = f"started_at < now() - {older_than} * interval '1 second' and run_id not in ({names})"
    rows = int(session.rows(f"select count(*) as n from sojourn.runs where {goes}")[0]["n"])
    if not is_dry:
        session.execute(f"delete from sojourn.runs where {goes}")
    return rows


def record_run(
    session: Session,
    report: dict[str, Any],
    message: str | None,
    quarantine: Path | None,
    replayed: Path | None = None,
) -> None:
    """Add a run's row, and those of its quarantined records that do not stand yet; take away those *replayed*."""
    with engine.connect() as given:
        given.register("run", run_row(report, message))
        _load(session, given, "from run", "runs")
        for path, change in ((replayed, _WITHDRAWN), (quarantine, _ADDED)):
            if path is not None:
                part = f"{report['run_id']}_quarantine"
                _load(session, given, f"from {engine.parquet([path])}", part, creates=True)
                name = _name("sojourn", part)
                session.execute(f"{change.format(part=name)}; drop table {name}")


def exchange(session: Session, pipeline: str, parts: Mapping[str, str]) -> None:
    """Give *pipeline*'s tables these parts in place of their current ones; from here on their readers wait."""
    _make_schema(session, pipeline)
    current = _tables(session, pipeline)
    for table in parts:
        if current.get(table, "p") != "p":
            raise UsageError(
                "name_taken",
                f"the database has a table {pipeline}.{table} that Sojourn did not make; rename it, or give the "
                "pipeline's file another name",
            )
    ours = [table for table, kind in current.items() if kind == "p"]
    _lock(session, pipeline, ours)
    for table in ours:
        if table not in parts or not _same_columns(session, pipeline, table, parts[table]):
            session.execute(f"drop table {_name(pipeline, table)}")
            continue
        for old in session.rows(
            "select inhrelid::regclass::text as name from pg_catalog.pg_inherits where inhparent = $1::regclass",
            _name(pipeline, table),
        ):
            session.execute(f"drop table {old['name']}")
    for table, part in parts.items():
        _attach(session, _name(pipeline, table), f"sojourn.{identifier(part)}")


def _attach(session: Session, table: str, part: str) -> None:
    key = session.rows(
        "select quote_ident(attname) as name from pg_catalog.pg_attribute where attrelid = $1::regclass and attnum = 1",
        part,
    )[0]["name"]
    session.execute(
        f"create table if not exists {table} (like {part}) partition by list ({key}); "
        f"alter table {table} attach partition {part} default"
    )


def _lock(session: Session, pipeline: str, tables: list[str]) -> None:
    """Wait until nobody is within a transaction that has read *tables*; new readers wait for us only briefly."""
    if not tables:
        return
    names = ", ".join(_name(pipeline, table) for table in sorted(tables))
    until = time.monotonic() + PATIENCE
    session.execute("savepoint unlocked")
    for attempt in count(1):
        try:
            limit = _LONG_TRY if attempt % 10 == 0 else _TRY
            session.execute(f"set local lock_timeout = '{limit}'; lock table {names} in access exclusive mode")
        except DatabaseError as error:
            if error.sqlstate not in _LOCK_NOT_AVAILABLE:
                raise
        else:
            break
        if time.monotonic() > until:
            raise SojournError(
                "tables_in_use",
                f"an open transaction has been reading the tables of {pipeline} for {PATIENCE:g} s, nothing was "
                "published; end it (pg_stat_activity shows it) and run again",
            )
        session.execute("rollback to savepoint unlocked")
        if attempt == 5:
            tell(f"waiting for open transactions that have read the tables of {pipeline}")
        time.sleep(0.1)
    session.execute("set local lock_timeout = 0")


def _tables(session: Session, pipeline: str) -> dict[str, str]:
    """Relation -> its kind (`p` is a partitioned table) in a pipeline's schema."""
    rows = session.rows(
        "select relname::text as name, relkind::text as kind from pg_catalog.pg_class "
        "where relnamespace = $1::regnamespace",
        identifier(pipeline),
    )
    return {row["name"]: row["kind"] for row in rows}


def _same_columns(session: Session, pipeline: str, table: str, part: str) -> bool:
    sql = (
        "select attname::text as name, atttypid::bigint as kind from pg_catalog.pg_attribute "
        "where attrelid = $1::regclass and attnum > 0 and not attisdropped order by attnum"
    )
    return session.rows(sql, _name(pipeline, table)) == session.rows(sql, _name("sojourn", part))


def _make_schema(session: Session, name: str) -> None:
    # asked first: `if not exists` demands the right to create also where there is nothing to create
    if not session.rows("select 1 as yes where to_regnamespace($1) is not null", identifier(name)):
        session.execute(f"create schema if not exists {identifier(name)}")  # the journal may make it at this moment


def _load(session: Session, source: engine.Connection, query: str, table: str, *, creates: bool = False) -> None:
    """Copy rows to a table of `sojourn`: instants with their zone, U+FFFD for the NUL that PostgreSQL's text lacks."""
    kinds = {row[0]: row[1] for row in source.execute(f"describe {query}").fetchall()}
    replaced = [f"timezone('UTC', {identifier(name)}) as {identifier(name)}" for name in _of(kinds, "TIMESTAMP")]
    replaced += [
        f"replace({identifier(name)}, chr(0), chr(65533)) as {identifier(name)}" for name in _of(kinds, "VARCHAR")
    ]
    if creates:
        session.execute(f"create table {_name('sojourn', table)} ({_columns(kinds)})")
    columns = f"* replace ({', '.join(replaced)})" if replaced else "*"
    session.load(source.sql(f"select {columns} from ({query})").to_arrow_reader(100_000), table)


def _of(kinds: Mapping[str, str], kind: str) -> list[str]:
    return [name for name, of in kinds.items() if of == kind]


def _columns(kinds: Mapping[str, str]) -> str:
    """The columns of a table for DuckDB's *kinds*."""
    return ", ".join(f"{identifier(name)} {_TYPES[kind]}" for name, kind in kinds.items())


def _own_columns(schema: pa.Schema) -> str:
    return _columns({field.name: _OWN.get(field.type, "TIMESTAMP") for field in schema})


def _name(schema: str, table: str) -> str:
    return f"{identifier(schema)}.{identifier(table)}"
