"""Raw files that were read before: whether they are there to be read again, and what to say of those that are not."""

import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from sojourn.contracts import accepts_more, changes
from sojourn.errors import SojournError, UsageError
from sojourn.loading import load, ready_pipelines
from sojourn.pipeline import Pipeline
from sojourn.reading.inputs import open_input
from sojourn.reading.known import KnownInput, digest_of
from sojourn.reading.sources import UNIT, digest
from sojourn.reading.unpacking import decompressed, read_up_to
from sojourn.store.manifest import Kept

_SHOWN = 10


def reading_changed(pipeline: Pipeline, kept: Kept) -> UsageError:
    """The error for a run whose *pipeline* reads its records otherwise than the events that are *kept*.

    It says what changed, and what can be done: without the raw files where the quarantine is enough, else with them.
    """
    old, new = ({"source": reading} for reading in (kept.reading, pipeline.fingerprint()))
    changed = ", ".join(changes(old, new))
    told = f"the pipeline {pipeline.name} reads its records in another way than the run {kept.run_id} did ({changed})"
    return UsageError("reading_changed", f"{told}; {_way_on(pipeline, kept)}")


def _way_on(pipeline: Pipeline, kept: Kept) -> str:
    """What can be done where *pipeline* reads its records otherwise than the events that are *kept*."""
    named = as_named(pipeline)
    if accepts_more(kept.reading, pipeline.fingerprint()):
        return (
            "it only accepts more of the same, so that the quarantine is all there is to read again: "
            f"sojourn quarantine replay --pipeline {named}"
        )
    if not kept.inputs:
        return (
            f"that needs the raw files of all earlier runs: sojourn run {named} --mode replace FILE...; or give the "
            "new pipeline file another name"
        )
    files = listed([known.name for known in kept.inputs])
    if not (lost := gone(kept.inputs)):
        return f"that needs the raw files, and they are there ({files}): sojourn rebuild {named}"
    return (
        f"that needs the raw files ({files}); bring back those that are gone ({listed(lost)}) and give: "
        f"sojourn rebuild {named}; or start over with --mode replace, or give the new pipeline file another name"
    )


def gone(inputs: Sequence[KnownInput]) -> list[str]:
    """Which of *inputs* cannot be read again, and why, one by one; content is hashed where nothing else can tell."""
    return [f"{known.name} ({why})" for known in inputs if (why := why_gone(known)) is not None]


def why_gone(known: KnownInput) -> str | None:
    """Why what was read of an input cannot be read again; None where it can."""
    if known.path is None:
        return f"a stream, read by the run {known.run_id}"
    try:
        status = os.stat(known.path)  # noqa: PTH116 - as it was when it was read
    except OSError as error:
        return f"it cannot be read: {error.strerror}"
    if (status.st_mtime_ns, status.st_ctime_ns, status.st_ino) == known.stamp:
        return None
    if not Path(known.path).is_file():
        return "it is no file any more"
    try:
        return None if _content(known) == known.content else "it changed since"
    except SojournError as error:
        return f"it changed since: {error.message}"


def pieces(known: KnownInput) -> Iterator[bytes]:
    """What was read of a file, as it is now, in units as they are hashed."""
    assert known.path is not None, "asked before"
    with open_input(known.path, known.name) as file:
        stream = decompressed(file) if known.is_compressed else file
        left = known.size
        while left > 0 and (piece := read_up_to(stream, min(UNIT, left), known.name)):
            left -= len(piece)
            yield piece


def as_named(pipeline: Pipeline) -> str:
    """How a person names the *pipeline* in a command: a ready one, or (most likely) the file that it comes from."""
    is_ready = pipeline.name in ready_pipelines() and load(pipeline.name).fingerprint() == pipeline.fingerprint()
    return pipeline.name if is_ready else f"{pipeline.name}.toml"


def _content(known: KnownInput) -> str:
    """The digest of the file, as far as it was read."""
    return digest_of(b"".join(digest(piece) for piece in pieces(known)))


def listed(names: Sequence[str]) -> str:
    """The first of *names*, and how many more there are."""
    more = len(names) - _SHOWN
    return ", ".join(names[:_SHOWN]) + (f" and {more} more" if more > 0 else "")
