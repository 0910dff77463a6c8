"""Where every record ends over a sequence of runs, and the events that are kept (sections 1 and 3)."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tests.reference.pipelines import order_of
from tests.reference.records import Blank, Rejected, judge, read_lines

if TYPE_CHECKING:
    from tests.reference.pipelines import Pipeline
    from tests.reference.records import Event

Run = list[tuple[str, bytes]]  # (file name, content)


@dataclass
class Ledger:
    """The counts of one run or of one file in it; reasons and notes that did not occur are absent."""

    read: int = 0
    blank: int = 0
    accepted: int = 0
    duplicate: int = 0
    dropped: Counter[str] = field(default_factory=Counter)
    quarantined: Counter[str] = field(default_factory=Counter)
    notes: Counter[str] = field(default_factory=Counter)

    def is_balanced(self) -> bool:
        ends = self.accepted + self.duplicate + self.dropped.total() + self.quarantined.total()
        return self.read == ends

    def as_dict(self) -> dict[str, int | dict[str, int]]:
        return {
            "read": self.read,
            "blank": self.blank,
            "accepted": self.accepted,
            "duplicate": self.duplicate,
            "dropped": dict(self.dropped),
            "quarantined": dict(self.quarantined),
            "notes": dict(self.notes),
        }


@dataclass(frozen=True)
class Quarantined:
    """A record that broke the contract, with its exact text."""

    file: str
    line: int
    raw: bytes
    rejected: Rejected


@dataclass
class Outcome:
    """Of every run its ledger, its files' ledgers in order, and its quarantine; then the kept events."""

    runs: list[Ledger] = field(default_factory=list)
    files: list[list[Ledger]] = field(default_factory=list)
    quarantine: list[list[Quarantined]] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)


def is_anonymous(event: Event) -> bool:
    """No actor: absent, null or empty (semantics 5.4)."""
    return event.get("actor") in (None, "")


def process(runs: list[Run], pipeline: Pipeline) -> Outcome:
    """The runs one after the other into one home."""
    outcome = Outcome()
    kept: dict[object, Event] = {}
    for run in runs:
        files, quarantine, arrived = _read(run, pipeline)
        for identity, copies in arrived.items():
            _dedupe(identity, copies, files, kept, pipeline)
        outcome.runs.append(_sum(files))
        outcome.files.append(files)
        outcome.quarantine.append(quarantine)
    outcome.events = list(kept.values())
    return outcome


def _read(
    run: Run, pipeline: Pipeline
) -> tuple[list[Ledger], list[Quarantined], dict[object, list[tuple[int, Event]]]]:
    """Contract and drop rules; what is left, by identity, as (place of the file, event)."""
    files: list[Ledger] = []
    quarantine: list[Quarantined] = []
    arrived: dict[object, list[tuple[int, Event]]] = {}
    for place, (name, data) in enumerate(run):
        ledger = Ledger()
        files.append(ledger)
        for line, raw in read_lines(data):
            judged = judge(raw, pipeline.contract)
            if isinstance(judged, Blank):
                ledger.blank += 1
                continue
            ledger.read += 1
            if isinstance(judged, Rejected):
                ledger.quarantined[judged.reason] += 1
                quarantine.append(Quarantined(name, line, raw, judged))
            elif pipeline.drop_anonymous and is_anonymous(judged.values):
                ledger.dropped["anonymous"] += 1
            else:
                identity = _identity(judged.values, pipeline)
                arrived.setdefault(identity, []).append((place, judged.values))
    return files, quarantine, arrived


def _identity(event: Event, pipeline: Pipeline) -> object:
    """What makes two records one event (semantics 3.1, 3.2)."""
    if pipeline.dedupe == "off":
        return object()  # equal to nothing else
    if pipeline.dedupe == "id" and event["event_id"] is not None:
        return event["event_id"]
    return order_of(event, pipeline)  # every field that the pipeline reads


def _dedupe(
    identity: object,
    copies: list[tuple[int, Event]],
    files: list[Ledger],
    kept: dict[object, Event],
    pipeline: Pipeline,
) -> None:
    """Count this run's records of one identity, and keep the first in the total order.

    A copy is conflicting when it differs from the event that is kept in the end; the copy that
    replaces an event of an earlier run, when it differs from the one that it replaces.
    """

    def order(event: Event) -> object:
        return order_of(event, pipeline)

    before = kept.get(identity)
    events = [event for _, event in copies]
    winner = min(events if before is None else [before, *events], key=lambda e: order_of(e, pipeline))
    kept[identity] = winner
    has_winner = False  # whether the copy that is the winner has been met
    for place, event in copies:
        ledger = files[place]
        is_winner = not has_winner and order(event) == order(winner)
        has_winner = has_winner or is_winner
        if is_winner and before is None:
            ledger.accepted += 1
            continue
        ledger.duplicate += 1
        other = before if is_winner and before is not None else winner
        if order(event) != order(other):
            ledger.notes["conflicting"] += 1


def _sum(files: list[Ledger]) -> Ledger:
    total = Ledger()
    for ledger in files:
        total.read += ledger.read
        total.blank += ledger.blank
        total.accepted += ledger.accepted
        total.duplicate += ledger.duplicate
        total.dropped.update(ledger.dropped)
        total.quarantined.update(ledger.quarantined)
        total.notes.update(ledger.notes)
    return total
