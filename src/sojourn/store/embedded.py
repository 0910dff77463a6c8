"""The embedded warehouse: one immutable DuckDB file per pipeline and run; a catalog names the current ones."""

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

import msgspec
import pyarrow as pa

from sojourn.engines import duckdb as engine
from sojourn.errors import SojournError
from sojourn.store.base import (
    QUARANTINE_COLUMNS,
    RUN_COLUMNS,
    Kept,
    Publication,
    Store,
    make_folder,
    run_row,
    write_whole,
)

KEPT_SNAPSHOTS = 3
"""Snapshots of a pipeline that stay, the current one included."""


class Entry(msgspec.Struct):
    """A pipeline in the catalog: its snapshots by run (the current last), and what they rest on."""

    runs: list[str]
    tables: dict[str, int]
    files: list[str]
    events: int
    reading: dict[str, Any]


class Catalog(msgspec.Struct):
    """The one file that says what is current. Whatever it does not name is garbage."""

    pipelines: dict[str, Entry] = {}
    runs: list[str] = []
    quarantine: list[str] = []


class Embedded(Store):
    """Publishes into DuckDB files under the home."""

    def __init__(self, home: Path) -> None:
        super().__init__(home, home)

    def kept(self, pipeline: str) -> Kept:
        """What the catalog holds of *pipeline*."""
        entry = self._catalog().pipelines.get(pipeline)
        return Kept() if entry is None else Kept(entry.runs[-1], tuple(entry.files), entry.events, entry.reading)

    def publish(self, publication: Publication) -> None:
        """Put the files in place, then replace the catalog: the one step that readers see."""
        catalog = self._catalog()
        before = catalog.pipelines.get(publication.pipeline)
        target = self._snapshot(publication.pipeline, publication.run_id)
        make_folder(target.parent)
        publication.snapshot.rename(target)
        runs = [*(before.runs if before is not None else []), publication.run_id]
        catalog.pipelines[publication.pipeline] = Entry(
            runs=runs[-KEPT_SNAPSHOTS:],
            tables=publication.tables,
            files=list(publication.files),
            events=publication.events,
            reading=publication.reading,
        )
        self._commit(catalog, publication.report, None, publication.quarantine)
        self._clean()

    def record(self, report: dict[str, Any], message: str, quarantine: Path | None) -> None:
        """Add the row and the quarantine of a run that published nothing."""
        self._commit(self._catalog(), report, message, quarantine)

    def published(self) -> list[dict[str, Any]]:
        """Every published table, from the catalog."""
        return [
            {"pipeline": name, "table": table, "rows": rows, "run_id": entry.runs[-1]}
            for name, entry in sorted(self._catalog().pipelines.items())
            for table, rows in entry.tables.items()
        ]

    @contextmanager
    def query(self, sql: str, *, pipeline: str | None = None) -> Iterator[pa.RecordBatchReader]:
        """Run *sql* on the current snapshots; it can read them and `sojourn`'s own tables only."""
        catalog = self._catalog()
        snapshots = {name: self._snapshot(name, entry.runs[-1]) for name, entry in catalog.pipelines.items()}
        with engine.attached(snapshots) as connection:
            readable = self._own_tables(connection, catalog)
            if pipeline is not None and pipeline in snapshots:
                connection.execute(f"use {engine.identifier(pipeline)}")
            engine.lock_down(connection, readable)
            yield engine.select(connection, sql).to_arrow_reader(10_000)

    def table_query(self, pipeline: str, table: str, order_by: Sequence[str] | None) -> str:
        """All rows of a published table."""
        keys = ", ".join(f"{engine.identifier(key)} nulls first" for key in order_by) if order_by else "rowid"
        return f"select * from {engine.identifier(pipeline)}.{engine.identifier(table)} order by {keys}"

    def _own_tables(self, connection: engine.Connection, catalog: Catalog) -> list[Path]:
        """Make `sojourn.runs` and `sojourn.quarantine`; the files that the second reads."""
        connection.execute("create schema sojourn")
        columns = ", ".join(f"{name} {kind}" for name, kind in RUN_COLUMNS.items())
        connection.execute(f"create table sojourn.runs ({columns})")
        rows = [list(self._run(run_id).values()) for run_id in catalog.runs]
        if rows:
            marks = ", ".join("?" for _ in RUN_COLUMNS)
            connection.executemany(f"insert into sojourn.runs values ({marks})", rows)
        files = [self.home / "quarantine" / name for name in catalog.quarantine]
        if files:
            names = ", ".join(engine.quote(str(file)) for file in files)
            connection.execute(f"create view sojourn.quarantine as from read_parquet([{names}])")
        else:
            columns = ", ".join(f"{name} {kind}" for name, kind in QUARANTINE_COLUMNS.items())
            connection.execute(f"create table sojourn.quarantine ({columns})")
        return files

    def _run(self, run_id: str) -> dict[str, Any]:
        row: dict[str, Any] = json.loads((self.home / "runs" / f"{run_id}.json").read_bytes())
        return {**row, "started_at": datetime.fromisoformat(row["started_at"]).replace(tzinfo=None)}

    def _commit(self, catalog: Catalog, report: dict[str, Any], message: str | None, quarantine: Path | None) -> None:
        make_folder(self.home / "runs")
        row = run_row(report, message)
        write_whole(self.home / "runs" / f"{report['run_id']}.json", json.dumps(row, ensure_ascii=False).encode())
        catalog.runs.append(report["run_id"])
        if quarantine is not None and (name := self._keep_quarantine(catalog, report, quarantine)) is not None:
            catalog.quarantine.append(name)
        write_whole(self.home / "catalog.json", msgspec.json.encode(catalog))

    def _keep_quarantine(self, catalog: Catalog, report: dict[str, Any], staged: Path) -> str | None:
        """Keep the quarantined records that do not stand yet, as one more file; its name, if there are any."""
        name = f"{report['pipeline']}/{report['run_id']}.parquet"
        target = self.home / "quarantine" / name
        make_folder(target.parent)
        known = [str(self.home / "quarantine" / file) for file in catalog.quarantine]
        with engine.connect() as connection:
            fresh = f"from read_parquet({engine.quote(str(staged))})"
            if known:
                files = ", ".join(engine.quote(file) for file in known)
                identity = "pipeline, source, content, line"
                fresh += f" anti join (select {identity} from read_parquet([{files}])) using ({identity})"
            count = connection.execute(f"copy ({fresh}) to {engine.quote(str(target))} (format parquet)").fetchone()
        if count is not None and count[0]:
            return name
        target.unlink(missing_ok=True)
        return None

    def _snapshot(self, pipeline: str, run_id: str) -> Path:
        return self.home / "warehouse" / pipeline / f"{run_id}.duckdb"

    def _catalog(self) -> Catalog:
        path = self.home / "catalog.json"
        try:
            return msgspec.json.decode(path.read_bytes(), type=Catalog)
        except FileNotFoundError:
            return Catalog()
        except (OSError, msgspec.DecodeError) as error:
            raise SojournError("catalog", f"the catalog {path} cannot be read: {error}") from error

    def _listed_files(self) -> set[str]:
        return {file for entry in self._catalog().pipelines.values() for file in entry.files}

    def _clean(self) -> None:
        super()._clean()
        catalog = self._catalog()
        current = {self._snapshot(name, run) for name, entry in catalog.pipelines.items() for run in entry.runs}
        listed = {self.home / "runs" / f"{run}.json" for run in catalog.runs}
        listed |= {self.home / "quarantine" / name for name in catalog.quarantine}
        for pattern in ("warehouse/*/*", "runs/*", "quarantine/*/*"):
            for path in self.home.glob(pattern):
                if path not in current | listed:
                    path.unlink(missing_ok=True)
