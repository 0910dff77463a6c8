"""Tables made again from what is kept, together with what little is new; published as a run."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from sojourn.balancing import Run, balance, event_files
from sojourn.engines.building import Built, build
from sojourn.pipeline import Pipeline
from sojourn.reading import forgotten
from sojourn.reading.known import KnownInput
from sojourn.reading.land import Landed, land_tasks
from sojourn.reading.readers import Landing
from sojourn.reading.sources import tasks
from sojourn.recomputing import files_of
from sojourn.store.base import Publication, Store
from sojourn.store.manifest import Kept
from sojourn.store.streams import journal_of


@dataclass(frozen=True)
class Fresh:
    """What comes to the kept events: what *landed*, and by it other *inputs* in the manifest.

    *refused* and *replayed* are Parquet files of quarantined records that come, and go before.
    """

    landed: Sequence[Landed] = ()
    inputs: Callable[[Built], tuple[KnownInput, ...]] | None = None
    refused: Path | None = None
    replayed: Path | None = None


NOTHING = Fresh()


@dataclass(frozen=True)
class Task:
    """A *run* that makes the tables of *pipeline* again from what is *kept* in *store*.

    *is_whole*: all of them are computed, also where only what is new could be.
    """

    run: Run
    pipeline: Pipeline
    kept: Kept
    store: Store
    memory: int | None
    is_whole: bool = False


def publish(task: Task, fresh: Fresh = NOTHING) -> None:
    """Build, balance, publish."""
    run, pipeline, kept, store = task.run, task.pipeline, task.kept, task.store
    staging = store.staging(run.run_id)
    journal = _journal(pipeline, store, staging / "journal", sum(len(one.parts) for one in fresh.landed))
    new = event_files([*fresh.landed, *journal], run)
    is_whole = task.is_whole or kept.rules != pipeline.rules()
    snapshot = staging / "snapshot.duckdb"
    built = build(
        pipeline,
        [*files_of(store, kept), *new],
        snapshot,
        task.memory,
        staging / "spill",
        kept.until,
        base=None if is_whole else store.base(pipeline.name, kept),
    )
    _balance(task, fresh.landed, journal, built)
    run.status = "done"
    inputs = kept.inputs if fresh.inputs is None else fresh.inputs(built)
    files = store.keep_events([file.path for file in new if file.is_kept], run.pipeline, run.run_id)
    left = Kept(
        run_id=run.run_id,
        tables=built.tables,
        files=(*kept.files, *files),
        events=built.kept,
        reading=pipeline.fingerprint(),
        rules=pipeline.rules(),
        inputs=inputs,
        until=kept.until,
    )
    store.publish(Publication(left, snapshot, run.record(), fresh.refused, fresh.replayed))


def _journal(pipeline: Pipeline, store: Store, folder: Path, number: int) -> list[Landed]:
    """The journal of live messages, which each run of a pipeline of streams reads; its parts numbered from *number*."""
    given = journal_of(store) if pipeline.events.format == "streams" else None
    if given is None:
        return []
    landing = Landing("events", pipeline.events, folder, forgotten=forgotten.load(store.forgotten_in, pipeline.name))
    todo = (replace(task, number=task.number + number) for task in tasks([given], 1))
    return [land_tasks(todo, Landed(landing, [given]), progress=lambda _: None)]


def _balance(task: Task, landed: Sequence[Landed], journal: list[Landed], built: Built) -> None:
    """Settle where each record ended; what the journal brings counts for the sum, but is no input of this run."""
    run = task.run
    for one in journal:
        run.inputs += one.inputs
        run.ledgers += one.ledgers()
    balance(run, [*landed, *journal], built, task.kept)
    count = len(run.ledgers) - sum(len(one.inputs) for one in journal)
    run.inputs, run.ledgers, run.tables = run.inputs[:count], run.ledgers[:count], built.tables
