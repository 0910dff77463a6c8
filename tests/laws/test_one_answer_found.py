"""Runs that add, where they once gave another answer than one run: the smallest cases, by name."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
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


DAY, NEW_YEAR = 86_400_000_000, 19_723
GOES_ON = {
    "still online, then offline": ("1,t", "1,f", [(0, 10, "offline_same")]),
    "still online, then elsewhere": ("1,t", "2,t", [(0, 10, "online_other"), (10, 10, "last")]),
    "still online, then seen again": ("1,t", "1,t", [(0, 10, "online_same"), (10, 10, "last")]),
    "on a destroyed server, then elsewhere": ("3,t", "2,t", [(0, 5, "online_other"), (10, 10, "last")]),
    "offline, then online": ("1,f", "1,t", [(10, 10, "last")]),
    "not known, then online": (None, "1,t", [(10, 10, "last")]),
}


@pytest.mark.parametrize(("before", "now", "expected"), GOES_ON.values(), ids=GOES_ON)
def test_devices_that_go_on_after_observation_ended(before, now, expected, tmp_path):
    """No kept event is read for them: what their last interval tells is enough. Days of January 2024, as days."""
    builds = Builds(tmp_path / "builds", PIPELINES["devices"])
    servers = "".join(f"{at},2024-01-01 00:00:00,\n" for at in (1, 2)) + "3,2024-01-01 00:00:00,2024-01-06 00:00:00\n"
    other = "2024-01-08 00:00:00,9,9,1,f\n"  # observation ends with it
    first = other + (f"2024-01-01 00:00:00,7,7,{before}\n" if before else "")
    builds.add([File("servers", "servers", servers.encode()), File("events", "first", first.encode())])
    with roads() as seen:
        builds.add([File("events", "second", f"2024-01-11 00:00:00,7,7,{now}\n".encode())])
    assert seen.taken == ["extended"]
    tables = builds.tables()
    intervals = [
        (row["started_at"] // DAY - NEW_YEAR, row["ended_at"] // DAY - NEW_YEAR, row["rule"])
        for row in sorted(tables["presence"], key=lambda row: row["started_at"])
    ]
    assert intervals == expected
    [observed] = [row["observed_seconds"] for row in tables["device_uptime"] if row["device_id"] == 7]
    assert observed == (10 * 86_400 if before else 0)


SHOP = """
    [source.events.fields]
    event_id    = "id"
    occurred_at = "at"
    actor       = "who"
    name        = "what"
    [sessions]
    rule = "gap"
    gap  = "30m"
    [tables.sessions]
"""
NOON = datetime(2022, 3, 1, 12, tzinfo=UTC)
REACHES = {  # kept at the minutes 0, 10 and 60: the sessions 0 to 10 and 60 to 60
    "later than the gap": ([90.02], [(1, 0, 2), (2, 60, 1), (3, 90, 1)]),
    "exactly the gap later": ([90], [(1, 0, 2), (2, 60, 2)]),
    "twice later than the gap": ([100, 130, 161], [(1, 0, 2), (2, 60, 1), (3, 100, 2), (4, 161, 1)]),
    "between two sessions, out of reach of the first": ([41], [(1, 0, 2), (2, 41, 2)]),
    "between two sessions, which it joins": ([35], [(1, 0, 4)]),
    "before all": ([-31], [(1, -31, 1), (2, 0, 2), (3, 60, 1)]),
    "before all, and later than the gap": ([-30, 91], [(1, -30, 3), (2, 60, 1), (3, 91, 1)]),
    "as the second session begins": ([60], [(1, 0, 2), (2, 60, 2)]),
}


def shop_events(name: str, minutes: list[float]) -> File:
    """An event of the one customer at each of the *minutes* after noon."""
    times = {at: (NOON + timedelta(minutes=at)).isoformat() for at in minutes}
    events = [{"id": f"{name}{at}", "at": time, "who": "c", "what": "page_view"} for at, time in times.items()]
    return File("events", name, "\n".join(map(json.dumps, events)).encode())


def shop_sessions(builds: Builds) -> list[tuple[int, int, int]]:
    """Number, beginning in minutes, and events of each session."""
    rows = [
        (row["session_number"], (row["started_at"] // 1_000_000 - int(NOON.timestamp())) // 60, row["events"])
        for row in builds.tables()["sessions"]
    ]
    return sorted(rows)


@pytest.mark.parametrize(("now", "expected"), REACHES.values(), ids=REACHES)
def test_sessions_that_new_events_reach(now, expected, tmp_path):
    """Sessions that ended longer ago than the gap stay as they are; those in reach are made anew."""
    builds = Builds(tmp_path / "builds", written("shop", SHOP))
    builds.add([shop_events("first", [0, 10, 60])])
    with roads() as seen:
        builds.add([shop_events("second", now)])
    assert seen.taken == ["extended"]
    assert shop_sessions(builds) == expected


def test_sessions_that_lose_events(tmp_path):
    """What is withdrawn may part a session, or take one away; those after it are counted anew."""
    builds = Builds(tmp_path / "builds", written("shop", SHOP))
    builds.add([shop_events("first", [0, 60, 130]), shop_events("second", [30, 100])])
    assert shop_sessions(builds) == [(1, 0, 3), (2, 100, 2)]
    with roads() as seen:
        builds.add([shop_events("third", [200])], without=["second"])
    assert seen.taken == ["extended"]
    assert shop_sessions(builds) == [(1, 0, 1), (2, 60, 1), (3, 130, 1), (4, 200, 1)]
