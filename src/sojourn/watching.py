"""What the command `watch` does: a run whenever files arrive, grow or change."""

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from sojourn import run as runs
from sojourn import show
from sojourn.errors import InterruptedRunError, SojournError, TooManyQuarantinedError, UsageError, as_ours
from sojourn.ledger import Ledger, total
from sojourn.loading import load
from sojourn.pipeline import Pipeline
from sojourn.reading.inputs import Input, as_given, resolve
from sojourn.reading.known import GROWING, is_young
from sojourn.running import named_sources
from sojourn.signals import is_ending
from sojourn.store.base import Store
from sojourn.store.files import tell
from sojourn.store.streams import journal_of
from sojourn.times import parse_duration

_PATIENCE = 10.0
"""Seconds until a run is tried again that failed for another reason than what it read."""

_UNREADABLE = ("corrupt_file", "json_array", "json_objects")
_FOR_GOOD = ("reading_changed", "other_home")
_NOT_YET = ("no_such_file", "no_files")

State = tuple[Any, ...]


@dataclass
class _Watched:
    """How the files looked of which all is read (*done*), those of a run that *failed*, and what was *said* of it.

    *missing*: paths that were told to be none that can be watched.
    """

    done: dict[tuple[str, str], State] = field(default_factory=dict)
    failed: dict[tuple[str, str], State] | None = None
    said: str = ""
    missing: set[str] = field(default_factory=set)


def watch(
    pipeline: str, sources: Sequence[str], store: Store, given: runs.Options, every: str, *, as_json: bool
) -> None:
    """Run *pipeline* over what is new in *sources* until somebody ends it; a line for each run that publishes."""
    pause = _seconds(every)
    loaded = load(pipeline)
    named = named_sources(sources, loaded)
    if not any(named.values()):
        raise UsageError("no_source", f"name what to watch: sojourn watch {pipeline} FOLDER")
    if any(path == "-" for paths in named.values() for path in paths):
        raise UsageError(
            "not_watchable", "standard input is read once: use sojourn run; name files or folders to watch"
        )
    watched, options = _Watched(), replace(given, is_watching=True)
    try:
        with store.writing():
            pass  # a home or a database that cannot be written to is told at once
        while not is_ending():
            time.sleep(_look(loaded, named, store, options, watched, pause, as_json=as_json))
    except (KeyboardInterrupt, InterruptedRunError):
        return  # nothing is lost: what is read is known, and what is not is read next time


def _look(
    pipeline: Pipeline, named: dict[str, list[str]], store: Store, options: runs.Options, watched: _Watched,
    pause: float, *, as_json: bool,
) -> float:  # fmt: skip
    """Run over what changed since the last look; seconds to wait for the next one."""
    try:
        inputs = [one for name, paths in named.items() for one in _ready(pipeline, name, paths, watched)]
        now = {(one.source, one.name): (one.size, one.stamp, is_young(one)) for one in inputs}
        fresh = [one for one in inputs if watched.done.get((one.source, one.name)) != now[one.source, one.name]]
        look = {key: state[:2] for key, state in now.items()}  # being older is no reason to try again
        if not fresh or look == watched.failed:
            return pause
        watched.failed = look
        done = runs.execute(pipeline, fresh + _journal(pipeline, store), store, options, lambda _: None)
    except InterruptedRunError:
        raise
    except (SojournError, OSError, MemoryError) as error:
        told = as_ours(error)
        if told.code in _FOR_GOOD:
            raise
        _complain(told, watched, as_json=as_json)
        if isinstance(told, UsageError | TooManyQuarantinedError) or told.code in _UNREADABLE:
            return pause
        watched.failed = None
        return max(pause, _PATIENCE)
    watched.done, watched.failed, watched.said = now, None, ""
    if done.status != "unchanged":
        _print(done.report(), as_json=as_json)
    return pause


def _ready(pipeline: Pipeline, name: str, paths: list[str], watched: _Watched) -> Iterator[Input]:
    """The files of one source that can be read; one that does not grow by lines must have come to rest."""
    there = [path for path in paths if _is_there(path, pipeline, name, watched)]
    for given in resolve(there, pipeline.source[name].format, name) if there else ():
        if given.is_pipe:
            _tell_once(given.name, f"{given.name} can be read only once, with sojourn run; it is not watched", watched)
            continue
        grows = not given.is_compressed and as_given(pipeline.source[name], [given]).format in GROWING
        if grows or not is_young(given):
            yield given


def _is_there(path: str, pipeline: Pipeline, name: str, watched: _Watched) -> bool:
    """Whether *path* names any files by now; the first time that it does not, a person is told."""
    try:
        resolve([path], pipeline.source[name].format, name)
    except UsageError as error:
        if error.code not in _NOT_YET:
            raise
        _tell_once(path, f"{error.message}; waiting for it", watched)
        return False
    return True


def _tell_once(path: str, said: str, watched: _Watched) -> None:
    if path not in watched.missing:
        tell(said)
    watched.missing.add(path)


def _journal(pipeline: Pipeline, store: Store) -> list[Input]:
    """The live messages, which every run of streams reads anew."""
    journal = journal_of(store) if pipeline.events.format == "streams" else None
    return [journal] if journal is not None else []


def _complain(error: SojournError, watched: _Watched, *, as_json: bool) -> None:
    """Say what went wrong, once."""
    if error.message == watched.said:
        return
    watched.said = error.message
    failed = getattr(error, "run", None)
    if as_json and failed is not None:
        print(show.dumps({**failed.report(), "error": {"code": error.code, "message": error.message}}), flush=True)
    tell(f"error: {error.message} [{error.code}]; watching on")


def _print(report: dict[str, Any], *, as_json: bool) -> None:
    """One line for what a run read."""
    if as_json:
        print(show.dumps(report), flush=True)
        return
    read = [entry for entry in report["files"] if not entry.get("skipped")]
    whole = total(Ledger.of({name: entry[name] for name in Ledger().as_dict()}) for entry in read)
    counts = {"read": whole.read, "accepted": whole.accepted, "duplicate": whole.duplicate}
    counts |= {"dropped": whole.dropped.total(), "quarantined": whole.quarantined.total()}
    counts |= {"withdrawn": whole.notes["withdrawn"]} if whole.notes["withdrawn"] else {}
    files = show.counted(len(read), "file")
    told = ", ".join(f"{count:,} {name}" for name, count in counts.items())
    print(f"{report['run_id']}  {files}: {told}", flush=True)


def _seconds(every: str) -> float:
    try:
        seconds = parse_duration(every) / 1e6
    except ValueError as error:
        raise UsageError("bad_duration", f"--every: {error}") from error
    if not 0.1 <= seconds <= 86_400:
        raise UsageError(
            "bad_duration", f"--every {every}: give a pause between 100 milliseconds and a day, such as 2s"
        )
    return seconds
