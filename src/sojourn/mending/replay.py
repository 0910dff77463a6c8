"""A replay: quarantined records read again by the contract of now. What passes leaves the quarantine in the commit in
which it becomes part of the tables; what fails stays.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import pyarrow.parquet as pq

from sojourn import quarantine
from sojourn.balancing import Run, settle
from sojourn.contracts import accepts_more
from sojourn.engines.building import Built
from sojourn.errors import SojournError
from sojourn.ledger import Ledger, total
from sojourn.mending import standing
from sojourn.mending.republishing import Fresh, Task, publish
from sojourn.mending.standing import Asked, Kind, Left, Standing
from sojourn.pipeline import Pipeline, Source
from sojourn.reading import forgotten
from sojourn.reading.again import tasks_of
from sojourn.reading.inputs import Input
from sojourn.reading.known import KnownInput
from sojourn.reading.land import Landed, land_tasks
from sojourn.reading.readers import Landing, Part
from sojourn.rereading import reading_changed
from sojourn.run import Progress, broken_off
from sojourn.store.base import Store
from sojourn.store.manifest import Kept


@dataclass(frozen=True)
class Replay:
    """What is asked for: the quarantined records of a *pipeline*, all or those of one *reason*.

    *memory*: bytes for computing tables, where a person said so.
    """

    pipeline: Pipeline
    reason: str | None = None
    memory: int | None = None


def replay(asked: Replay, store: Store, progress: Progress) -> tuple[Run, list[Left]]:
    """Read quarantined records again and publish what passes; the run, and what could not be read again.

    The run's status is `unchanged`, and it is not recorded, where there is nothing to read.
    Raises `SojournError`; then nothing was published, and everything stands as before.
    """
    run = Run(asked.pipeline.name, marks={"replayed": True})
    with store.writing():
        kept = store.kept(asked.pipeline.name)
        if kept.run_id is not None and not accepts_more(kept.reading, asked.pipeline.fingerprint()):
            raise reading_changed(asked.pipeline, kept)
        try:
            left = _replayed(run, asked, kept, store, progress)
        except (SojournError, OSError, MemoryError, KeyboardInterrupt) as error:
            raise broken_off(run, store, error) from error
    return run, left


def _replayed(run: Run, asked: Replay, kept: Kept, store: Store, progress: Progress) -> list[Left]:
    """Read, land, build, balance, publish, as any run does; what could not be read again."""
    pipeline, staging = asked.pipeline, store.staging(run.run_id)
    found = standing.gather(store, pipeline.name, kept.inputs, asked.reason, staging, asked.memory)
    is_adopted = kept.reading != pipeline.fingerprint()
    run.tables = kept.tables
    if kept.run_id is None or not (is_adopted or any(one.ledger.read for one in found.inputs)):
        run.status = "unchanged"
        return found.left
    store.note(run.record())
    groups = _land(run, pipeline, found, store, staging / "events", progress)
    still = quarantine.gather([group.landed for group in groups], run.pipeline, run.run_id, staging / "events")
    gone, changed = standing.changes(found, still, staging, asked.memory)
    run.status = "done"
    if gone is None and not is_adopted:
        for given, ledger in zip(run.inputs, run.ledgers, strict=True):
            ledger.check(given.name)
        store.record(run.record(), "every record that was read again breaks the contract as before", None)
        return found.left
    landed = [group.landed for group in groups]
    fresh = Fresh(landed, lambda built: _corrected(kept.inputs, groups, built, run), changed, gone)
    publish(Task(run, pipeline, kept, store, asked.memory), fresh)
    return found.left


@dataclass(frozen=True)
class _Group:
    """Inputs that were read in the same way, and what of them *landed*."""

    asked: list[Asked]
    landed: Landed


def _land(
    run: Run, pipeline: Pipeline, found: Standing, store: Store, folder: Path, progress: Progress
) -> list[_Group]:
    """Read the lines again, those of inputs that were read in the same way together."""
    who = forgotten.load(store.forgotten_in, pipeline.name)
    groups: list[_Group] = []
    number = 0
    lines = standing.lines(found)
    for way, ones in groupby(lines, key=lambda line: _way(found.inputs[line.number])):
        members = [one for one in found.inputs if one.ledger.read and _way(one) == way]
        places = {id(one): at for at, one in enumerate(members)}
        inputs = [Input(one.known[0].name, None, source=way.source) for one in members]
        landing = Landing(
            way.source, _as_read(pipeline, way), folder, way.until if way.source == "events" else None, who
        )
        moved = (replace(line, number=places[id(found.inputs[line.number])]) for line in ones)
        todo = tasks_of(moved, inputs, [one.known[0].header for one in members], number)
        landed = Landed(landing, inputs, read_before=[one.content for one in members])
        groups.append(_Group(members, land_tasks(todo, landed, progress=progress)))
        number += len(landed.parts)
        run.inputs += inputs
        run.ledgers += landed.ledgers()
        run.skipped += [False] * len(inputs)
    return groups


def _way(one: Asked) -> Kind:
    """What inputs have in common that are read together."""
    return one.kind._replace(content="")


def _as_read(pipeline: Pipeline, way: Kind) -> Source:
    """The contract of the pipeline's source, for the format (and delimiter) that the inputs were read as."""
    source = pipeline.source[way.source]
    if way.read_as.startswith("csv"):
        return msgspec.structs.replace(source, format="csv", delimiter=way.read_as.removeprefix("csv"))
    found: Any = way.read_as  # one of the formats that a source can have
    return msgspec.structs.replace(source, format=found)


def _corrected(known: Sequence[KnownInput], groups: list[_Group], built: Built, run: Run) -> tuple[KnownInput, ...]:
    """What is known of the inputs, their ledgers as if the records had been judged so at once."""
    ledgers = iter(run.ledgers)
    found: dict[Kind, list[_Outcome]] = {}
    for group in groups:
        for at, one in enumerate(group.asked):
            tail = [_tail(group.landed, part, built, run) for part in group.landed.parts if _is_tail_of(part, at)]
            given = [part for part in group.landed.parts if part.input_number == at and part.rows]
            files = tuple(_name(group.landed, part, run) for part in given)
            found.setdefault(one.kind, []).append(_Outcome(one, next(ledgers), files, tail[0] if tail else None))
    return tuple(_with(entry, found.get(standing.kind_of(entry), [])) for entry in known)


class _Tail(NamedTuple):
    """What came of a last line without a line break: kept files, counts, and paths of quarantined records."""

    files: tuple[str, ...]
    ledger: Ledger
    paths: set[str]


class _Outcome(NamedTuple):
    """What came of one input's records when they were read again, and the kept *files* with those that passed."""

    asked: Asked
    ledger: Ledger
    files: tuple[str, ...]
    tail: _Tail | None


def _is_tail_of(part: Part, number: int) -> bool:
    return part.tail > 0 and part.input_number == number


def _tail(landed: Landed, part: Part, built: Built, run: Run) -> _Tail:
    landing, ledger = landed.landing, total([part.ledger])
    settle(ledger, part, landing.name, built)
    name = _name(landed, part, run)
    rejects = pq.read_table(landing.reject_file(part.number), columns=["path"]) if part.rejects else None
    paths = set(rejects["path"].to_pylist()) if rejects is not None else set()
    return _Tail((name,) if part.rows else (), ledger, paths)


def _name(landed: Landed, part: Part, run: Run) -> str:
    """What the file of a part is called when it is kept."""
    return f"{run.pipeline}/{run.run_id}/{landed.landing.event_file(part.number).name}"


def _with(entry: KnownInput, outcomes: list[_Outcome]) -> KnownInput:
    """The *entry* with what came of its records when they were read again."""
    ledger, tail_ledger = Ledger.of(entry.ledger), Ledger.of(entry.tail_ledger)
    files, paths = entry.tail, set(entry.tail_paths)
    for asked, fresh, _, tail in outcomes:
        ledger = ledger.without(asked.ledger)
        ledger.add(fresh)
        if tail is not None:
            tail_ledger = tail_ledger.without(asked.tail_ledger)
            tail_ledger.add(tail.ledger)
            files, paths = (*files, *tail.files), (paths - asked.tail_paths) | tail.paths
    if not outcomes:
        return entry
    ledger.check(entry.name)
    return msgspec.structs.replace(
        entry,
        ledger=ledger.as_dict(),
        tail=files,
        tail_ledger=tail_ledger.as_dict() if entry.tail_ledger else {},
        tail_paths=tuple(sorted(paths)),
        files=(*entry.files, *(name for outcome in outcomes for name in outcome.files)),
    )
