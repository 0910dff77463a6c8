"""Tables computed again from the events that are kept, aside: into a folder of their own. Nothing is published."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import msgspec

from sojourn.engines.building import build
from sojourn.engines.relations import EventFile
from sojourn.errors import SojournError, UsageError
from sojourn.loading import load, ready_pipelines, to_begin
from sojourn.pipeline import DEFAULT_GOALS, Pipeline, Source, TableSettings
from sojourn.reading.forgotten import load as load_forgotten
from sojourn.reading.land import Landed, land
from sojourn.reading.readers import Landing
from sojourn.store.base import Store
from sojourn.store.manifest import Kept, KeptFile
from sojourn.store.streams import journal_of


def published(store: Store, name: str) -> tuple[Pipeline, Kept]:
    """The pipeline *name* by the rules that its current run was made by, and what that run left."""
    kept = store.kept(name)
    if kept.run_id is None:
        known = sorted({row["pipeline"] for row in store.published()})
        there = f"published are {', '.join(known)}" if known else f"begin with: {to_begin(name)}"
        raise UsageError("not_published", f"nothing is published by {name!r}; {there}")
    if kept.rules:
        return by_rules(name, kept), kept
    if name in ready_pipelines():  # what an earlier Sojourn published, or a run that kept nothing
        return load(name), kept
    raise UsageError("no_rules", f"the run {kept.run_id} does not say by which rules; name the pipeline's TOML file")


def compute(store: Store, pipeline: Pipeline, kept: Kept, folder: Path, memory: int | None = None) -> Path:
    """The snapshot, in *folder*, of every table of *pipeline* over what a run *kept*, and the journal."""
    folder.mkdir(parents=True, exist_ok=True)
    files = [*files_of(store, kept), *landed_files(received(store, pipeline, folder))]
    snapshot = folder / "snapshot.duckdb"
    build(pipeline, files, snapshot, memory, folder / "spill", kept.until)
    return snapshot


def files_of(store: Store, kept: Kept) -> list[EventFile]:
    """The kept files of a run. Raises `SojournError` ``events_missing`` for the first that is gone."""
    files = kept_files(store, kept.files)
    for file in files:
        if not file.path.exists():
            raise SojournError(
                "events_missing", f"the kept events {file.path} are gone; bring the home back from a backup"
            )
    return files


def kept_files(store: Store, files: Iterable[KeptFile]) -> list[EventFile]:
    """Kept *files* as tables are made of them; each is named after the source whose records it holds."""
    return [
        EventFile(store.event_path(file.name), Path(file.name).name.partition("-")[0], name=file.name) for file in files
    ]


def by_rules(name: str, kept: Kept) -> Pipeline:
    """The pipeline as a manifest tells of it; how its tables are written as CSV is not known."""
    rules: dict[str, Any] = dict(kept.rules)
    tables = {table: TableSettings(gap=gap) for table, gap in rules.pop("tables").items()}
    if rules["goals"] == msgspec.to_builtins(DEFAULT_GOALS):
        rules["goals"] = {}  # stating some replaces these
    sources = msgspec.convert(kept.reading, dict[str, Source])
    pipeline = msgspec.convert({**rules, "name": name, "source": msgspec.to_builtins(sources)}, Pipeline)
    return msgspec.structs.replace(pipeline, tables=tables)


def received(store: Store, pipeline: Pipeline, folder: Path) -> Landed | None:
    """The entries of the journal of live messages, landed in *folder*, where the pipeline reads streams."""
    journal = journal_of(store) if pipeline.events.format == "streams" else None
    if journal is None:
        return None
    landing = Landing("events", pipeline.events, folder, forgotten=load_forgotten(store.forgotten_in, pipeline.name))
    return land([journal], landing, progress=lambda _: None)


def landed_files(landed: Landed | None) -> list[EventFile]:
    """The files that something landed in, as kept ones."""
    if landed is None:
        return []
    return [EventFile(landed.landing.event_file(part.number), "events") for part in landed.parts if part.rows]
