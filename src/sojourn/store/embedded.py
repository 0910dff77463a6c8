"""The embedded warehouse: one immutable DuckDB file per pipeline and run, and a catalog that names the current ones."""

import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq

from sojourn.engines import duckdb as engine
from sojourn.errors import SojournError
from sojourn.store import catalog as catalogs
from sojourn.store.base import (
    FORMAT,
    IDENTITY,
    QUARANTINE,
    RUNS,
    Publication,
    Store,
    run_row,
)
from sojourn.store.catalog import Catalog
from sojourn.store.current import Current
from sojourn.store.files import make_folder, remove_all_but, sync, write_whole
from sojourn.store.manifest import Entry, published
from sojourn.store.readings import Limits, Reading
from sojourn.store.upgrading import upgrade_home


class _Opened(NamedTuple):
    """A DuckDB with the snapshots that *catalog* names."""

    connection: engine.Connection
    catalog: Catalog


class Embedded(Store):
    """Publishes into DuckDB files under the home."""

    def __init__(self, home: Path) -> None:
        super().__init__(home)
        self.area = home
        self._catalog_path = home / "catalog.json"
        self._current: Current[_Opened] | None = None

    def record(self, report: dict[str, Any], message: str, quarantine: Path | None) -> None:
        """Add the row and the quarantine of a run that published nothing."""
        self._write(self._catalog(), report, message, quarantine)

    @contextmanager
    def kept_open(self, limits: Limits) -> Iterator[None]:
        """Keep one DuckDB open while the catalog stays as it is: all readings share its threads and memory."""
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
                opened = stack.enter_context(self._current.used(lambda it: it.catalog == self._catalog()))
            connection = stack.enter_context(engine.read_aside(opened.connection))
            if pipeline in opened.catalog.pipelines:
                connection.execute(f"use {engine.identifier(str(pipeline))}")
            yield _Snapshots(connection, opened.catalog)

    @contextmanager
    def _guarded(self) -> Iterator[None]:
        """A home has its catalog before anything else: one that lost it must not be taken for a fresh one."""
        if not self._catalog_path.exists():
            if (self.home / "events").exists():
                raise SojournError(
                    "catalog",
                    f"the home {self.home} holds events but lost its catalog.json; bring it back from a backup, or "
                    "use another home",
                )
            write_whole(self._catalog_path, msgspec.json.encode(Catalog()))
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
            engine.lock_down(connection, self._own_tables(connection, catalog))
            return _Opened(connection, catalog)

    def _own_tables(self, connection: engine.Connection, catalog: Catalog) -> list[Path]:
        """Make the views `sojourn.runs` and `sojourn.quarantine`; the files that they read."""
        connection.execute("attach ':memory:' as sojourn")
        runs = [self._run(run_id) for run_id in catalog.runs]
        quarantine = [self.home / "quarantine" / name for name in catalog.quarantine]
        for name, files, empty in (("runs", runs, RUNS), ("quarantine", quarantine, QUARANTINE)):
            if files:
                connection.execute(f"create view sojourn.{name} as from {engine.parquet(files)}")
            else:
                connection.register("empty", empty.empty_table())
                connection.execute(f"create table sojourn.{name} as from empty")
                connection.unregister("empty")
        return [*runs, *quarantine]

    def _entries(self) -> dict[str, Entry]:
        return self._catalog().pipelines

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
        target = self._run(report["run_id"])
        make_folder(target.parent)
        pq.write_table(run_row(report, message), target)
        sync(target)
        sync(target.parent)
        catalog.runs.append(report["run_id"])
        if replayed is not None:
            self._withdraw(catalog, report, replayed)
        if quarantine is not None and (name := self._keep_quarantine(catalog, report, quarantine)) is not None:
            catalog.quarantine.append(name)
        write_whole(self._catalog_path, msgspec.json.encode(catalog))

    def _withdraw(self, catalog: Catalog, report: dict[str, Any], replayed: Path) -> None:
        """Put the quarantine without the records *replayed* into one file of the pipeline, where it had several."""
        folder = f"{report['pipeline']}/"
        known = [name for name in catalog.quarantine if name.startswith(folder)]
        if not known:
            return
        target = self.home / "quarantine" / (name := f"{folder}{report['run_id']}-rest.parquet")
        make_folder(target.parent)
        identity = ", ".join(IDENTITY)
        rows = engine.parquet([self.home / "quarantine" / name for name in known])
        rest = f"from {rows} anti join {engine.parquet([replayed])} using ({identity})"
        with engine.connect() as connection:
            connection.execute(f"copy ({rest}) to {engine.quote(str(target))} (format parquet)")
        sync(target)
        sync(target.parent)
        catalog.quarantine = [*(name for name in catalog.quarantine if name not in known), name]

    def _keep_quarantine(self, catalog: Catalog, report: dict[str, Any], staged: Path) -> str | None:
        """Keep the quarantined records that do not stand yet, as one more file; its name, if there are any."""
        name = f"{report['pipeline']}/{report['run_id']}.parquet"
        target = self.home / "quarantine" / name
        make_folder(target.parent)
        known = [self.home / "quarantine" / file for file in catalog.quarantine]
        with engine.connect() as connection:
            rows = engine.parquet([staged])
            # of files with equal content in one run the first by name stands for all
            first = f"select content, min(file) as file from {rows} group by content"
            fresh = f"from {rows} semi join ({first}) using (content, file)"
            if known:
                identity = ", ".join(IDENTITY)
                fresh += f" anti join (select {identity} from {engine.parquet(known)}) using ({identity})"
            count = connection.execute(f"copy ({fresh}) to {engine.quote(str(target))} (format parquet)").fetchone()
        if count is not None and count[0]:
            sync(target)
            sync(target.parent)
            return name
        target.unlink(missing_ok=True)
        return None

    def _run(self, run_id: str) -> Path:
        return self.home / "runs" / f"{run_id}.parquet"

    def _catalog(self) -> Catalog:
        return catalogs.read(self._catalog_path)

    def _is_recorded(self, run_id: str) -> bool:
        return run_id in self._catalog().runs

    def _clean(self) -> None:
        super()._clean()
        catalog = self._catalog()
        listed = {self._run(run_id) for run_id in catalog.runs}
        listed |= {self.home / "quarantine" / name for name in catalog.quarantine}
        for pattern in ("runs/*", "quarantine/*/*"):
            remove_all_but(listed, self.home.glob(pattern))


class _Snapshots(Reading):
    row_order = "rowid"

    def __init__(self, connection: engine.Connection, catalog: Catalog) -> None:
        self.connection = connection
        self.catalog = catalog

    def query(self, sql: str) -> pa.RecordBatchReader:
        return engine.select(self.connection, sql)

    def published(self) -> list[dict[str, Any]]:
        return published(self.catalog.pipelines)
