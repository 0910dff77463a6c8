"""What the laws of one answer share: pipelines of every kind, records that clash, and what the reference makes of them.

A record comes from a seed of its own, so that a failing history shrinks record by record.
"""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from copy import copy
from dataclasses import dataclass, field
from random import Random
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from sojourn.engines import building, increments
from tests import reference
from tests.laws import records
from tests.laws.adapt import Table, contract_of, pipeline_of, same_tables
from tests.laws.homes import STATISTICS, expected_tables
from tests.laws.one_answer_pipelines import DEVICES, EVENTS, STREAMS
from tests.laws.test_presence import BROKEN_SERVERS
from tests.laws.test_presence import World as DeviceWorld
from tests.laws.test_streams import message
from tests.reference.rows import read_rows
from tests.reference.streams import Streams

if TYPE_CHECKING:
    from sojourn.pipeline import Pipeline


@dataclass(frozen=True)
class File:
    """Records of one source."""

    source: str
    name: str
    content: bytes


class Expected(ABC):
    """What the reference says of runs into one home, one after the other."""

    def __init__(self, pipeline: Pipeline) -> None:
        self.pipeline = pipeline

    @abstractmethod
    def run(self, files: Sequence[File]) -> list[dict[str, Any]]:
        """The ledgers of the *files* of one run."""

    @abstractmethod
    def tables(self) -> dict[str, Table]:
        """Every table, but for what a library works out."""

    @abstractmethod
    def events(self) -> int:
        """How many events (of live messages: entries) there are."""

    def mark(self) -> Expected:
        """This as it is now, as far as the next step is concerned."""
        return copy(self)

    def goes_on_from(self, _was: Expected) -> bool:
        """Whether one step from *_was* to this can leave alone what it does not touch."""
        return True


class OfEvents(Expected):
    """Of events with actors or session keys."""

    def __init__(self, pipeline: Pipeline) -> None:
        super().__init__(pipeline)
        self.known = pipeline_of(pipeline)
        self.runs: list[list[tuple[str, bytes]]] = []
        self.outcome = reference.Outcome()

    def run(self, files: Sequence[File]) -> list[dict[str, Any]]:
        self.runs.append([(file.name, file.content) for file in files if file.source == "events"])
        self.outcome = reference.process(self.runs, self.known)
        return [ledger.as_dict() for ledger in self.outcome.files[-1]]

    def tables(self) -> dict[str, Table]:
        return expected_tables(self.outcome.events, self.pipeline)

    def events(self) -> int:
        return len(self.outcome.events)


class OfDevices(OfEvents):
    """Of devices on servers."""

    def __init__(self, pipeline: Pipeline) -> None:
        super().__init__(pipeline)
        self.servers: list[reference.presence.Server] = []

    def run(self, files: Sequence[File]) -> list[dict[str, Any]]:
        files = [_as_json(file, self.pipeline) for file in files]
        ledgers = super().run(files)
        for file in files:
            if file.source == "servers":
                ledger, rows = read_rows(file.content, contract_of(self.pipeline.source["servers"]))
                new = [(row["id"], row["created_at"], row["destroyed_at"]) for row in rows]
                fresh = {row[0] for row in new} - {row[0] for row in self.servers}
                ledger.accepted, ledger.duplicate = len(fresh), len(new) - len(fresh)
                ledger.notes["conflicting"] = reference.conflicting(new, self.servers)
                ledgers.append(ledger.as_dict())
                self.servers += new
        return ledgers

    def tables(self) -> dict[str, Table]:
        fleet = self.pipeline.fleet
        made = reference.presence_tables(
            self.outcome.events,
            self.servers,
            zone=self.pipeline.bucket_timezone,
            window=fleet.window_days,
            classes=fleet.classes,
        )
        others = {name: given for name, given in self.pipeline.tables.items() if name not in made}
        found = expected_tables(self.outcome.events, msgspec.structs.replace(self.pipeline, tables=others))
        return {name: made[name] for name in self.pipeline.tables if name in made} | found

    def goes_on_from(self, _was: Expected) -> bool:
        assert isinstance(_was, OfDevices)
        before, now = _was.end(), self.end()
        return before is not None and now is not None and now >= before

    def end(self) -> int | None:
        """The end of observation."""
        return max((int(str(event["occurred_at"])) for event in self.outcome.events), default=None)


class OfStreams(Expected):
    """Of messages of live sessions."""

    def __init__(self, pipeline: Pipeline) -> None:
        super().__init__(pipeline)
        self.known = Streams()

    def run(self, files: Sequence[File]) -> list[dict[str, Any]]:
        return [self.known.run(*(file.content for file in files)).as_dict()]

    def tables(self) -> dict[str, Table]:
        return self.known.tables()

    def events(self) -> int:
        return len(self.known.kept)


def _as_json(file: File, pipeline: Pipeline) -> File:
    """The events of a CSV file without a header as JSON lines, as the reference's contract judges them; a row that
    breaks it as one that breaks any."""
    if file.source != "events" or pipeline.events.format != "csv":
        return file
    contract = contract_of(pipeline.events)
    names = [str(declared.path) for declared in pipeline.events.fields.values()]
    lines = []
    for raw in file.content.split(b"\n"):
        judged = reference.judge_row(raw, contract)
        row = dict(zip(names, _cells(raw), strict=True)) if isinstance(judged, reference.Accepted) else None
        lines.append(b"" if isinstance(judged, reference.Blank) else json.dumps(row).encode())
    return File(file.source, file.name, b"\n".join(lines))


def _cells(line: bytes) -> list[Any]:
    *texts, connected = line.decode().split(",")
    return [*texts, reference.rows.BOOLEANS[connected.lower()]]


class World(ABC):
    """What the records of one example are made of."""

    @abstractmethod
    def line(self, _source: str, seed: int) -> bytes:
        """The record of a seed."""


class EventWorld(World):
    """Few actors, ids, instants and pages; pauses of exactly a gap, and just beside it."""

    def __init__(self, pipeline: Pipeline, rng: Random) -> None:
        self.name, self.world = pipeline.name, records.World.of(rng)
        self.numbers = rng.random() < 0.5

    def line(self, _source: str, seed: int) -> bytes:
        rng = Random(seed)
        if rng.random() < 0.04:
            return rng.choice(records.BROKEN)
        found = records.record(rng, self.world)
        if self.numbers:  # a session of few who are the same, whatever the type of actors
            found["sessionId"] = rng.choice("stuvwxyz")
            found["event"]["number"] = rng.choice([1, 2, "01", None, 9_223_372_036_854_775_807])
        if rng.random() < 0.05:
            found["type"] = found["action"] = "absent"
        return records.line(found, self.name)


class DevicesWorld(World):
    """Few devices, users, servers and instants, many of them midnights."""

    def __init__(self, pipeline: Pipeline, rng: Random) -> None:
        self.world = DeviceWorld(rng, pipeline.bucket_timezone)
        self.is_csv, self.ids = pipeline.events.format == "csv", rng.choice((6, 1000))
        self.texts = pipeline.events.fields["device_id"].type == "text"

    def line(self, _source: str, seed: int) -> bytes:
        rng = Random(seed)
        if _source == "servers":
            row = rng.choice(BROKEN_SERVERS) if rng.random() < 0.05 else self.world.server(seed)
            return row.replace(b"x,,", b",,") if self.texts else row
        row = self.world.event(seed)
        if self.is_csv:
            return row
        at, device, user, server, connected = _cells(row)
        found = {"id": rng.randrange(self.ids), "at": at, "device": device, "user": user, "server": server}
        found |= {"on": connected, "note": rng.choice([None, None, "", "a", "é"]), "level": rng.choice([None, 0, 1.5])}
        if self.texts and rng.random() < 0.3:
            found |= {rng.choice(["device", "user"]): rng.choice(["", "é", "\U0001f600", "Z"])}
        if rng.random() < 0.03:
            found[rng.choice(["at", "device", "on"])] = None
        return json.dumps(found, ensure_ascii=False).encode()


class StreamWorld(World):
    """Messages of a few sessions, most of which begin as they should."""

    def __init__(self, rng: Random) -> None:
        self.sessions, self.messages = "abcdef"[: rng.choice((1, 3, 6))], rng.choice((3, 6))

    def line(self, _source: str, seed: int) -> bytes:
        rng = Random(seed)
        session = rng.choice(self.sessions)
        if rng.random() < 0.3:
            start = f'{{"type":"SESSION_START","timestamp":1569972082,"session_id":"{session}"}}'
            return f'{{"session_id":"{session}","seq":1,"events":[{start}]}}'.encode()
        return message(rng, session, rng.randrange(1, self.messages))


PIPELINES = EVENTS | DEVICES | STREAMS


def expected(pipeline: Pipeline) -> Expected:
    """The reference's side of a home of *pipeline*."""
    if pipeline.events.format == "streams":
        return OfStreams(pipeline)
    return OfDevices(pipeline) if "presence" in pipeline.tables else OfEvents(pipeline)


def world(pipeline: Pipeline, rng: Random) -> World:
    """Some world for records of *pipeline*."""
    if pipeline.events.format == "streams":
        return StreamWorld(rng)
    return DevicesWorld(pipeline, rng) if "presence" in pipeline.tables else EventWorld(pipeline, rng)


def compare(ours: dict[str, Table], theirs: dict[str, Table], *, is_whole: bool = False) -> None:
    """The tables are the same, as multisets; of statistics the reference has only some columns (not *is_whole*)."""
    assert ours.keys() == theirs.keys()
    for name, rows in theirs.items():
        found = ours[name]
        if name in STATISTICS and not is_whole:
            found = [{key: row[key] for key in rows[0]} for row in found] if rows else found
        try:
            same_tables(found, rows)
        except AssertionError as error:
            error.add_note(f"the table {name}")
            raise


@dataclass
class Roads:
    """How builds came to their tables: what was published before was *extended*, or all was computed (*whole*)."""

    taken: list[str] = field(default_factory=list)

    def counts(self) -> Counter[str]:
        """How often each road was taken."""
        return Counter(self.taken)


@contextmanager
def roads() -> Iterator[Roads]:
    """Watch which road each build of this process takes."""
    seen, increment, whole = Roads(), vars(building)["increment"], building.whole

    def incrementing(*given: Any) -> Any:
        built = increment(*given)
        seen.taken += ["extended"] if built is not None else []
        return built

    def all_of_it(*given: Any) -> Any:
        seen.taken.append("whole")
        return whole(*given)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(building, "increment", incrementing)
        patch.setattr(building, "whole", all_of_it)
        yield seen


@contextmanager
def forgetting_an_actor() -> Iterator[None]:
    """Builds that go on from others leave one actor whom they touch as the actor was."""
    scopes = increments._scopes

    def forgetful(connection: Any, pipeline: Pipeline) -> None:
        scopes(connection, pipeline)
        connection.execute("delete from touched_actors where actor = (select min(actor) from touched_actors)")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(increments, "_scopes", forgetful)
        yield
