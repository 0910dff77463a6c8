"""A run: read, land, build, balance, publish. Read it aloud."""

import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sojourn import export, quarantine
from sojourn.engines.duckdb import Built, EventFile, build
from sojourn.errors import SojournError, TooManyQuarantinedError, UsageError
from sojourn.ledger import Ledger, total
from sojourn.pipeline import Pipeline
from sojourn.reading.land import Landed, event_file, land
from sojourn.reading.sources import Input
from sojourn.store.base import Kept, Publication, Store

Progress = Callable[[int], None]


@dataclass(frozen=True)
class Options:
    """What a person can say about a run. *max_quarantined* is a count, or a share when below 1."""

    mode: str = "add"
    out: Path | None = None
    format: str = "csv"
    memory: int | None = None
    max_quarantined: Callable[[Ledger], bool] = lambda _: True


@dataclass
class Run:
    """One execution of a pipeline, and what became of every record."""

    pipeline: str
    run_id: str = field(default_factory=lambda: f"{datetime.now(UTC):%Y%m%dT%H%M%S%f}-{uuid.uuid4().hex[:6]}")
    status: str = "failed"
    started: float = field(default_factory=time.monotonic)
    started_at: str = field(default_factory=lambda: f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%S.%fZ}")
    inputs: list[Input] = field(default_factory=list)
    ledgers: list[Ledger] = field(default_factory=list)
    tables: dict[str, int] = field(default_factory=dict)

    def report(self) -> dict[str, Any]:
        """The run as plain JSON values: what `--json` prints."""
        files = [
            {"file": given.name, "source": "events", **ledger.as_dict()}
            for given, ledger in zip(self.inputs, self.ledgers, strict=False)
        ]
        return {
            "run_id": self.run_id,
            "pipeline": self.pipeline,
            "status": self.status,
            "seconds": round(time.monotonic() - self.started, 3),
            "ledger": total(self.ledgers).as_dict(),
            "files": files,
            "tables": self.tables,
        }

    def record(self) -> dict[str, Any]:
        """The report with the time the run began."""
        return {**self.report(), "started_at": self.started_at}


def execute(pipeline: Pipeline, inputs: list[Input], store: Store, options: Options, progress: Progress) -> Run:
    """Run *pipeline* over *inputs* and publish; whatever fails publishes nothing, and is recorded."""
    run = Run(pipeline.name, inputs=inputs)
    with store.writing():
        kept = _kept(store, pipeline, options)
        staging = store.staging(run.run_id)
        refused: Path | None = None
        try:
            landed = land(inputs, pipeline.events, staging / "events", progress=progress)
            run.ledgers = landed.ledgers()
            refused = quarantine.gather(landed, pipeline.name, run.run_id, staging)
            files = [EventFile(store.event_path(file)) for file in kept.files] + _files(landed)
            snapshot = staging / "snapshot.duckdb"
            built = build(pipeline, files, snapshot, options.memory, staging / "spill")
            run.tables = built.tables
            _balance(run, landed, built, kept)
            _check_limit(run, options)
            run.status = "done"
            exported = export.stage(pipeline, run.run_id, snapshot, refused, options.out, options.format)
            fresh = store.keep_events([file.path for file in _files(landed)], pipeline.name, run.run_id)
            store.publish(
                Publication(
                    pipeline=pipeline.name,
                    run_id=run.run_id,
                    snapshot=snapshot,
                    tables=built.tables,
                    files=(*kept.files, *fresh),
                    events=built.events,
                    reading=pipeline.fingerprint(),
                    report=run.record(),
                    quarantine=refused,
                )
            )
            exported.put_in_place()
        except SojournError as error:
            run.status = "too_many_quarantined" if isinstance(error, TooManyQuarantinedError) else "failed"
            run.tables = {}
            store.record(run.record(), error.message, refused)
            error.run = run  # type: ignore[attr-defined] # what became of the records is told with the error
            raise
    return run


def check(pipeline: Pipeline, inputs: list[Input], folder: Path, options: Options, progress: Progress) -> Run:
    """The ledger of *inputs* alone: everything but publishing, in a *folder* of its own."""
    run = Run(pipeline.name, inputs=inputs)
    landed = land(inputs, pipeline.events, folder / "events", progress=progress)
    run.ledgers = landed.ledgers()
    built = build(pipeline, _files(landed), folder / "snapshot.duckdb", options.memory, folder / "spill")
    _balance(run, landed, built, Kept())
    run.status = "checked"
    _check_limit(run, options)
    return run


def _kept(store: Store, pipeline: Pipeline, options: Options) -> Kept:
    """What earlier runs left to add to; nothing when the pipeline starts over."""
    kept = store.kept(pipeline.name)
    if options.mode == "replace":
        return Kept()
    if kept.run_id is not None and kept.reading != pipeline.fingerprint():
        raise UsageError(
            "reading_changed",
            f"the pipeline {pipeline.name} now reads its records in another way than the run {kept.run_id}; "
            "start it over with --mode replace and all of its files, or give the new pipeline file another name",
        )
    return kept


def _files(landed: Landed) -> list[EventFile]:
    return [EventFile(landed.folder / event_file(part.number), part.number) for part in landed.parts if part.rows]


def _check_limit(run: Run, options: Options) -> None:
    ledger = total(run.ledgers)
    if not options.max_quarantined(ledger):
        raise TooManyQuarantinedError(
            "too_many_quarantined",
            f"{ledger.quarantined.total()} of {ledger.read} records were quarantined, more than --max-quarantined "
            "allows; nothing was published (see: sojourn quarantine list)",
        )


def _balance(run: Run, landed: Landed, built: Built, kept: Kept) -> None:
    """Settle what is accepted and what is a duplicate, file by file, and prove the sum."""
    for part in landed.parts:
        duplicate, conflicting = built.duplicates.get(part.number, (0, 0))
        ledger = run.ledgers[part.input_number]
        ledger.duplicate += duplicate
        if conflicting:
            ledger.notes["conflicting"] += conflicting
        ledger.accepted += part.rows - duplicate
    for given, ledger in zip(run.inputs, run.ledgers, strict=True):
        ledger.check(given.name)
    whole = total(run.ledgers)
    whole.check("the run")
    if built.events != kept.events + whole.accepted:
        raise SojournError(
            "ledger",
            f"the run accepted {whole.accepted} records beside {kept.events} kept events, but its tables rest on "
            f"{built.events}; nothing was published (this is a fault in Sojourn, please report it)",
        )
