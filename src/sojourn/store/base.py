"""What every store does, and the records it keeps."""

import json
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from sojourn.errors import SojournError, UsageError
from sojourn.loading import to_begin
from sojourn.store.files import locked, make_folder, move, remove_all_but
from sojourn.store.readings import Limits, Reading

FORMAT = 1
"""How a home and a database are laid out; one that was written in a newer way is refused."""

RUNS = pa.schema(
    [
        *((name, pa.string()) for name in ("run_id", "pipeline", "status")),
        ("started_at", pa.timestamp("us")),
        ("seconds", pa.float64()),
        *((name, pa.int64()) for name in ("read", "blank", "accepted", "duplicate", "dropped", "quarantined")),
        *((name, pa.string()) for name in ("report", "message")),
    ]
)
"""`sojourn.runs`: one row per run; `report` is the whole of it as JSON, ledgers by file included."""

QUARANTINE = pa.schema(
    [
        *((name, pa.string()) for name in ("pipeline", "source", "file", "content")),
        ("line", pa.int64()),
        *((name, pa.string()) for name in ("reason", "path", "value")),
        ("raw", pa.binary()),
        ("run_id", pa.string()),
    ]
)
"""`sojourn.quarantine`: one row per quarantined record, which is known by `IDENTITY`."""

IDENTITY = ("pipeline", "source", "content", "line", "path")
"""A line of a file can hold several records, the entries of a message: the path tells them apart."""


@dataclass(frozen=True)
class Kept:
    """What a store holds of a pipeline from earlier runs."""

    run_id: str | None = None
    files: tuple[str, ...] = ()
    events: int = 0
    reading: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Publication:
    """One finished run: its tables in the DuckDB file *snapshot*, and the event files they rest on."""

    pipeline: str
    run_id: str
    snapshot: Path
    tables: dict[str, int]
    files: tuple[str, ...]
    events: int
    reading: dict[str, Any]
    report: dict[str, Any]
    quarantine: Path | None


class Store(ABC):
    """A home's landed events, and the place where tables are published."""

    area: Path
    """The folder under the home that belongs to this store alone; known while writing."""

    address: str | None = None
    """The URL of the database where tables are published, if it is one."""

    def __init__(self, home: Path) -> None:
        self.home = home

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
        """A fresh folder for what a run makes before it is published."""
        folder = self.area / "staging" / run_id
        make_folder(folder)
        return folder

    def note(self, report: dict[str, Any]) -> None:
        """Leave word of a run under way in its staging folder, for the case that it is killed."""
        note = self.area / "staging" / report["run_id"] / "run.json"
        (fresh := note.with_suffix(".new")).write_text(json.dumps(report), encoding="utf-8")
        fresh.replace(note)

    def event_path(self, file: str) -> Path:
        """Where a landed event file listed by this store lies."""
        return self.area / "events" / file

    def keep_events(self, staged: Sequence[Path], pipeline: str, run_id: str) -> list[str]:
        """Move staged event files to their place, durably; they count once a publication lists them."""
        if staged:
            move(staged, self.area / "events" / pipeline / run_id)
        return [f"{pipeline}/{run_id}/{path.name}" for path in staged]

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
        """Remove what failed and killed runs left: staged files, and event files that nothing lists."""
        listed = {self.event_path(file).parent for file in self._listed_files()}
        remove_all_but(listed, [self.area / "staging", *(self.area / "events").glob("*/*")])

    @contextmanager
    def query(self, sql: str, *, pipeline: str | None = None) -> Iterator[pa.RecordBatchReader]:
        """The result of one read-only query; names without a schema are *pipeline*'s tables."""
        with self.reading(pipeline) as reading:
            yield reading.query(sql)

    def needed(self, by: str, pipeline: str, tables: Sequence[str]) -> set[str]:
        """Every table that *pipeline* publishes, when all of *tables* are among them, which something needs (*by*).

        Else a `UsageError` names the one that is missing, or a `SojournError` what to begin with.
        """
        published = {row["table"] for row in self.published() if row["pipeline"] == pipeline}
        if not published:
            said = f"nothing is published by {pipeline} yet; begin with: {to_begin(pipeline)}"
            raise SojournError("not_published", said)
        if missing := [table for table in tables if table not in published]:
            said = f"the {by} needs the table {missing[0]}, which {pipeline} does not publish"
            raise UsageError("missing_table", said)
        if "sessions" in tables and self._is_by_markers(pipeline):
            said = f"the {by} needs page views, actors and referrers; sessions by markers, as {pipeline} has, know none"
            raise UsageError("by_markers", said)
        return published

    def _is_by_markers(self, pipeline: str) -> bool:
        with self.reading(pipeline) as reading:
            return "status" in reading.query("select * from sessions limit 0").read_all().column_names

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
    def kept(self, pipeline: str) -> Kept:
        """What is kept of *pipeline*."""

    @abstractmethod
    def publish(self, publication: Publication) -> None:
        """Make a run's tables the current ones, with its row in `runs` and its quarantine; all or nothing."""

    @abstractmethod
    def record(self, report: dict[str, Any], message: str, quarantine: Path | None) -> None:
        """Keep the row and the quarantine of a run that published nothing."""

    @abstractmethod
    def published(self) -> list[dict[str, Any]]:
        """Every published table: pipeline, table, rows, run_id."""

    @abstractmethod
    def _is_recorded(self, run_id: str) -> bool:
        """Whether `runs` has a row of the run."""

    @abstractmethod
    def _listed_files(self) -> set[str]:
        """Event files that some pipeline's current tables rest on."""


def run_row(report: dict[str, Any], message: str | None) -> pa.Table:
    """The row of `sojourn.runs` for a run's *report*."""
    ledger = report["ledger"]
    row = {name: report[name] for name in ("run_id", "pipeline", "status", "seconds")}
    row |= {name: ledger[name] for name in ("read", "blank", "accepted", "duplicate")}
    row |= {name: sum(ledger[name].values()) for name in ("dropped", "quarantined")}
    row["started_at"] = datetime.fromisoformat(report["started_at"]).replace(tzinfo=None)
    row |= {"report": json.dumps(report, ensure_ascii=False), "message": message}
    return pa.Table.from_pylist([row], RUNS)


def check_format(found: int, what: str) -> None:
    """Raise when *what* was written by a newer Sojourn."""
    if found > FORMAT:
        raise SojournError(
            "newer_format",
            f"{what} was written by a newer Sojourn (format {found}, this one knows {FORMAT}); install that version",
        )
