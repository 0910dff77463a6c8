"""A run: read, land, build, balance, publish. Read it aloud."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from sojourn import export, quarantine
from sojourn.balancing import Run, balance, event_files, remembered
from sojourn.contracts import changes
from sojourn.engines.building import Built, EventFile, build
from sojourn.engines.spark import Spark
from sojourn.errors import SojournError, TooManyQuarantinedError, as_ours
from sojourn.ledger import Ledger, total
from sojourn.pipeline import Pipeline
from sojourn.reading.forgotten import NOBODY, Forgotten
from sojourn.reading.forgotten import load as load_forgotten
from sojourn.reading.inputs import Input, as_given
from sojourn.reading.known import KnownInput, Reading, recognise
from sojourn.reading.land import Execute, Landed, land
from sojourn.reading.readers import Landing, read_apart
from sojourn.recomputing import kept_files
from sojourn.rereading import reading_changed
from sojourn.store.base import Publication, Store
from sojourn.store.files import tell
from sojourn.store.manifest import Kept

Progress = Callable[[int], None]


@dataclass(frozen=True)
class Options:
    """What a person can say about a run. *until*: the end of observation, in epoch microseconds.

    *spark*: where to read and to compute, if not here. *is_watching*: a last line without a line break waits for the
    rest of it, and where nothing is new no run is recorded: its status is `unchanged`.
    """

    mode: str = "add"
    out: Path | None = None
    format: str = "csv"
    memory: int | None = None
    until: int | None = None
    max_quarantined: Callable[[Ledger], bool] = lambda _: True
    spark: Spark | None = None
    is_watching: bool = False


def execute(
    pipeline: Pipeline,
    inputs: list[Input],
    store: Store,
    options: Options,
    progress: Progress,
    marks: Mapping[str, Any] | None = None,
) -> Run:
    """Run *pipeline* over *inputs* and publish; whatever fails publishes nothing, and is recorded."""
    run = Run(pipeline.name, inputs=inputs, marks=dict(marks or {}))
    with store.writing():
        kept = _kept(store, pipeline, options)
        try:
            exported = _publish(run, pipeline, kept, store, options, progress)
        except (SojournError, OSError, MemoryError, KeyboardInterrupt) as error:
            export.discard(options.out, run.run_id)
            raise broken_off(run, store, error) from error
        exported.put_in_place()
    return run


def _publish(
    run: Run, pipeline: Pipeline, kept: Kept, store: Store, options: Options, progress: Progress
) -> export.Export:
    """Read, land, build, balance, publish; gives the files for `--out`, to be put in place now."""
    staging = store.staging(run.run_id)
    store.note(run.record())
    forgotten = load_forgotten(store.forgotten_in, pipeline.name)
    landed = _land(run, pipeline, staging / "events", options, progress, kept, forgotten)
    run.refused = quarantine.gather(landed, pipeline.name, run.run_id, staging)
    store.note(run.record())
    refused = quarantine.of_files(store, landed, pipeline.name, run.refused, staging) if options.out else None
    if _is_nothing_new(landed, pipeline, kept, options):
        return _left_as_it_is(run, pipeline, kept, store, options, refused)
    withdrawn = {name for source in landed for former in source.former.values() for name in former.tail}
    stay = [file for file in kept.files if file.name not in withdrawn]
    snapshot = staging / "snapshot.duckdb"
    files = kept_files(store, stay) + event_files(landed, run)
    gone = kept_files(store, (file for file in kept.files if file.name in withdrawn))
    base = _base(pipeline, kept, store) if options.spark is None else None
    built = _built(pipeline, files, snapshot, options, base=base, withdrawn=gone)
    run.tables = built.tables
    balance(run, landed, built, kept)
    _check_limit(run, options)
    run.status = "done"
    exported = export.stage(pipeline, run.run_id, snapshot, refused, options.out, options.format, options.spark)
    fresh = store.keep_events(
        [file.path for file in event_files(landed, run) if file.is_kept], pipeline.name, run.run_id
    )
    store.publish(
        Publication(
            Kept(
                run_id=run.run_id,
                tables=built.tables,
                files=(*stay, *fresh),
                events=built.kept,
                reading=pipeline.fingerprint(),
                rules=pipeline.rules(),
                inputs=remembered(run, landed, built, _known(pipeline, kept), options.until),
                base=kept.run_id,
                until=options.until,
            ),
            snapshot=snapshot,
            report=run.record(),
            quarantine=run.refused,
            replayed=quarantine.withdrawn(store, landed, pipeline.name, run.refused, staging),
        )
    )
    return exported


def _land(
    run: Run,
    pipeline: Pipeline,
    folder: Path,
    options: Options,
    progress: Progress,
    kept: Kept,
    forgotten: Forgotten = NOBODY,
) -> list[Landed]:
    """Read the inputs source by source; the run knows then where each record ended, as far as reading can tell."""
    given = run.inputs
    run.inputs, landed = [], []
    for name, source in pipeline.source.items():
        inputs = [one for one in given if one.source == name]
        reading = Reading(name, as_given(source, inputs), options.until, options.is_watching)
        found = recognise(inputs, _known(pipeline, kept), reading)
        for remark in found.remarks:
            tell(remark)
        until = options.until if name == "events" else None
        landing = Landing(name, reading.source, folder, until, forgotten, options.memory)
        execute = None if options.spark is None else _on(options.spark)
        landed.append(land(found.inputs, landing, progress=progress, found=found, execute=execute))
        run.inputs += found.inputs
        run.ledgers += landed[-1].ledgers()
        run.skipped += [at in landed[-1].skipped for at in range(len(found.inputs))]
    return landed


def _on(spark: Spark) -> Execute:
    return lambda todo, landing: spark.map(partial(read_apart, landing), todo)


def _built(
    pipeline: Pipeline,
    files: list[EventFile],
    snapshot: Path,
    options: Options,
    *,
    base: Path | None = None,
    withdrawn: Sequence[EventFile] = (),
) -> Built:
    spill = snapshot.with_name("spill")
    if options.spark is not None:
        return options.spark.build(pipeline, files, snapshot, options.memory, spill, options.until)
    return build(pipeline, files, snapshot, options.memory, spill, options.until, base=base, withdrawn=withdrawn)


def _known(pipeline: Pipeline, kept: Kept) -> tuple[KnownInput, ...]:
    """The inputs that were read as the pipeline reads now."""
    return kept.inputs if kept.reading == pipeline.fingerprint() else ()


def _is_nothing_new(landed: list[Landed], pipeline: Pipeline, kept: Kept, options: Options) -> bool:
    """Whether the current tables are those that this run would make."""
    files = [(at, source) for source in landed for at, given in enumerate(source.inputs) if given.messages is None]
    if options.is_watching and not files:
        return True
    is_known = all(at in source.skipped for at, source in files) and not any(source.former for source in landed)
    is_known &= options.is_watching or len(files) == sum(len(source.inputs) for source in landed)
    untils = {kept.until, *(known.until for known in kept.inputs)}
    is_same = kept.rules == pipeline.rules() and untils == {options.until}
    is_same &= options.spark is None or options.out is None  # whose files are made of what it has built
    return kept.run_id is not None and is_known and is_same


def _left_as_it_is(
    run: Run, pipeline: Pipeline, kept: Kept, store: Store, options: Options, refused: Path | None
) -> export.Export:
    """Record a run that has nothing to publish; gives the files for `--out`, of the current tables."""
    if options.is_watching:
        run.status = "unchanged"
        return export.Export()
    assert kept.run_id is not None, "something is published"
    run.status, run.tables = "done", kept.tables
    for given, ledger in zip(run.inputs, run.ledgers, strict=True):
        ledger.check(given.name)
    _check_limit(run, options)
    snapshot = store.snapshot_path(pipeline.name, kept.run_id)
    exported = export.stage(pipeline, run.run_id, snapshot, refused, options.out, options.format)
    said = f"nothing that was read is new: the tables are those of the run {kept.run_id}"
    store.record(run.record(), said, None)
    return exported


def broken_off(run: Run, store: Store, error: BaseException) -> SojournError:
    """What a person is told of a run that broke off; it is recorded, unless it broke off when it was published."""
    told = as_ours(error)
    with suppress(SojournError, OSError):  # where nothing can be written, nothing can be recorded
        if store.kept(run.pipeline).run_id == run.run_id:
            reason = told.message.replace("; nothing was published", "")
            return SojournError(told.code, f"the run {run.run_id} was published, but broke off after that: {reason}")
        run.status = "too_many_quarantined" if isinstance(told, TooManyQuarantinedError) else "failed"
        run.tables = {}
        store.record(run.record(), told.message, run.refused)
    if "nothing was published" not in told.message:
        told.message += "; nothing was published"
    told.run = run  # type: ignore[attr-defined] # what became of the records is told with the error
    return told


def check(pipeline: Pipeline, inputs: list[Input], folder: Path, options: Options, progress: Progress) -> Run:
    """The ledger of *inputs* alone: everything but publishing, in a *folder* of its own."""
    run = Run(pipeline.name, inputs=inputs)
    landed = _land(run, pipeline, folder / "events", options, progress, Kept())
    files = event_files(landed, run)
    built = _built(pipeline, files, folder / "snapshot.duckdb", options)
    balance(run, landed, built, Kept())
    run.status = "checked"
    try:
        _check_limit(run, options)
    except TooManyQuarantinedError as error:
        run.status = "too_many_quarantined"
        error.run = run  # type: ignore[attr-defined] # as in a run, the ledger is told with the error
        raise
    return run


def _kept(store: Store, pipeline: Pipeline, options: Options) -> Kept:
    """What earlier runs left to add to; nothing when the pipeline starts over."""
    if options.mode == "replace":
        return Kept()
    kept = store.kept(pipeline.name)
    is_kept = kept.run_id is not None and (kept.files or pipeline.events.format != "streams")
    if is_kept and kept.reading != pipeline.fingerprint():
        raise reading_changed(pipeline, kept)
    if kept.rules and (changed := changes(kept.rules, pipeline.rules())):
        tell(f"other rules than those of the run {kept.run_id}: {', '.join(changed)}; all tables are computed again")
    missing = [path for file in kept.files if not (path := store.event_path(file.name)).exists()]
    if missing:
        raise SojournError(
            "events_missing",
            f"the kept events {missing[0]} are gone; bring the home back from a backup, or start {pipeline.name} over "
            "with --mode replace and all of its files",
        )
    return kept


def _base(pipeline: Pipeline, kept: Kept, store: Store) -> Path | None:
    """The snapshot over what is kept, where tables were made by the rules of now."""
    return store.base(pipeline.name, kept) if kept.rules == pipeline.rules() else None


def _check_limit(run: Run, options: Options) -> None:
    ledger = total(run.ledgers)
    if not options.max_quarantined(ledger):
        raise TooManyQuarantinedError(
            "too_many_quarantined",
            f"{ledger.quarantined.total()} of {ledger.read} records were quarantined, more than --max-quarantined "
            "allows; nothing was published (see: sojourn quarantine list)",
        )
