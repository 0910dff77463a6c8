"""PostgreSQL: one schema per pipeline, a run published in one transaction, by Arrow over ADBC."""

import contextlib
import json
import re
import sys
import uuid
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import pyarrow as pa

from sojourn.engines import duckdb as engine
from sojourn.errors import SojournError, UsageError
from sojourn.store.base import QUARANTINE_COLUMNS, RUN_COLUMNS, Kept, Publication, Store, run_row

_TYPES = {"varchar": "text", "double": "double precision", "timestamp": "timestamptz", "blob": "bytea"}
_LOCK = 7_030_541_201  # one advisory lock for all of Sojourn in a database
_STAGING = "sojourn_staging"


class Postgres(Store):
    """Publishes into a PostgreSQL database; landed events stay in the home that the database knows."""

    def __init__(self, home: Path, url: str, home_id: str) -> None:
        self.url = url
        self.home_id = home_id
        super().__init__(home, home / "stores" / self._store_id())

    def kept(self, pipeline: str) -> Kept:
        """What the database lists of *pipeline*."""
        with self._connection() as cursor:
            head = _rows(
                cursor,
                "select run_id, events, reading from sojourn.pipelines where pipeline = $1",
                [pipeline],
            )
            files = _rows(cursor, "select path from sojourn.event_files where pipeline = $1 order by path", [pipeline])
        if not head:
            return Kept()
        paths = tuple(row["path"] for row in files)
        return Kept(head[0]["run_id"], paths, head[0]["events"], json.loads(head[0]["reading"]))

    def publish(self, publication: Publication) -> None:
        """Load the tables beside the current ones and put them in their place, all in one transaction."""
        schema = engine.identifier(publication.pipeline)
        name = publication.pipeline
        with self._connection() as cursor, engine.attached({name: publication.snapshot}) as snapshot:
            cursor.execute(f"drop schema if exists {_STAGING} cascade")
            cursor.execute(f"create schema {_STAGING}")
            for table in publication.tables:
                rows = snapshot.sql(f"from {schema}.{engine.identifier(table)}")
                instants = [f"timezone('UTC', {column}) as {column}" for column in _instants(rows)]
                kept = f"* replace ({', '.join(instants)})" if instants else "*"
                reader = snapshot.sql(f"select {kept} from rows").to_arrow_reader(100_000)
                cursor.adbc_ingest(table, reader, mode="create", db_schema_name=_STAGING)
            cursor.execute(f"create schema if not exists {schema}")
            for old in _rows(cursor, "select tablename from pg_tables where schemaname = $1", [name]):
                cursor.execute(f"drop table {schema}.{engine.identifier(old['tablename'])} cascade")
            for table in publication.tables:
                cursor.execute(f"alter table {_STAGING}.{engine.identifier(table)} set schema {schema}")
            cursor.execute(f"drop schema {_STAGING}")
            self._list(cursor, publication)
            self._record(cursor, publication.report, None, publication.quarantine)
        self._clean()

    def record(self, report: dict[str, Any], message: str, quarantine: Path | None) -> None:
        """Add the row and the quarantine of a run that published nothing."""
        with self._connection() as cursor:
            self._record(cursor, report, message, quarantine)

    def published(self) -> list[dict[str, Any]]:
        """Every published table."""
        with self._connection() as cursor:
            heads = _rows(cursor, "select pipeline, run_id, tables from sojourn.pipelines order by pipeline", [])
        return [
            {"pipeline": head["pipeline"], "table": table, "rows": rows, "run_id": head["run_id"]}
            for head in heads
            for table, rows in json.loads(head["tables"]).items()
        ]

    @contextmanager
    def query(self, sql: str, *, pipeline: str | None = None) -> Iterator[pa.RecordBatchReader]:
        """Run *sql* in a read-only transaction, without a superuser's reach to files."""
        with self._connection() as cursor:
            cursor.execute("set transaction read only")
            if _rows(cursor, "select 1 as yes from pg_roles where rolname = current_user and rolsuper", []):
                cursor.execute("set local role pg_read_all_data")
            if pipeline is not None:
                cursor.execute(f"set local search_path = {engine.identifier(pipeline)}")
            if not re.match(r"\s*(select|with|values|table|explain|show|\()", sql, re.IGNORECASE):
                raise UsageError("not_a_query", "only one SELECT (or EXPLAIN, SHOW) can be run here")
            try:
                cursor.execute(sql)
                reader = cursor.fetch_record_batch()
            except Exception as error:
                raise UsageError("bad_query", f"the query does not run: {_said(error)}") from error
            yield reader

    def table_query(self, pipeline: str, table: str, order_by: Sequence[str] | None) -> str:
        """All rows of a published table; text in the order of its bytes."""
        with self._connection() as cursor:
            sql = (
                "select column_name, data_type from information_schema.columns where table_schema=$1 and table_name=$2"
            )
            kinds = {row["column_name"]: row["data_type"] for row in _rows(cursor, sql, [pipeline, table])}
        keys = [
            f"{engine.identifier(key)}{' collate "C"' if kinds.get(key) == 'text' else ''} nulls first"
            for key in order_by or ()
        ]
        # rows were loaded in their order and never change: their place tells it
        return (
            f"select * from {engine.identifier(pipeline)}.{engine.identifier(table)} "
            f"order by {', '.join(keys) if keys else 'ctid'}"
        )

    def _guarded(self) -> AbstractContextManager[Any]:
        return self._advisory_lock()

    @contextmanager
    def _advisory_lock(self) -> Iterator[None]:
        with self._connection() as cursor:
            if not _rows(cursor, "select pg_try_advisory_xact_lock($1) as got", [_LOCK])[0]["got"]:
                print(
                    "another run is writing to the database; waiting for it to end",
                    file=sys.stderr,
                    flush=True,
                )
                cursor.execute("select pg_advisory_xact_lock($1)", [_LOCK])
            yield

    def _listed_files(self) -> set[str]:
        with self._connection() as cursor:
            return {row["path"] for row in _rows(cursor, "select path from sojourn.event_files", [])}

    def _list(self, cursor: Any, publication: Publication) -> None:
        name = publication.pipeline
        cursor.execute("delete from sojourn.event_files where pipeline = $1", [name])
        files = pa.table({"pipeline": [name] * len(publication.files), "path": list(publication.files)})
        if files.num_rows:
            cursor.adbc_ingest("event_files", files, mode="append", db_schema_name="sojourn")
        cursor.execute("delete from sojourn.pipelines where pipeline = $1", [name])
        cursor.execute(
            "insert into sojourn.pipelines (pipeline, run_id, tables, events, reading) values ($1, $2, $3, $4, $5)",
            [
                name,
                publication.run_id,
                json.dumps(publication.tables),
                publication.events,
                json.dumps(publication.reading),
            ],
        )

    def _record(self, cursor: Any, report: dict[str, Any], message: str | None, quarantine: Path | None) -> None:
        row = run_row(report, message)
        names = ", ".join(row)
        marks = ", ".join(f"${at}::timestamptz" if name == "started_at" else f"${at}" for at, name in enumerate(row, 1))
        cursor.execute(f"insert into sojourn.runs ({names}) values ({marks})", list(row.values()))
        if quarantine is None:
            return
        with engine.connect() as reading:
            reader = reading.sql(f"from read_parquet({engine.quote(str(quarantine))})").to_arrow_reader(10_000)
            cursor.execute("create temp table fresh (like sojourn.quarantine) on commit drop")
            cursor.adbc_ingest("fresh", reader, mode="append", temporary=True)
        columns = ", ".join(QUARANTINE_COLUMNS)
        cursor.execute(f"insert into sojourn.quarantine ({columns}) select {columns} from fresh on conflict do nothing")

    def _store_id(self) -> str:
        """The database's own id; it is made at the first use, together with `sojourn`'s tables."""
        with self._connection() as cursor:
            cursor.execute("select pg_advisory_xact_lock($1)", [_LOCK + 1])
            if not _rows(
                cursor,
                "select 1 as yes from pg_tables where schemaname = 'sojourn' and tablename = 'meta'",
                [],
            ):
                for statement in _schema():
                    cursor.execute(statement)
                cursor.execute("insert into sojourn.meta values ($1, $2)", [uuid.uuid4().hex, self.home_id])
            meta = _rows(cursor, "select store, home from sojourn.meta", [])[0]
        if meta["home"] != self.home_id:
            raise UsageError(
                "other_home",
                f"this database belongs to another home than {self.home}: its events lie there; "
                "use that home, or another database",
            )
        return str(meta["store"])

    @contextmanager
    def _connection(self) -> Iterator[Any]:
        """A cursor in one transaction, committed at the end; the driver's errors come out as ours."""
        from adbc_driver_manager import Error
        from adbc_driver_postgresql import dbapi

        try:
            connection = dbapi.connect(self.url)
        except Error as error:
            raise SojournError("unreachable", f"cannot reach the database: {_said(error)}") from error
        try:
            with contextlib.closing(connection), connection.cursor() as cursor:
                cursor.execute("set time zone 'UTC'")
                cursor.execute("set client_min_messages = warning")
                yield cursor
                connection.commit()
        except Error as error:
            raise SojournError("database", f"the database refused: {_said(error)}") from error


def _schema() -> list[str]:
    def columns(given: dict[str, str]) -> str:
        return ", ".join(f"{name} {_TYPES.get(kind, kind)}" for name, kind in given.items())

    return [
        "create schema if not exists sojourn",
        "create table sojourn.meta (store text, home text)",
        f"create table sojourn.runs ({columns(RUN_COLUMNS)}, primary key (run_id))",
        f"create table sojourn.quarantine ({columns(QUARANTINE_COLUMNS)}, primary key (pipeline, source, content, line))",
        "create table sojourn.event_files (pipeline text, path text, primary key (pipeline, path))",
        "create table sojourn.pipelines (pipeline text primary key, run_id text, tables text, events bigint, reading text)",
    ]


def _rows(cursor: Any, sql: str, parameters: list[Any]) -> list[dict[str, Any]]:
    cursor.execute(sql, parameters or None)
    rows: list[dict[str, Any]] = cursor.fetch_arrow_table().to_pylist()
    return rows


def _instants(rows: Any) -> list[str]:
    return [name for name, kind in zip(rows.columns, rows.types, strict=True) if str(kind) == "TIMESTAMP"]


def _said(error: Exception) -> str:
    """The driver's message without its layers, and without a password."""
    text = " ".join(str(error).split())
    text = re.sub(r"^.*?(?:ERROR|FATAL|error|failed):\s+", "", text)
    return re.sub(r"//[^@/\s]*@", "//", text)[:300]
