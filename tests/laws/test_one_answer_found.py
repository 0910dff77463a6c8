"""Runs that add, where they once gave another answer than one run: the smallest cases, by name."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.laws.one_answer import PIPELINES, File, roads
from tests.laws.one_answer_engine import Builds, in_one_thread
from tests.laws.pipelines import written

OWN_LIVE = """
    [source.events]
    format = "streams"
    [source.events.fields]
    session_key = "session_id"
    actor = "user"
    url   = "page"
    [sessions]
    rule = "RULE"
    [tables.sessions]
    [tables.hourly_activity]
    [tables.transitions]
    [tables.pages]
"""
NAMES = """
    [source.events.fields]
    event_id    = "id"
    occurred_at = "at"
    actor       = "who"
    name        = "what"
    url         = "page"
    begins_at   = "more"
    [tables.user_activity]
"""


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """No other process or thread beside this one."""
    in_one_thread(monkeypatch)


def message(session: str, seq: int, at: int, page: str) -> bytes:
    """A message with a view of a page; the first of a session begins it."""
    start = {"type": "SESSION_START", "timestamp": at, "session_id": session}
    view = {"type": "EVENT", "name": "page_view", "timestamp": at, "user": "u", "page": page}
    entries: list[dict[str, Any]] = [start, view] if seq == 1 else [view]
    return json.dumps({"session_id": session, "seq": seq, "events": entries}).encode()


@pytest.mark.parametrize(("rule", "sessions"), [("key", [(1, 2), (2, 1)]), ("gap", [(1, 3)])])
def test_actors_of_live_messages(rule, sessions, tmp_path):
    """An actor in two live sessions, of which one goes on: what is not of one session alone counts both."""
    builds = Builds(tmp_path / "builds", written("own", OWN_LIVE.replace("RULE", rule)))
    for at, line in enumerate([message("a", 1, 100, "/x"), message("b", 1, 110, "/y"), message("a", 2, 120, "/z")]):
        builds.add([File("events", f"{at}", line)])
    tables = builds.tables()
    assert sorted((row["session_number"], row["events"]) for row in tables["sessions"]) == sessions
    assert sum(row["activity_count"] for row in tables["hourly_activity"]) == 3
    steps = [(row["from_page"], row["to_page"], row["transitions"]) for row in tables["transitions"]]
    assert sorted(steps) == [("/x", "/y", 1), ("/y", "/z", 1)]
    assert sorted((row["url"], row["views"]) for row in tables["pages"]) == [("/x", 1), ("/y", 1), ("/z", 1)]


def test_sessions_beside_presence(tmp_path):
    """A pipeline of devices that has sessions, too, goes on from its first run."""
    builds = Builds(tmp_path / "builds", PIPELINES["devices_with_sessions"])
    event = '{"at": "2022-03-01T1%d:00:00", "device": "d", "user": "u", "server": "s", "on": true}'
    with roads() as seen:
        for at in range(2):
            builds.add([File("events", f"{at}", (event % at).encode())])
    assert seen.taken == ["whole", "extended"]
    tables = builds.tables()
    assert [(row["actor"], row["events"]) for row in tables["sessions"]] == [("u", 2)]
    assert sorted(row["duration_seconds"] for row in tables["presence"]) == [0, 3600]


def test_a_field_called_as_a_column_on_the_way(tmp_path):
    """Fields are called as one likes."""
    builds = Builds(tmp_path / "builds", written("names", NAMES))
    for at in range(2):
        event = f'{{"id": "{at}", "at": "2022-03-01T1{at}:00:00", "who": "c", "what": "x", "page": "/", "more": "y"}}'
        builds.add([File("events", f"{at}", event.encode())])
    assert [row["user_id"] for row in builds.tables()["user_activity"]] == ["c", "c"]
