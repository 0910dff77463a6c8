"""The reference's ledger, tables and metrics against facts worked by hand."""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.reference import (
    ACTIVITY,
    PAGEVIEWS,
    WEBSHOP,
    groups_by_gap,
    groups_by_key,
    hourly_activity,
    orders,
    pages,
    process,
    quantile,
    session_durations_by_referrer,
    sessions_by_gap,
    sessions_by_key,
    time_to_order,
    transitions,
    user_activity,
)
from tests.reference.times import read_iso

if TYPE_CHECKING:
    from tests.reference import Event, Pipeline

START = read_iso("2022-01-01T00:00:00Z", "UTC") or 0
MINUTE = 60_000_000


def event(minute: float, actor: str | None = "a", name: str = "page_view", **fields: Any) -> dict[str, Any]:
    """A webshop event some minutes after START; its id is its time unless given."""
    empty = {"url": None, "referrer": None, "event_id": f"{minute:08.2f}"}
    return {"occurred_at": START + round(minute * MINUTE), "actor": actor, "name": name, **empty, **fields}


def line(number: object, minute: int, actor: object = "a", name: str = "search") -> bytes:
    """The same as a webshop record."""
    moment = f"2022-01-01T{minute // 60:02}:{minute % 60:02}:00"
    record = {"id": number, "type": name, "event": {"customer-id": actor, "timestamp": moment}}
    return json.dumps(record).encode() + b"\n"


def md5(text: str) -> str:
    """The hash that names sessions (4.5)."""
    return hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()


def test_figure_of_section_5() -> None:
    """The assessment's figure: 2 visits and 47.5 minutes; its captions: 2, 1, 2 visits, 50 and 45 minutes."""
    events = []
    figure: dict[str, list[tuple[int, float, str]]] = {
        "user-1": [(0, 30, ""), (100, 20, "placed_order"), (200, 12, "")],
        "user-2": [(0, 45, "PLACED_ORDER"), (100, 20, ""), (200, 10.5, "Placed_Order")],
    }
    for actor, sessions in figure.items():
        for start, length, last in sessions:
            events += [event(start, actor), event(start + length / 2, actor)]
            events.append(event(start + length, actor, last or "page_view"))
    rows = sessions_by_gap(events, WEBSHOP)
    assert sorted((row["actor"], row["session_number"], row["duration_seconds"] / 60) for row in rows) == [
        ("user-1", 1, 30),
        ("user-1", 2, 20),
        ("user-1", 3, 12),
        ("user-2", 1, 45),
        ("user-2", 2, 20),
        ("user-2", 3, 10.5),
    ]
    assert orders(rows) == {
        "median_visits_before_order": 2,
        "median_session_duration_minutes_before_order": 47.5,
    }
    assert time_to_order(rows) == {
        "buyers": 2,
        "orders": 3,
        "p25_minutes": 46.25,
        "median_minutes": 47.5,
        "p75_minutes": 48.75,
    }


def test_no_order_gives_null() -> None:
    """Section 5.3."""
    assert set(orders(sessions_by_gap([event(0)], WEBSHOP)).values()) == {None}
    assert time_to_order([])["median_minutes"] is None
    assert quantile([1, 2, 3, 10], 0.75) == 4.75


def test_exact_gap_stays() -> None:
    """A pause of exactly the gap stays in the session, a microsecond more opens a new one (4.1)."""
    late = event(60)
    late["occurred_at"] += 1
    rows = sessions_by_gap([late, event(0), event(30)], WEBSHOP)
    assert [(row["events"], row["duration_seconds"]) for row in rows] == [(2, 1800.0), (1, 0.0)]


def test_session_columns() -> None:
    """Sections 4.4 to 4.6, every column of one session."""
    group = [
        event(0, name="sign_up_success", url="https://shop.example/x", referrer="https://www.shop.example/"),
        event(1, url="/a/?q=1", referrer="/internal"),
        event(2, name="PAGE_VIEW", url="b", referrer="http://Own.example/"),
        event(3, name="search", referrer="https://www.Search.example:443/?q"),
        event(4, name="placed_order", referrer="https://later.example/"),
    ]
    row = sessions_by_gap(group, replace(WEBSHOP, goal="placed_order", own_hosts=("www.own.example",)))[0]
    assert row == {
        "session_id": md5(f"webshop|a|{START}|00000.00"),
        "actor": "a",
        "session_number": 1,
        "started_at": START,
        "ended_at": START + 4 * MINUTE,
        "duration_seconds": 240.0,
        "events": 5,
        "page_views": 2,
        "orders": 1,
        "converted": True,
        "bounced": False,
        "referrer": "search.example",
        "landing_page": "/a",
        "exit_page": "/b",
        "suspect": False,
    }


def test_sessions_by_key() -> None:
    """All events with one key (empty text is one) are one session; the first event gives the actor; no actor, no
    number (4.2)."""

    def view(minute: float, key: str, actor: str | None) -> dict[str, Any]:
        return {"session_key": key, "occurred_at": START + minute * MINUTE, "url": "/p", "actor": actor}

    events = [view(500, "k", "b"), view(0, "k", "a"), view(0, "j", "a"), view(9, "n", None), view(9, "", "")]
    rows = {row["session_id"]: row for row in sessions_by_key(events, PAGEVIEWS)}
    ids = {key: md5("pageviews|" + key) for key in ("j", "k", "n", "")}
    assert set(rows) == set(ids.values())
    first, second = sorted((ids["j"], ids["k"]))
    assert [rows[first]["session_number"], rows[second]["session_number"]] == [1, 2]
    assert (rows[ids["k"]]["actor"], rows[ids["k"]]["duration_seconds"]) == ("a", 30000.0)
    assert [(rows[ids[key]]["actor"], rows[ids[key]]["session_number"]) for key in ("n", "")] == [(None, None)] * 2
    assert [rows[ids[key]]["bounced"] for key in "jkn"] == [True, False, True]


def test_gap_session_without_event_id() -> None:
    """The id then ends in a bar (4.5)."""
    view: Event = {"session_key": "k", "occurred_at": START, "url": None, "actor": "7"}
    assert sessions_by_gap([view], PAGEVIEWS)[0]["session_id"] == md5(f"pageviews|7|{START}|")


def test_durations_by_referrer() -> None:
    """No referrer is `(direct)`; quartiles interpolate (2.5)."""
    events = [event(0, "a", referrer="x.com"), event(0, "b"), event(10, "b"), event(0, "c")]
    rows = session_durations_by_referrer(sessions_by_gap(events, WEBSHOP))
    names = ("referrer", "sessions", "median_seconds", "p25_seconds", "p75_seconds", "mean_seconds")
    assert rows == [
        dict(zip(names, ("(direct)", 2, 300, 150, 450, 300), strict=True)),
        dict(zip(names, ("x.com", 1, 0, 0, 0, 0), strict=True)),
    ]


def test_ledger_over_runs() -> None:
    """Sections 1.1 and 3: one identity is accepted once, the winner replaces, conflicts are noted."""
    first = line(1, 5) + line("1", 5) + line(1, 6) + b"\n \r\n" + line(2, 0, None) + b"oops"
    second = line(3, 7, "") + line(1, 4, "b") + line(1, 5)
    outcome = process([[("f", first), ("g", line(1, 5))], [("f", second)], [("f", second)]], WEBSHOP)
    expected = [
        (6, 2, 1, 3, {"anonymous": 1}, {"invalid_json": 1}, {"conflicting": 1}),
        (3, 0, 0, 2, {"anonymous": 1}, {}, {"conflicting": 2}),
        (3, 0, 0, 2, {"anonymous": 1}, {}, {"conflicting": 1}),
    ]
    names = ("read", "blank", "accepted", "duplicate", "dropped", "quarantined", "notes")
    assert [tuple(run.as_dict()[name] for name in names) for run in outcome.runs] == expected
    assert all(ledger.is_balanced() for run in outcome.files for ledger in [*run, *outcome.runs])
    assert [(kept["actor"], kept["occurred_at"]) for kept in outcome.events] == [("b", START + 4 * MINUTE)]
    assert [(q.file, q.line, q.raw) for q in outcome.quarantine[0]] == [("f", 7, b"oops")]


def test_dedupe_by_record_and_off() -> None:
    """Without an id: equal in every field that is read, or nothing at all (3.2)."""
    view = b'{"sessionId": "s", "timestamp": "2022-01-01T00:00:00%s", "url": "/", "userId": %s}\n'
    data = view % (b"", b"4") + view % (b".0000009Z", b'"4"') + view % (b"", b"5")
    for dedupe, accepted in {"record": 2, "off": 3}.items():
        outcome = process([[("f", data)]], replace(PAGEVIEWS, dedupe=dedupe))
        assert (outcome.runs[0].accepted, outcome.runs[0].duplicate) == (accepted, 3 - accepted)
        assert not outcome.runs[0].notes


def test_activity_tables() -> None:
    """Sections 6.2 and 6.3: total order, distinct users, hours of the bucket's zone."""
    events = [
        event(1, "b", "claim", url="https://www.x.com/find/me?q"),
        event(0, "a", "claim", url="x.com/find"),
        event(2, "a", "claim", url="x.com/find"),
        event(2, None, "claim", event_id=None, url="x.com/find"),
        event(60, "a", "claim", url=None),
    ]
    table = [tuple(row.values()) for row in user_activity(events, ACTIVITY)]
    assert table[:2] == [
        ("a", START, "x.com", "find", None, "claim"),
        ("b", START + MINUTE, "x.com", "find", "me", "claim"),
    ]
    assert [row[0] for row in table] == ["a", "b", None, "a", "a"]
    hours = hourly_activity(events, replace(ACTIVITY, bucket_timezone="America/New_York"))
    assert [tuple(row.values()) for row in hours] == [
        ("2021123119", "x.com", "find", "claim", 4, 2),
        ("2021123120", None, None, "claim", 1, 1),
    ]


def test_transitions() -> None:
    """Section 6.5: within gap sessions, repetitions kept, the later event's activity, no anonymous steps."""
    events = [
        event(0, url="x.com/a"),
        event(1, url="/a/"),
        event(31, name="claim"),
        event(61.5, url="/a"),
        event(0, "b", url="/a"),
        event(1, "b", url="/a"),
        event(2, "b", url="/a"),
        event(0, None, url="/a"),
        event(1, "", url="/a"),
        event(2, "", url="/a"),
    ]
    assert [tuple(row.values()) for row in transitions(events, ACTIVITY)] == [
        ("/a", None, "claim", 1, 1),
        ("/a", "/a", "page_view", 3, 2),
    ]


def test_pages() -> None:
    """Views, users, sessions, entries, exits and bounces of each page."""
    events = [event(0, url="/a"), event(1, url="b"), event(2, url="/a"), event(9, name="search", url="/c")]
    events += [event(0, "b", url="/b/"), event(0, None, url="/b")]
    assert [tuple(row.values()) for row in pages(events, groups_by_gap(events, WEBSHOP), WEBSHOP)] == [
        ("/a", 2, 1, 1, 1, 1, 0),
        ("/b", 3, 2, 2, 1, 1, 1),
    ]


if "SOJOURN_REAL_DATA" in os.environ:

    def real(name: str, pipeline: Pipeline) -> list[dict[str, Any]]:
        """The events of one of the briefs' files: every line of it is accepted, and once only."""
        data = (Path(os.environ["SOJOURN_REAL_DATA"]) / name).read_bytes()
        outcome = process([[(name, data)]] * 2, pipeline)
        assert [run.read for run in outcome.runs] == [outcome.runs[0].accepted, outcome.runs[1].duplicate]
        return list(outcome.events)

    def test_real_activity() -> None:
        """500 events, 30 users, 4 actions; dates are day-month."""
        events = real("etl/source_event_data.json", ACTIVITY)
        assert len(events) == 500
        assert len({found["actor"] for found in events}) == 30
        assert len({found["name"] for found in events}) == 4
        assert sum(row["activity_count"] for row in hourly_activity(events, ACTIVITY)) == 500
        assert events[0]["occurred_at"] == read_iso("2017-02-02T20:22:00Z", "UTC")

    def test_real_page_views() -> None:
        """12,000 views of 12 users in 2,098 sessions, 2,022 with one view; pro-audio is one page."""
        events = real("pageviews/logs.txt", PAGEVIEWS)
        sessions = sessions_by_key(events, PAGEVIEWS)
        assert (len(events), len({row["actor"] for row in sessions})) == (12_000, 12)
        assert (len(sessions), sum(row["bounced"] for row in sessions)) == (2_098, 2_022)
        table = {row["url"]: row for row in pages(events, groups_by_key(events, PAGEVIEWS), PAGEVIEWS)}
        assert table["/pro-audio"]["views"] == 670 + 1_267
        assert sum(row["bounces"] for row in table.values()) == 2_022
        assert sum(row["entries"] for row in table.values()) == 2_098
