"""Forgetting: note who is forgotten, rewrite what holds them, compute again, and prove that nothing is left.

In this order, so that whatever is broken off can be done again: from the note on no run brings anybody back; tables
are computed without sessions that still are in the journal; what held somebody goes once nothing names it any more.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq

from sojourn import run as runs
from sojourn.balancing import Run, event_files
from sojourn.engines.building import EventFile, build
from sojourn.errors import SojournError
from sojourn.forgetting import known, scan
from sojourn.forgetting.finding import Everything, Found, find, is_passing
from sojourn.forgetting.known import Actors
from sojourn.forgetting.rewriting import Rewritten, corrected, rewrite
from sojourn.loading import load as load_pipeline
from sojourn.loading import ready_pipelines
from sojourn.pipeline import Pipeline
from sojourn.quarantine import check_pipeline
from sojourn.recomputing import by_rules, files_of, received
from sojourn.store.base import Publication, Store
from sojourn.store.removing import remove_sessions, vacuum
from sojourn.store.schemas import IDENTITY, QUARANTINE
from sojourn.store.streams import journal_of

_REWORDED = "removed: it named somebody who is forgotten"


def forget(
    store: Store, given: Sequence[str], pipeline: str | None, *, is_dry: bool = False, memory: int | None = None
) -> dict[str, Any]:
    """Forget the actors *given*, in one *pipeline* or everywhere; what was found and rewritten, as plain values.

    Raises `SojournError` ``not_forgotten`` where the proof finds something after all: do it again; `UsageError`
    ``unknown_pipeline``.
    """
    actors = known.actors(given)
    with store.writing():
        check_pipeline(store, pipeline)
        if not is_dry:
            known.add(store.home, given, pipeline)
        found = find(store, actors, pipeline)
        pipelines = {one.name: _pipeline(one) for one in found.pipelines if one.is_touched}
        report = _report(found, given, is_dry=is_dry)
        if is_dry:
            return report
        store.keep = 1
        named = actors.with_sessions(found.sessions)
        for one in found.pipelines:
            if one.is_touched and not is_passing(one.kept):
                report["pipelines"][one.name] |= _compute_again(store, one, pipelines[one.name], named, memory)
            elif one.quarantined:
                _withdraw(store, one)
        for run_id in found.runs:
            store.reword(run_id, _REWORDED)
    for one in found.pipelines:
        if one.is_touched and is_passing(one.kept):
            report["pipelines"][one.name] |= _run_again(store, pipelines[one.name], memory)
    if found.sessions:
        remove_sessions(store.home, store.address, found.sessions)
    _prove(store, actors, found, pipeline)
    return report


def _pipeline(found: Found) -> Pipeline:
    """By which rules tables are made again."""
    if found.kept.rules:
        return by_rules(found.name, found.kept)
    if found.name in ready_pipelines():
        return load_pipeline(found.name)
    raise SojournError(
        "no_rules",
        f"the run {found.kept.run_id} of {found.name} does not say by which rules its tables were made; run it once "
        "more, then forget again (who is to be forgotten is noted: that run does not bring anybody back)",
    )


def _compute_again(
    store: Store, found: Found, pipeline: Pipeline, actors: Actors, memory: int | None
) -> dict[str, Any]:
    """Publish the tables of *pipeline* over its kept events without the *actors*; no earlier run is kept."""
    run = Run(found.name, status="forgot")
    staging = store.staging(run.run_id)
    given = list(zip(found.kept.files, files_of(store, found.kept), strict=True))
    paths = [(file, event.path) for file, event in given]
    if found.streams:  # whole sessions, also those of the journal that came in files, too
        events = [path for _, path in paths]
        actors = actors.with_sessions(scan.sessions_in(events, actors))
        found.events = scan.in_events(events, actors, streams=True)
    done = rewrite(paths, found.events, actors, staging / "events", streams=found.streams)
    names = {one.file.name: _name(run, one) for one in done}
    files = [event for file, event in given if file.name not in names]
    files += [
        EventFile(one.path, one.path.name.partition("-")[0], name=str(_name(run, one))) for one in done if one.path
    ]
    landed = received(store, pipeline, staging / "received")  # without the sessions that are to be forgotten
    snapshot, spill = staging / "snapshot.duckdb", staging / "spill"
    built = build(
        pipeline,
        [*files, *event_files([landed] if landed is not None else [], run)],
        snapshot,
        memory,
        spill,
        found.kept.until,
    )
    run.tables = built.tables
    fresh = store.keep_events([one.path for one in done if one.path], found.name, run.run_id)
    gone = {one.file.name: one.gone for one in done}
    kept = msgspec.structs.replace(
        found.kept,
        run_id=run.run_id,
        tables=built.tables,
        files=(*(file for file in found.kept.files if file.name not in names), *fresh),
        events=built.kept,
        rules=pipeline.rules(),
        inputs=corrected(found.kept.inputs, gone, names, found.quarantined),
        base=None,
    )
    replayed = _identities(found.quarantined, staging) if found.quarantined else None
    store.publish(Publication(kept, snapshot, run.record(), replayed=replayed))
    return {"run_id": run.run_id, "tables": built.tables}


def _name(run: Run, one: Rewritten) -> str | None:
    return f"{run.pipeline}/{run.run_id}/{one.path.name}" if one.path is not None else None


def _run_again(store: Store, pipeline: Pipeline, memory: int | None) -> dict[str, Any]:
    """Read the journal again, for tables that rest on nothing else and keep nothing in a home."""
    journal = journal_of(store)
    with store.passing(pipeline.name) as passing:
        inputs = [journal] if journal is not None else []
        done = runs.execute(pipeline, inputs, passing, runs.Options(memory=memory), lambda _: None)
    return {"run_id": done.run_id, "tables": done.tables}


def _withdraw(store: Store, found: Found) -> None:
    """Take quarantined records away where nothing is published."""
    run = Run(found.name, status="forgot")
    staging = store.staging(run.run_id)
    store.record(run.record(), None, None, _identities(found.quarantined, staging))


def _identities(rows: list[scan.Row], folder: Path) -> Path:
    schema = pa.schema([QUARANTINE.field(name) for name in IDENTITY])
    target = folder / "withdrawn.parquet"
    pq.write_table(pa.Table.from_pylist([{name: row[name] for name in IDENTITY} for row in rows], schema), target)
    return target


def _prove(store: Store, actors: Actors, found: Everything, pipeline: str | None) -> None:
    """Look at everything again, once nothing is left of what went. Raises ``not_forgotten``."""
    with store.writing():
        store.vacuum()
        if store.address is None:  # also where an earlier one was killed before it came to that
            vacuum(store.home, packs=bool(found.sessions))
        left = find(store, actors, pipeline)
    if left.is_anything:
        raise SojournError(
            "not_forgotten",
            f"the proof found something that names who is to be forgotten: {', '.join(left.places())}; forget again",
        )


def _report(found: Everything, given: Sequence[str], *, is_dry: bool) -> dict[str, Any]:
    """What was found, without naming anybody."""
    touched = [one for one in found.pipelines if one.is_touched or one.quarantined]
    return {
        "status": "would forget" if is_dry else "forgot",
        "actors": len(set(given)),
        "found": found.is_anything,
        "pipelines": {
            one.name: {
                "events": sum(one.events.values()),
                "event_files": sorted(str(path) for path in one.events),
                "kept_runs": [path.stem for path in one.snapshots],
                "quarantined": len(one.quarantined),
                "raw_files": sorted(_raw_files(one)),
            }
            for one in touched
        },
        "live": {"sessions": len(found.sessions), "messages": sum(found.sessions.values())},
        "runs": len(found.runs),
    }


def _raw_files(found: Found) -> set[str]:
    """The person's own files that hold the actors still, as far as that is known."""
    held = {f"{found.name}/{path.parent.name}/{path.name}" for path in found.events}
    named = {one.name for one in found.kept.inputs if held & set(one.files)}
    return named | {row["file"] for row in found.quarantined}
