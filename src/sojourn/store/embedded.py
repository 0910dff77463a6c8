"""The embedded warehouse: one immutable DuckDB file per pipeline and run, and a catalog that names the current ones."""

import os
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import pyarrow as pa

from sojourn.engines import duckdb as engine
from sojourn.errors import SojournError
from sojourn.store import catalog as catalogs
from sojourn.store import own_tables
from sojourn.store.base import Publication, Store
from sojourn.store.catalog import Catalog
from sojourn.store.current import Current
from sojourn.store.files import remove_all_but, write_whole
from sojourn.store.manifest import Entry, published
from sojourn.store.readings import Limits, Reading
from sojourn.store.schemas import FORMAT, QUARANTINE
from sojourn.store.upgrading import upgrade_home

_GENTLY = 10
"""The niceness of threads that read in a service: of a core that others want, they have a tenth."""


class _Opened(NamedTuple):
    """A DuckDB with the snapshots that *catalog* names."""

    connection: engine.Connection
    catalog: Catalog


class Embedded(Store):
    """Publishes into DuckDB files under the home."""

    def __init__(self, home: Path) -> None:
        super().__init__(home)
        self._catalog_path = home / "catalog.json"
        self._current: Current[_Opened] | None = None

    @property
    def area(self) -> Path:
        """The home itself."""
        return self.home

    def record(
        self, report: dict[str, Any], message: str | None, quarantine: Path | None, replayed: Path | None = None
    ) -> None:
        """Add the row and the quarantine of a run that published nothing."""
        self._write(self._catalog(), report, message, quarantine, replayed)

    def reword(self, run_id: str, message: str) -> None:
        """Replace the file with the run's row."""
        own_tables.reword(self.home, self._catalog(), run_id, message)

    def own_files(self, pipeline: str) -> list[Path]:
        """The files that the catalog names."""
        return own_tables.files(self.home, self._catalog(), pipeline)

    def vacuum(self) -> None:
        """Remove every file that is not named, at once."""
        catalog = self._catalog()
        catalog.retired = {}
        write_whole(self._catalog_path, msgspec.json.encode(catalog))
        self._clean()

    @contextmanager
    def kept_open(self, limits: Limits) -> Iterator[None]:
        """Keep one DuckDB open while the catalog stays as it is: all readings share its threads and memory.

        Its threads, and those that read, give way to whatever else the process does.
        """
        with tempfile.TemporaryDirectory(prefix="sojourn-") as folder:
            self._current = Current(lambda stack: self._open(stack, limits, Path(folder)))
            try:
                yield
            finally:
                self._current.replace()
                self._current = None

    @contextmanager
    def reading(self, pipeline: str | None = None) -> Iterator[Reading]:
        """The current snapshots, and `sojourn`'s own tables; queries reach nothing else."""
        with ExitStack() as stack:
            if self._current is None:
                opened = self._open(stack)
            else:
                _give_way()
                opened = stack.enter_context(self._current.used(lambda it: it.catalog == self._catalog()))
            connection = stack.enter_context(engine.read_aside(opened.connection))
            if pipeline in opened.catalog.pipelines:
                connection.execute(f"use {engine.identifier(str(pipeline))}")
            yield _Snapshots(connection, opened.catalog)

    @contextmanager
    def _guarded(self) -> Iterator[None]:
        """A home has its catalog before anything else: one that lost it must not be taken for a fresh one."""
        if not self._catalog_path.exists():
            write_whole(self._catalog_path, msgspec.json.encode(self._catalog()))
        if self._catalog().format < FORMAT:
            upgrade_home(self.area, self._catalog_path)
        yield

    def _open(self, stack: ExitStack, limits: Limits | None = None, folder: Path | None = None) -> _Opened:
        """The current snapshots attached, and nothing else in reach; *folder* is for what memory cannot hold."""
        memory, threads = (limits.memory, limits.threads) if limits is not None else (None, None)
        while True:
            catalog = self._catalog()
            snapshots = {name: self.snapshot_path(name, entry.current) for name, entry in catalog.pipelines.items()}
            spill = Path(tempfile.mkdtemp(dir=folder)) if folder is not None else None
            try:
                connection = stack.enter_context(engine.attached(snapshots, memory, spill, threads))
            except SojournError:
                if self._catalog() == catalog:
                    raise
                continue  # runs replaced the snapshots in between
            engine.lock_down(connection, own_tables.attach(connection, self.home, catalog))
            return _Opened(connection, catalog)

    def _entries(self) -> dict[str, Entry]:
        return self._catalog().pipelines

    @contextmanager
    def standing(
        self, pipeline: str, where: str, names: Sequence[str] = QUARANTINE.names
    ) -> Iterator[pa.RecordBatchReader]:
        """Its files alone: tables that are damaged are not in the way."""
        with own_tables.standing(self.home, self._catalog(), pipeline, where, names) as rows:
            yield rows

    def _commit(self, publication: Publication, runs: list[str]) -> None:
        """Replace the catalog: the one step that readers see."""
        catalog = self._catalog()
        kept = publication.kept
        catalog.pipelines[publication.pipeline] = Entry(str(kept.run_id), kept.tables, runs)
        self._write(catalog, publication.report, None, publication.quarantine, publication.replayed)

    def _write(
        self,
        catalog: Catalog,
        report: dict[str, Any],
        message: str | None,
        quarantine: Path | None,
        replayed: Path | None = None,
    ) -> None:
        own_tables.add_run(self.home, catalog, report, message)
        if replayed is not None:
            own_tables.withdraw(self.home, catalog, report, replayed)
        if quarantine is not None:
            own_tables.add_quarantine(self.home, catalog, report, quarantine)
        write_whole(self._catalog_path, msgspec.json.encode(catalog))

    def _let_go(self, kept: dict[str, list[str]], older_than: float | None, *, is_dry: bool) -> int:
        """Replace the catalog by one that names less, and the rows of all runs in one file."""
        catalog = self._catalog()
        names = ", ".join(engine.quote(run) for runs in kept.values() for run in runs) or "''"
        goes = "false"
        if older_than is not None:
            goes = f"epoch(started_at) < {time.time() - older_than} and run_id not in ({names})"
        rows = own_tables.merge_runs(self.home, catalog, goes, is_dry=is_dry)
        if not is_dry:
            for pipeline, entry in catalog.pipelines.items():
                entry.runs = kept[pipeline]
            write_whole(self._catalog_path, msgspec.json.encode(catalog))
        return rows

    def _catalog(self) -> Catalog:
        return catalogs.read(self._catalog_path)

    def _is_recorded(self, run_id: str) -> bool:
        return own_tables.is_recorded(self.home, self._catalog(), run_id)

    def _clean(self) -> None:
        super()._clean()
        listed = own_tables.listed(self.home, self._catalog())
        for pattern in ("runs/*", "quarantine/*/*"):
            remove_all_but(listed, self.home.glob(pattern))


def _give_way() -> None:
    """Let this thread, and those that it begins, have a small share of a core that others want, too; for good."""
    if sys.platform == "linux" and threading.current_thread() is not threading.main_thread():  # else it is the process
        with suppress(OSError):  # where it may not be said, all are equal
            os.setpriority(os.PRIO_PROCESS, 0, max(_GENTLY, os.getpriority(os.PRIO_PROCESS, 0)))


class _Snapshots(Reading):
    row_order = "rowid"

    def __init__(self, connection: engine.Connection, catalog: Catalog) -> None:
        self.connection = connection
        self.catalog = catalog

    def query(self, sql: str) -> pa.RecordBatchReader:
        return engine.select(self.connection, sql)

    def published(self) -> list[dict[str, Any]]:
        return published(self.catalog.pipelines)
