"""A rebuild: every table computed again, from kept events; or from the raw files, where those are read otherwise."""

from collections import defaultdict

from sojourn import run as runs
from sojourn.balancing import Run
from sojourn.contracts import accepts_more
from sojourn.errors import SojournError, UsageError
from sojourn.mending.republishing import Task, publish
from sojourn.mending.standing import Kind, kind_of
from sojourn.pipeline import Pipeline
from sojourn.reading.inputs import Input, resolve
from sojourn.reading.known import KnownInput
from sojourn.rereading import as_named, listed, why_gone
from sojourn.run import Options, Progress, broken_off
from sojourn.store.base import Store
from sojourn.store.manifest import Kept
from sojourn.store.streams import journal_of

REBUILT = {"rebuilt": True}


def rebuild(pipeline: Pipeline, store: Store, memory: int | None, progress: Progress) -> Run:
    """Compute every table of *pipeline* again and publish.

    Raises `UsageError` ``not_published``, and `SojournError` ``files_missing`` where raw files are needed that are
    gone, or others by now; nothing is published then.
    """
    kept = store.kept(pipeline.name)
    if kept.run_id is None:
        raise UsageError("not_published", f"{pipeline.name} has published nothing yet; see: sojourn run -h")
    is_journal = pipeline.events.format == "streams" and not kept.files  # which every run reads whole
    if kept.reading == pipeline.fingerprint() and not is_journal:
        return _from_events(pipeline, store, memory)
    return _from_files(pipeline, kept, store, memory, progress)


def _from_events(pipeline: Pipeline, store: Store, memory: int | None) -> Run:
    run = Run(pipeline.name, marks=REBUILT)
    with store.writing():
        kept = store.kept(pipeline.name)
        try:
            store.staging(run.run_id)
            store.note(run.record())
            publish(Task(run, pipeline, kept, store, memory, is_whole=True))
        except (SojournError, OSError, MemoryError, KeyboardInterrupt) as error:
            raise broken_off(run, store, error) from error
    return run


def _from_files(pipeline: Pipeline, kept: Kept, store: Store, memory: int | None, progress: Progress) -> Run:
    """Read every raw file again, as `run --mode replace` does."""
    inputs, lost = _inputs(pipeline, kept)
    journal = journal_of(store) if pipeline.events.format == "streams" else None
    inputs += [journal] if journal is not None else []
    if kept.files and not kept.inputs:
        lost = ["the files of earlier runs (an earlier version did not note which)"]
    if lost or not inputs:
        is_more = accepts_more(kept.reading, pipeline.fingerprint())
        way = f"do without: sojourn quarantine replay --pipeline {as_named(pipeline)}" if is_more else "start over"
        raise SojournError(
            "files_missing",
            f"{pipeline.name} reads its records in another way now, and not all of its raw files can be read again: "
            f"{listed(lost)}; nothing was published; bring them back, or {way}"
            + ("" if is_more else " with --mode replace"),
        )
    untils = {known.until for known in kept.inputs}
    if len(untils) > 1:
        raise UsageError(
            "several_untils",
            "the files were read with more than one --until; read them again with --mode replace, and one of them",
        )
    options = Options(mode="replace", memory=memory, until=untils.pop() if untils else None)
    within = store.passing(pipeline.name) if all(given.messages is not None for given in inputs) else None
    if within is None:
        return runs.execute(pipeline, inputs, store, options, progress, REBUILT)
    with within as writing:
        return runs.execute(pipeline, inputs, writing, options, progress, REBUILT)


def _inputs(pipeline: Pipeline, kept: Kept) -> tuple[list[Input], list[str]]:
    """The raw files, each content once under every name that it was read by; and those that cannot be read again."""
    inputs: list[Input] = []
    lost: list[str] = []
    kinds: dict[Kind, list[KnownInput]] = defaultdict(list)
    for known in kept.inputs:
        kinds[kind_of(known)].append(known)
    for ones in kinds.values():
        whys = {known.name: why_gone(known) for known in ones}
        there = [known for known in ones if whys[known.name] is None]
        if not there:
            lost.append(f"{ones[0].name} ({whys[ones[0].name]})")
        for known in there:
            source = pipeline.source.get(known.source)
            if source is not None and known.path is not None:
                inputs += resolve([known.path], source.format, known.source)
    return inputs, lost
