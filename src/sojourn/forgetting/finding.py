"""Finding actors in all that a store keeps, by pipeline, and in the journal of live messages."""

from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from sojourn.forgetting import scan
from sojourn.forgetting.known import Actors
from sojourn.forgetting.messages import sessions_of
from sojourn.pipeline import Source
from sojourn.reading.forgotten import kinds_of
from sojourn.store.base import Store
from sojourn.store.manifest import Kept


@dataclass
class Found:
    """What of one pipeline names the actors: event files (with how many rows), snapshots, tables, quarantine, and what
    runs changed there."""

    name: str
    kept: Kept
    streams: bool
    events: dict[Path, int] = field(default_factory=dict)
    snapshots: list[Path] = field(default_factory=list)
    tables: list[str] = field(default_factory=list)
    quarantined: list[scan.Row] = field(default_factory=list)
    changes: list[Path] = field(default_factory=list)
    is_streamed: bool = False

    @property
    def is_touched(self) -> bool:
        """Whether it is to be published again; *is_streamed*: as its tables hold sessions of the journal.

        Also for what is known of the files that quarantined records come from.
        """
        is_known = bool(self.quarantined and self.kept.inputs)
        return bool(self.events or self.snapshots or self.tables or self.changes or self.is_streamed or is_known)


@dataclass
class Everything:
    """All that names the actors: by pipeline, *sessions* of the journal with their messages, messages of *runs*."""

    pipelines: list[Found]
    sessions: dict[str, int]
    runs: list[str]

    @property
    def is_anything(self) -> bool:
        """Whether there is something to forget."""
        return bool(self.sessions or self.runs or any(one.is_touched or one.quarantined for one in self.pipelines))

    def places(self) -> list[str]:
        """Where it is, in words."""
        named = []
        for one in self.pipelines:
            kinds = {"events": one.events, "kept runs": one.snapshots, "tables": one.tables}
            kinds |= {"quarantine": one.quarantined, "what runs changed in the quarantine": one.changes}
            named += [f"{kind} of {one.name}" for kind, found in kinds.items() if found]
        named += ["live messages"] if self.sessions else []
        return named + (["messages of runs"] if self.runs else [])


def find(store: Store, actors: Actors, pipeline: str | None) -> Everything:
    """Look everywhere, or at one *pipeline* and what it reads. Only while writing."""
    names = scan.pipelines(store)
    founds = [_found(store, name, actors) for name in names if pipeline in (None, name)]
    sources = {one.name: _sources(one.kept) for one in founds}
    streams = [source for of in sources.values() for source in of.values() if source.format == "streams"]
    is_live = pipeline is None or any(one.streams for one in founds)
    kinds = {"text"}.union(*(kinds_of(source) for source in streams))
    sessions = sessions_of(store, actors, kinds) if is_live else {}
    for one in founds:
        one.is_streamed = one.streams and bool(sessions)
    for row in scan.in_quarantine(store, pipeline, actors, sources):
        if row["pipeline"] not in names:
            names.append(row["pipeline"])
            founds.append(Found(row["pipeline"], Kept(), streams=False))
        next(one for one in founds if one.name == row["pipeline"]).quarantined.append(row)
    return Everything(founds, sessions, scan.told_by(store, actors) if pipeline is None else [])


def _found(store: Store, name: str, actors: Actors) -> Found:
    kept = store.kept(name)
    sources = _sources(kept)
    streams = sources["events"].format == "streams" if sources else is_passing(kept)
    found = Found(name, kept, streams)
    found.events = scan.in_events(scan.event_files(store, name), actors, streams=streams)
    found.snapshots = scan.in_snapshots(store, name, actors, streams=streams)
    found.tables = scan.in_tables(store, name, actors, streams=streams)
    found.changes = scan.in_changes(store, name, actors, sources)
    return found


def _sources(kept: Kept) -> dict[str, Source]:
    return msgspec.convert(kept.reading, dict[str, Source])


def is_passing(kept: Kept) -> bool:
    """Whether the run kept nothing in a home, as all of it came from the journal in the database."""
    return kept.run_id is not None and not kept.reading
