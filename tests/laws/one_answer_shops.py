"""Pipelines whose files grow, whose rules and contracts change, and whose actors want to be forgotten."""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from typing import ClassVar

from sojourn.loading import parse
from tests.laws.adapt import Table
from tests.laws.one_answer import File, StreamWorld, expected
from tests.laws.test_presence import World as DeviceWorld

ACTORS = ("ann-71x", "bob-72y", "eve-73z")
START = datetime(2022, 3, 27, 0, 30, tzinfo=UTC)  # the night in which Berlin's clocks go forward


class Trade(ABC):
    """One pipeline in all of its forms: by `rules` and, where there are two, by the contract of then or of now."""

    sources: ClassVar[tuple[str, ...]] = ("events",)
    ending = "jsonl"
    rules: ClassVar[tuple[str, ...]]
    contracts = 1
    actors: ClassVar[tuple[str, ...]] = ()
    is_deduped = True

    @abstractmethod
    def text(self, _rules: int, _contract: int) -> str:
        """The TOML of the pipeline."""

    @abstractmethod
    def line(self, _source: str, seed: int) -> bytes:
        """The record of a seed."""

    def names(self, _line: bytes, _actor: str) -> bool:
        """Whether the record is of the *_actor*."""
        return False

    def tables(self, text: str, files: list[File], forgotten: set[str]) -> dict[str, Table]:
        """What the reference makes of *files* without the records of the *forgotten*."""
        theirs = expected(parse(text, name="trade", where="trade.toml", folder=Path()))
        theirs.run([File(one.source, one.name, self._without(one.content, forgotten)) for one in files])
        return theirs.tables()

    def _without(self, content: bytes, forgotten: set[str]) -> bytes:
        lines = content.split(b"\n")
        return b"\n".join(line for line in lines if not any(self.names(line, actor) for actor in forgotten))


class Shop(Trade):
    """A shop's events, known by an id, by all of their fields, or not at all."""

    rules: ClassVar[tuple[str, ...]] = ('gap = "30m"', 'gap = "15m"', 'gap = "0s"\nown_hosts = ["a.example"]')
    contracts = 2
    actors: ClassVar[tuple[str, ...]] = ACTORS

    def __init__(self, dedupe: str) -> None:
        self.dedupe, self.is_deduped = dedupe, dedupe != "off"

    def text(self, _rules: int, _contract: int) -> str:
        known = 'event_id = "id"' if self.dedupe == "id" else ""
        return f"""
            bucket_timezone = "Europe/Berlin"
            [source.events]
            dedupe = "{self.dedupe}"
            strict = {"false" if _contract else "true"}
            [source.events.fields]
            {known}
            occurred_at = {{ path = "at", required = true }}
            actor       = "who"
            name        = {{ path = "what", required = true, values = {"[]" if _contract else '["view", "buy"]'} }}
            url         = "page"
            referrer    = "from"
            session_key = "visit"
            size        = {{ path = "size", type = "integer" }}
            [sessions]
            rule = "gap"
            goal = "buy"
            {self.rules[_rules]}
            [tables.sessions]
            [tables.session_durations_by_referrer]
            [tables.user_activity]
            [tables.hourly_activity]
            [tables.pages]
            [tables.transitions]
            gap = "{15 * (_rules + 1)}m"
        """

    def line(self, _source: str, seed: int) -> bytes:
        rng = Random(seed)
        if rng.random() < 0.05:
            return rng.choice([b"oops", b"{}", b'{"id": 1', b"[]", b'{"id":"1","at":"never","who":"ann-71x"}'])
        at = START + timedelta(minutes=15 * rng.randrange(8), microseconds=rng.choice((0, 0, 0, 1, -1)))
        found = {
            "id": str(rng.randrange(12)),
            "at": at.isoformat(),
            "who": rng.choice([*self.actors, *self.actors, "", None]),
            "what": rng.choice(["view", "view", "buy", "buy", "odd"]),
            "page": rng.choice(["/a", "/b", "https://a.example/c", None]),
            "from": rng.choice([None, None, "https://x.example/", "https://a.example/"]),
            "visit": rng.choice("st"),
            "size": rng.choice([None, 1, 2, "2"]),
        }
        return json.dumps(found).encode()

    def names(self, _line: bytes, _actor: str) -> bool:
        try:
            found = json.loads(_line)
        except ValueError:
            return False
        return isinstance(found, dict) and found.get("who") == _actor


class Devices(Trade):
    """Devices on servers, as CSV: an owner is who can be forgotten."""

    sources: ClassVar[tuple[str, ...]] = ("events", "servers")
    ending = "csv"
    rules: ClassVar[tuple[str, ...]] = (
        "window_days = 28",
        "window_days = 2\nclasses = [1, 2]",
        "window_days = 1\nclasses = [1]",
    )
    actors: ClassVar[tuple[str, ...]] = ("0", "1")

    def __init__(self) -> None:
        self.world = DeviceWorld(Random(6), "Europe/Berlin")

    def text(self, _rules: int, _contract: int) -> str:
        return f"""
            bucket_timezone = "Europe/Berlin"
            [source.events]
            format = "csv"
            columns = ["timestamp", "device_id", "user_id", "server_id", "connected"]
            dedupe = "record"
            [source.events.fields]
            occurred_at = {{ path = "timestamp", required = true }}
            device_id   = {{ type = "integer", required = true }}
            user_id     = {{ type = "integer", required = true }}
            server_id   = {{ type = "integer", required = true }}
            connected   = {{ type = "boolean", required = true }}
            [source.servers]
            format = "csv"
            columns = ["id", "created_at", "destroyed_at"]
            [source.servers.fields]
            id           = {{ type = "integer", required = true }}
            created_at   = "created_at"
            destroyed_at = "destroyed_at"
            [fleet]
            {self.rules[_rules]}
            [tables.presence]
            [tables.fleet_daily]
            [tables.fleet_rolling_28d]
            [tables.repairs]
            [tables.device_uptime]
        """

    def line(self, _source: str, seed: int) -> bytes:
        return self.world.event(seed) if _source == "events" else self.world.server(seed)

    def names(self, _line: bytes, _actor: str) -> bool:
        cells = _line.split(b",")
        return len(cells) == 5 and cells[2] == _actor.encode()


class Live(Trade):
    """Messages of live sessions, from files."""

    rules: ClassVar[tuple[str, ...]] = ("",)

    def __init__(self) -> None:
        self.world = StreamWorld(Random(3))

    def text(self, _rules: int, _contract: int) -> str:
        return """
            [source.events]
            format = "streams"
            [sessions]
            rule = "markers"
            [tables.sessions]
            [tables.event_counts]
        """

    def line(self, _source: str, seed: int) -> bytes:
        return self.world.line(_source, seed)


TRADES: dict[str, Trade] = {"id": Shop("id"), "record": Shop("record"), "off": Shop("off")}
TRADES |= {"devices": Devices(), "live": Live()}
