"""What every store does, and the records it keeps."""

import contextlib
import fcntl
import json
import os
import shutil
import sys
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa

from sojourn.errors import SojournError, UsageError

RUN_COLUMNS = {
    "run_id": "varchar", "pipeline": "varchar", "status": "varchar", "started_at": "timestamp",
    "seconds": "double", "read": "bigint", "blank": "bigint", "accepted": "bigint", "duplicate": "bigint",
    "dropped": "bigint", "quarantined": "bigint", "report": "varchar", "message": "varchar",
}  # fmt: skip
"""`sojourn.runs`: one row per run; `report` is the whole of it as JSON, ledgers by file included."""

QUARANTINE_COLUMNS = {
    "pipeline": "varchar", "source": "varchar", "file": "varchar", "content": "varchar", "line": "bigint",
    "reason": "varchar", "path": "varchar", "value": "varchar", "raw": "blob", "run_id": "varchar",
}  # fmt: skip
"""`sojourn.quarantine`: one row per quarantined record, which is known by the first five columns but `file`."""


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
    """A home's landed events, and the place where tables are published.

    *area* is the folder under the home that belongs to this store alone.
    """

    def __init__(self, home: Path, area: Path) -> None:
        self.home = home
        self.area = area

    @contextmanager
    def writing(self) -> Iterator[None]:
        """Hold the home for one run; a second run waits its turn, and says so."""
        make_folder(self.area)
        with _locked(self.home / "lock"), self._guarded():
            self._clean()
            yield

    def staging(self, run_id: str) -> Path:
        """A fresh folder for what a run makes before it is published."""
        folder = self.area / "staging" / run_id
        make_folder(folder)
        return folder

    def event_path(self, file: str) -> Path:
        """Where a landed event file listed by this store lies."""
        return self.area / "events" / file

    def keep_events(self, staged: Sequence[Path], pipeline: str, run_id: str) -> list[str]:
        """Move staged event files to their place; they count once a publication lists them."""
        folder = self.area / "events" / pipeline / run_id
        if staged:
            make_folder(folder)
        for path in staged:
            path.rename(folder / path.name)
        sync_folder(folder)
        return [f"{pipeline}/{run_id}/{path.name}" for path in staged]

    def _clean(self) -> None:
        """Remove what killed runs left: staged files, and event files that nothing lists."""
        shutil.rmtree(self.area / "staging", ignore_errors=True)
        listed = {str(Path(file).parent) for file in self._listed_files()}
        for folder in (self.area / "events").glob("*/*"):
            if str(folder.relative_to(self.area / "events")) not in listed:
                shutil.rmtree(folder, ignore_errors=True)

    def _guarded(self) -> AbstractContextManager[Any]:
        return contextlib.nullcontext()

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
    def query(self, sql: str, *, pipeline: str | None = None) -> AbstractContextManager[pa.RecordBatchReader]:
        """The result of a read-only query; names without a schema are *pipeline*'s tables."""

    @abstractmethod
    def table_query(self, pipeline: str, table: str, order_by: Sequence[str] | None) -> str:
        """SQL for all rows of a table, nulls first; without *order_by* in the order they were made."""

    @abstractmethod
    def _listed_files(self) -> set[str]:
        """Event files that some pipeline's current tables rest on."""


def make_folder(folder: Path) -> None:
    """Create *folder*; a mistake of the person's comes out as one sentence."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError("home_unusable", f"cannot use the folder {folder}: {error.strerror}") from error


def sync_folder(folder: Path) -> None:
    """Make renames within *folder* durable."""
    if folder.exists():
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def write_whole(path: Path, content: bytes) -> None:
    """Replace *path* by *content*, durably: a reader sees the old or the new, never a piece."""
    fresh = path.with_name(f"{path.name}.new")
    with fresh.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    fresh.replace(path)
    sync_folder(path.parent)


def run_row(report: dict[str, Any], message: str | None) -> dict[str, Any]:
    """The row of `sojourn.runs` for a run's *report*."""
    ledger = report["ledger"]
    counts = {name: ledger[name] for name in ("read", "blank", "accepted", "duplicate")}
    sums = {name: sum(ledger[name].values()) for name in ("dropped", "quarantined")}
    whole = json.dumps(report, ensure_ascii=False)
    plain = {name: report[name] for name in ("run_id", "pipeline", "status", "started_at", "seconds")}
    return {**plain, **counts, **sums, "report": whole, "message": message}


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    with path.open("a+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            print(f"another run is writing to {path.parent}; waiting for it to end", file=sys.stderr, flush=True)
            fcntl.flock(file, fcntl.LOCK_EX)
        except OSError as error:
            raise SojournError("lock", f"cannot lock {path}: {error.strerror}") from error
        yield
