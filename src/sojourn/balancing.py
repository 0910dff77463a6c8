"""One run, and what became of every record in it: settled part by part, balanced, and remembered for the next."""

import time
import uuid
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import Any

from sojourn.engines.building import Built, EventFile
from sojourn.errors import SojournError
from sojourn.ledger import Ledger, total
from sojourn.reading.inputs import Input
from sojourn.reading.known import KnownInput, Reading
from sojourn.reading.land import Landed
from sojourn.reading.readers import Part
from sojourn.reading.remembering import remember
from sojourn.store.manifest import Kept


@dataclass
class Run:
    """One execution of a pipeline, and what became of every record.

    *marks* say in its report what sort of run it is.
    """

    pipeline: str
    run_id: str = field(default_factory=lambda: f"{datetime.now(UTC):%Y%m%dT%H%M%S%f}-{uuid.uuid4().hex[:6]}")
    status: str = "failed"
    started: float = field(default_factory=time.monotonic)
    started_at: str = field(default_factory=lambda: f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%S.%fZ}")
    inputs: list[Input] = field(default_factory=list)
    ledgers: list[Ledger] = field(default_factory=list)
    skipped: list[bool] = field(default_factory=list)
    tables: dict[str, int] = field(default_factory=dict)
    refused: Path | None = None
    marks: dict[str, Any] = field(default_factory=dict)

    def report(self) -> dict[str, Any]:
        """The run as plain JSON values: what `--json` prints."""
        files = [
            {"file": given.name, "source": given.source, **ledger.as_dict(), **({"skipped": True} if skipped else {})}
            for given, ledger, skipped in zip(self.inputs, self.ledgers, self.skipped, strict=False)
        ]
        return {
            "run_id": self.run_id,
            "pipeline": self.pipeline,
            "status": self.status,
            "seconds": round(time.monotonic() - self.started, 3),
            "ledger": total(self.ledgers).as_dict(),
            "files": files,
            "tables": self.tables,
            **self.marks,
        }

    def record(self) -> dict[str, Any]:
        """The report with the time the run began."""
        return {**self.report(), "started_at": self.started_at}


def event_files(landed: Iterable[Landed], run: Run) -> list[EventFile]:
    """What this run landed, and what it will be called when it is kept."""
    return [
        EventFile(
            path := source.landing.event_file(part.number),
            source.landing.name,
            part.number,
            name=f"{run.pipeline}/{run.run_id}/{path.name}",
            is_kept=source.inputs[part.input_number].messages is None,  # a journal keeps its messages itself
        )
        for source in landed
        for part in source.parts
        if part.rows
    ]


def balance(run: Run, landed: list[Landed], built: Built, kept: Kept) -> None:
    """Settle what is accepted and what is a duplicate, file by file, and prove the sum."""
    ledgers = iter(run.ledgers)
    events = 0
    for source in landed:
        of_source = list(islice(ledgers, len(source.inputs)))
        for part in source.parts:
            settle(of_source[part.input_number], part, source.landing.name, built)
        if source.landing.name == "events":
            events += total(of_source).accepted
    for given, ledger in zip(run.inputs, run.ledgers, strict=True):
        ledger.check(given.name)
    total(run.ledgers).check("the run")
    is_withdrawn = any(source.former for source in landed)
    if not is_withdrawn and built.events != kept.events + events:
        raise SojournError(
            "ledger",
            f"the run accepted {events} records beside {kept.events - built.lost} kept events, but its tables rest on "
            f"{built.events}; nothing was published (this is a fault in Sojourn, please report it)",
        )


def settle(ledger: Ledger, part: Part, source: str, built: Built) -> None:
    """Count what became of one part's records, now that it is known."""
    duplicate, conflicting = built.duplicates.get((source, part.number), (0, 0))
    ledger.duplicate += duplicate
    ledger.accepted += part.rows - duplicate
    notes = {name: counts.get(part.number, 0) for name, counts in built.notes.items() if source == "events"}
    ledger.notes += Counter({"conflicting": conflicting, **notes})


def remembered(
    run: Run, landed: list[Landed], built: Built, known: Iterable[KnownInput], until: int | None
) -> tuple[KnownInput, ...]:
    """What is known of inputs for the next run."""
    ledgers = iter(run.ledgers)
    for source in landed:
        name = source.landing.name

        def settled(part: Part, name: str = name) -> Ledger:
            ledger = total([part.ledger])
            settle(ledger, part, name, built)
            return ledger

        of_source = list(islice(ledgers, len(source.inputs)))
        reading = Reading(name, source.landing.source, until)
        known = remember(known, source, of_source, settled, reading, f"{run.pipeline}/{run.run_id}")
    return tuple(known)
