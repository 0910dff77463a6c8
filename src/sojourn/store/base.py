"""What every store does, and the records it keeps."""

import json
import os
from abc import ABC, abstractmethod
from collections.abc import Collection, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq

from sojourn.errors import SojournError, UsageError
from sojourn.loading import to_begin
from sojourn.signals import end_if_told
from sojourn.store import manifest, refusals
from sojourn.store.files import checksum, locked, make_folder, move, remove_all_but
from sojourn.store.manifest import Change, Entry, Kept, KeptFile
from sojourn.store.readings import Limits, Reading
from sojourn.store.schemas import QUARANTINE

KEPT_RUNS = 3
"""Runs of a pipeline that can be gone back to, the current one included, where `SOJOURN_KEEP_RUNS` says nothing."""


@dataclass(frozen=True)
class Publication:
    """One finished run: what it leaves (*kept*), its tables in the DuckDB file *snapshot*, its *report* with the time
    it began, and its quarantined records. The records in *replayed*, which has the columns of `IDENTITY`, leave the
    quarantine before.
    """

    kept: Kept
    snapshot: Path
    report: dict[str, Any]
    quarantine: Path | None = None
    replayed: Path | None = None

    @property
    def pipeline(self) -> str:
        """The pipeline's name."""
        return str(self.report["pipeline"])


class Store(ABC):
    """A home's landed events, and the place where tables are published."""

    address: str | None = None
    """The URL of the database where tables are published, if it is one."""

    is_passing = False
    """Whether runs keep nothing under the home."""

    forgotten_in: Path
    """The home whose list says who is forgotten."""

    def __init__(self, home: Path) -> None:
        self.home = self.forgotten_in = home
        self.keep = _retention()

    @property
    @abstractmethod
    def area(self) -> Path:
        """The folder under the home that belongs to this store alone."""

    @contextmanager
    def writing(self) -> Iterator[None]:
        """Hold the home for one run, and leave it clean; a second run waits its turn, and says so."""
        make_folder(self.home)
        with locked(self.home / "lock"), self._guarded():
            self._record_killed()
            self._clean()
            try:
                yield
            finally:
                with suppress(SojournError, OSError):  # what stays now is cleaned by the next run
                    self._clean()

    def staging(self, run_id: str) -> Path:
        """A fresh folder for what a run makes before it is published; nothing in it has to outlive a power cut."""
        folder = self.area / "staging" / run_id
        make_folder(self.area)
        make_folder(folder, is_lasting=False)
        return folder

    def note(self, report: dict[str, Any]) -> None:
        """Leave word of a run under way in its staging folder, for the case that it is killed."""
        note = self.area / "staging" / report["run_id"] / "run.json"
        (fresh := note.with_suffix(".new")).write_text(json.dumps(report), encoding="utf-8")
        fresh.replace(note)

    def event_path(self, file: str) -> Path:
        """Where a landed event file listed by this store lies."""
        return self.area / "events" / file

    def keep_events(self, staged: Sequence[Path], pipeline: str, run_id: str) -> tuple[KeptFile, ...]:
        """Move staged event files to their place, durably; they count once a publication lists them."""
        kept = [
            KeptFile(f"{pipeline}/{run_id}/{path.name}", pq.read_metadata(path).num_rows, checksum(path))
            for path in staged
        ]
        if staged:
            move(staged, self.area / "events" / pipeline / run_id)
        return tuple(kept)

    def own_files(self, _pipeline: str) -> list[Path]:
        """The files, if these are some, with the rows of `runs`, and of *_pipeline*'s quarantine."""
        return []

    def published(self) -> list[dict[str, Any]]:
        """Every published table: pipeline, table, rows, run_id."""
        return manifest.published(self._entries())

    def kept(self, pipeline: str) -> Kept:
        """What the current run of *pipeline* left; an empty `Kept` where there is none."""
        entry = self._entries().get(pipeline)
        if entry is None:
            return Kept()
        if entry.current not in entry.runs:
            return Kept(entry.current, entry.tables)
        return manifest.read(self.manifest_path(pipeline, entry.current))

    def kept_runs(self, pipeline: str) -> list[Kept]:
        """What the runs left that can be gone back to, the oldest first; whose manifest is damaged is left out."""
        entry = self._entries().get(pipeline)
        runs = entry.runs if entry is not None else []
        kept = []
        for run_id in runs:
            with suppress(SojournError):
                kept.append(manifest.read(self.manifest_path(pipeline, run_id)))
        return [one for one in kept if one.checksum]

    def snapshot_path(self, pipeline: str, run_id: str) -> Path:
        """Where the tables of a kept run lie, as a DuckDB file that never changes."""
        return self.area / "warehouse" / pipeline / f"{run_id}.duckdb"

    def base(self, pipeline: str, kept: Kept) -> Path | None:
        """The snapshot of the run that left *kept*, which is checked; None where it left none to build upon."""
        if kept.run_id is None or not kept.checksum:
            return None
        path = self.snapshot_path(pipeline, kept.run_id)
        try:
            is_whole = checksum(path) == kept.checksum
        except OSError as error:
            raise manifest.damaged("snapshot", f"the snapshot {path} cannot be read: {error.strerror}") from error
        if not is_whole:
            raise manifest.damaged("snapshot", f"the snapshot {path} is damaged: its checksum is another")
        return path

    def publish(self, publication: Publication) -> None:
        """Make a run's tables the current ones, with its row in `runs` and its quarantine; all or nothing.

        What it changes in the quarantine is kept beside its manifest, unless no earlier run can be gone back to.
        """
        end_if_told()
        if self.is_passing:
            self._commit(publication, [])
            return
        name, run_id = publication.pipeline, str(publication.kept.run_id)
        known = self._entries().get(name, Entry("", {}, []))
        before = [run for run in known.runs if manifest.listed(self.manifest_path(name, run)) is not None]
        runs = [*before, run_id][-self.keep :]
        changes = self._changes(name, known) if len(runs) > 1 else ()
        target = self.snapshot_path(name, run_id)
        staged = [publication.snapshot.rename(publication.snapshot.with_name(target.name))]
        if len(runs) > 1 and (publication.quarantine or publication.replayed):
            staged.append(path := staged[0].with_name(f"{run_id}{refusals.SUFFIX}"))
            self._write_change(path, publication)
            changes += (Change(run_id, checksum(path)),)
        kept = msgspec.structs.replace(publication.kept, checksum=checksum(staged[0]), changes=changes)
        staged.append(path := staged[0].with_suffix(".json"))
        manifest.write(path, kept)
        move(staged, target.parent)
        self._commit(replace(publication, kept=kept, snapshot=target), runs)

    def _write_change(self, path: Path, publication: Publication) -> None:
        """Write to *path* what a run changes in the quarantine."""
        refused, replayed = publication.quarantine, publication.replayed
        if replayed is not None:
            with self.standing(publication.pipeline, refusals.contents(replayed)) as standing:
                refusals.write(path, standing, refused, replayed)
        elif refused is not None:
            refusals.write_fresh(path, refused)

    def roll_back(self, pipeline: str, run_id: str, report: dict[str, Any]) -> None:
        """Make a kept run of *pipeline* the current one again, with a row in `runs` and its quarantine; all or nothing.

        Raises `UsageError` ``unknown_run``, and `SojournError` ``snapshot`` where the run's tables are damaged, or
        ``quarantine`` where what has to be undone is.
        """
        kept = {one.run_id: one for one in self.kept_runs(pipeline)}
        if run_id not in kept:
            said = f"it keeps {', '.join(map(str, kept))}" if kept else "it keeps none"
            raise UsageError("unknown_run", f"{pipeline} keeps no run {run_id}; {said}")
        snapshot = self.base(pipeline, kept[run_id])
        assert snapshot is not None
        entry = self._entries()[pipeline]
        left, wanted = self._changes(pipeline, entry), kept[run_id].changes
        undone = [(one.run_id, self._changed(pipeline, one)) for one in reversed(left) if one not in wanted]
        again = [self._changed(pipeline, one) for one in wanted if one not in left]
        come = gone = None
        if undone or again:
            with self.standing(pipeline, "true") as standing:
                come, gone = refusals.moved(standing, undone, again, self.staging(report["run_id"]))
        self._commit(Publication(kept[run_id], snapshot, report, come, gone), entry.runs)

    def _changes(self, pipeline: str, entry: Entry) -> tuple[Change, ...]:
        """What the current run and those before it changed in the quarantine.

        Where its manifest is damaged, that is told by the one before, and by what lies there of its own.
        """
        found: tuple[Change, ...] = ()
        for run in entry.runs[: entry.runs.index(entry.current) + 1] if entry.current in entry.runs else ():
            listed = manifest.listed(self.manifest_path(pipeline, run))
            if listed is not None:
                found = listed.changes
            elif run == entry.current and (path := self.change_path(pipeline, run)).exists():
                found += (Change(run, checksum(path)),)
        return found

    def _changed(self, pipeline: str, change: Change) -> Path:
        """The file with a *change*, which is checked."""
        path = self.change_path(pipeline, change.run_id)
        try:
            is_whole = checksum(path) == change.checksum
        except OSError as error:
            raise manifest.damaged("quarantine", f"the changes {path} cannot be read: {error.strerror}") from error
        if not is_whole:
            raise manifest.damaged("quarantine", f"the changes {path} are damaged: their checksum is another")
        return path

    def collect(self, keep: int, older_than: float | None, *, is_dry: bool = False) -> dict[str, Any]:
        """Let go of all but the newest *keep* runs of each pipeline and the current one, and of the rows of `runs` that
        began more than *older_than* seconds ago, but those of kept runs. Only while writing, unless *is_dry*.

        What was let go of: ``{"runs": [{"pipeline", "run_id"}...], "event_files": N, "bytes": N, "rows": N}``.
        """
        entries = self._entries()
        known = {name: entry.runs for name, entry in entries.items()}
        stays = {
            name: [run for run in runs if run in (*runs[-keep:], entries[name].current)] for name, runs in known.items()
        }
        gone = sorted(self._paths(known) - self._paths(stays))
        sizes = [path.stat().st_size for path in gone if path.is_file()]
        rows = self._let_go(stays, older_than, is_dry=is_dry)
        if not is_dry:
            self._clean()
        return {
            "runs": [
                {"pipeline": name, "run_id": run}
                for name, runs in known.items()
                for run in runs
                if run not in stays[name]
            ],
            "event_files": sum(path.is_relative_to(self.area / "events") for path in gone),
            "bytes": sum(sizes),
            "rows": rows,
        }

    def manifest_path(self, pipeline: str, run_id: str) -> Path:
        """Where the manifest of a kept run lies."""
        return self.snapshot_path(pipeline, run_id).with_suffix(".json")

    def change_path(self, pipeline: str, run_id: str) -> Path:
        """Where it lies what a kept run changed in the quarantine, if it is needed."""
        return self.snapshot_path(pipeline, run_id).with_name(f"{run_id}{refusals.SUFFIX}")

    def _record_killed(self) -> None:
        """Give runs that were killed their row and their quarantine: what they noted lies where they worked."""
        for folder in (self.area / "staging").glob("*"):
            try:
                report = json.loads((folder / "run.json").read_bytes())
                refused = folder / "quarantine.parquet"
                is_whole = refused.exists() and bool(pq.read_metadata(refused).num_rows)
            except (OSError, ValueError):  # killed while it was just about to write one of them
                continue
            if not self._is_recorded(report["run_id"]):
                said = "the run was killed, or the machine went down"
                self.record({**report, "status": "killed", "tables": {}}, said, refused if is_whole else None)

    def _clean(self) -> None:
        """Remove what failed and killed runs left: staged files, and what no kept run names."""
        listed = self._paths({name: entry.runs for name, entry in self._entries().items()})
        events = self.area / "events"
        found = [
            self.area / "staging",
            *(self.area / "warehouse").glob("*/*"),
            *events.glob("*/*"),
            *events.glob("*/*/*"),
        ]
        remove_all_but(listed | {path.parent for path in listed}, found)

    def _paths(self, kept: dict[str, list[str]]) -> set[Path]:
        """The files that the *kept* runs of each pipeline name.

        Of a pipeline with a manifest that cannot be read these are all of its events and changes: it may come back from
        a backup.
        """
        named: set[Path] = set()
        for pipeline, runs in kept.items():
            paths = [self.manifest_path(pipeline, run_id) for run_id in runs]
            named |= {path.with_suffix(suffix) for path in paths for suffix in (".duckdb", ".json")}
            found = [manifest.listed(path) for path in paths]
            if None in found:
                named |= set((self.area / "events" / pipeline).glob("*/*"))
                named |= set((self.area / "warehouse" / pipeline).glob(f"*{refusals.SUFFIX}"))
            listed = [one for one in found if one is not None]
            named |= {self.event_path(file.name) for one in listed for file in one.files}
            named |= {self.change_path(pipeline, run) for run in refusals.needed(one.changes for one in listed)}
        return named

    @contextmanager
    def query(self, sql: str, *, pipeline: str | None = None) -> Iterator[pa.RecordBatchReader]:
        """The result of one read-only query; names without a schema are *pipeline*'s tables."""
        with self.reading(pipeline) as reading:
            yield reading.query(sql)

    @contextmanager
    def reading_for(self, by: str, pipeline: str, tables: Collection[str]) -> Iterator[tuple[Reading, set[str]]]:
        """A reading of *pipeline*, and every table it publishes, when all of *tables* are among them, which something
        needs (*by*).

        Else a `UsageError` names the one that is missing, or a `SojournError` what to begin with.
        """
        published = {row["table"] for row in self.published() if row["pipeline"] == pipeline}
        if not published:
            said = f"nothing is published by {pipeline} yet; begin with: {to_begin(pipeline)}"
            raise SojournError("not_published", said)
        if missing := [table for table in tables if table not in published]:
            said = f"the {by} needs the table {missing[0]}, which {pipeline} does not publish"
            raise UsageError("missing_table", said)
        with self.reading(pipeline) as reading:
            if "sessions" in tables and "status" in reading.columns("sessions"):
                said = f"sessions by markers, as {pipeline} has, know none"
                raise UsageError("by_markers", f"the {by} needs page views, actors and referrers; {said}")
            yield reading, published

    @contextmanager
    def passing(self, _pipeline: str) -> Iterator["Store"]:
        """The store for a run of *_pipeline* that brings no events to keep."""
        yield self

    @abstractmethod
    def kept_open(self, limits: Limits) -> AbstractContextManager[None]:
        """Keep what readings need open between them, for a process with threads that read again and again."""

    @abstractmethod
    def reading(self, pipeline: str | None = None) -> AbstractContextManager[Reading]:
        """What is published now, whatever runs publish meanwhile; *pipeline*'s tables need no schema."""

    @abstractmethod
    def _guarded(self) -> AbstractContextManager[None]:
        """Make ready for writing, beyond the home's lock."""

    @abstractmethod
    def _entries(self) -> dict[str, Entry]:
        """The pipelines that publish here, by name."""

    @abstractmethod
    def standing(
        self, pipeline: str, where: str, names: Sequence[str] = QUARANTINE.names
    ) -> AbstractContextManager[pa.RecordBatchReader]:
        """The rows of *pipeline* in the quarantine that meet the SQL condition *where*, the columns *names* of them."""

    @abstractmethod
    def _commit(self, publication: Publication, runs: list[str]) -> None:
        """Make the *publication*, whose files lie in their place, the current one of its pipeline, which then keeps
        *runs*; all or nothing."""

    @abstractmethod
    def _let_go(self, kept: dict[str, list[str]], older_than: float | None, *, is_dry: bool) -> int:
        """Name only *kept* as the kept runs of each pipeline, and remove the rows of `runs` as `collect` says; all or
        nothing, or nothing at all (*is_dry*). How many rows that are."""

    @abstractmethod
    def record(
        self, report: dict[str, Any], message: str | None, quarantine: Path | None, replayed: Path | None = None
    ) -> None:
        """Keep the row and the quarantine of a run that published nothing; *replayed* as in a `Publication`."""

    @abstractmethod
    def reword(self, run_id: str, message: str) -> None:
        """Replace the message in the row of a run."""

    @abstractmethod
    def vacuum(self) -> None:
        """Have nothing be left of what went, not even for readers who are about to open it."""

    @abstractmethod
    def _is_recorded(self, run_id: str) -> bool:
        """Whether `runs` has a row of the run."""


def _retention() -> int:
    """How many runs of each pipeline are kept: `SOJOURN_KEEP_RUNS`, or `KEPT_RUNS`."""
    text = os.environ.get("SOJOURN_KEEP_RUNS") or str(KEPT_RUNS)
    if not text.isdecimal() or not 1 <= int(text) <= 10_000:
        raise UsageError("bad_keep", f"SOJOURN_KEEP_RUNS is {text!r}; write how many runs to keep, such as {KEPT_RUNS}")
    return int(text)
