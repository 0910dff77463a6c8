"""Live events are events: sessions by markers, and messages from files and from the journal."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from sojourn.store.journal import EmbeddedJournal
from sojourn.store.journals import Message
from sojourn.store.messages import FILE
from tests.command import Home, lines


def start(session: str, at: object = 1000) -> str:
    """The entry that opens a session."""
    return f'{{"type":"SESSION_START","session_id":"{session}","timestamp":{at}}}'


def end(session: str, at: object = 1100) -> str:
    """The entry that closes it."""
    return f'{{"type":"SESSION_END","session_id":"{session}","timestamp":{at}}}'


def event(at: object = 1050, name: str = "x") -> str:
    """An entry between them."""
    return f'{{"type":"EVENT","name":"{name}","timestamp":{at}}}'


def message(session: str, seq: int, *entries: str) -> str:
    """A line of a file of streams."""
    return f'{{"session_id":"{session}","seq":{seq},"events":[{",".join(entries)}]}}'


def journal(home: Home, *messages: str, forget: str = "") -> None:
    """Have the home's journal hold *messages*, too; *forget*: and no longer this session."""
    settled: list[Any] = []
    written = EmbeddedJournal(home.folder / "home" / FILE, lambda batch, _: settled.extend(batch))
    for text in messages:
        told = json.loads(text)
        written.submit(Message(told["session_id"], told["seq"], json.dumps(told["events"], indent=1).encode(), 0))
    if forget:
        written.forget(forget)
    written.close()
    assert [one.error for one in settled] == [None] * len(messages)


def published(home: Home) -> dict[str, list[dict[str, Any]]]:
    """Both tables of the pipeline `live`."""
    return {
        "sessions": home.rows("from live.sessions order by session_id"),
        "event_counts": home.rows("from live.event_counts order by session_id, name"),
    }


def columns(home: Home, names: str) -> list[tuple[Any, ...]]:
    """Some columns of the sessions."""
    return [tuple(row.values()) for row in home.rows(f"select {names} from live.sessions order by session_id")]


def test_4_3_start_and_end_are_the_markers_times(home: Home) -> None:
    """Events outside of them in time count, and move neither."""
    home.run("live", lines(message("a", 1, start("a"), event(900), event(1200), end("a"))))
    (row,) = home.rows("select * from live.sessions")
    assert row == {
        "session_id": "a",
        "started_at": "1970-01-01T00:16:40.000000Z",
        "ended_at": "1970-01-01T00:18:20.000000Z",
        "duration_seconds": 100.0,
        "events": 2,
        "status": "ended",
        "distinct_names": 1,
    }


def test_4_3_an_open_session_has_neither_end_nor_duration(home: Home) -> None:
    """However long ago its last event was."""
    home.run("live", lines(message("a", 1, start("a", 0), event(999_999))))
    assert columns(home, "status, ended_at, duration_seconds, events") == [("open", None, None, 1)]


def test_4_3_a_later_run_may_close_it(home: Home) -> None:
    """The end may come when it will."""
    home.run("live", lines(message("a", 1, start("a"))))
    home.run("live", lines(message("a", 2, end("a"))), name="later.jsonl")
    assert columns(home, "status, duration_seconds, events") == [("ended", 100.0, 0)]


def test_4_3_markers_are_those_of_streams(home: Home) -> None:
    """Other sources have none, and what needs page views says so."""
    own = home.path("own.toml", '[source.events.fields]\noccurred_at = "at"\n[sessions]\nrule = "markers"')
    refused = home.call("run", own, home.path("x.jsonl"))
    assert (refused.status, "sessions by markers are made from streams" in refused.err) == (2, True)
    home.run("live", lines(message("a", 1, start("a"))))
    refused = home.call("metrics", "orders", "--pipeline", "live")
    assert (refused.status, "sessions by markers" in refused.err) == (2, True)
    refused = home.call("chart", "session_durations", "--pipeline", "live")
    assert (refused.status, "sessions by markers" in refused.err) == (2, True)


def test_8_7_a_record_is_an_entry(home: Home) -> None:
    """The ledger counts entries; of a line that is no message, the line."""
    report = home.run("live", lines(message("a", 1, start("a"), event(), "17"), "oops"))
    assert report["ledger"]["read"] == 4
    assert report["ledger"]["accepted"] == 2
    assert report["ledger"]["quarantined"] == {"invalid_json": 1, "not_an_object": 1}
    assert home.rows("select line, path, decode(raw) as raw from sojourn.quarantine order by line") == [
        {"line": 1, "path": "$.events[2]", "raw": "17"},
        {"line": 2, "path": "$", "raw": "oops"},
    ]


def test_8_7_several_entries_of_a_line_are_quarantined_each(home: Home) -> None:
    """Once, however often the file is read."""
    broken = lines(message("a", 1, "1", "2", '{"type":"EVENT"}', "3"))
    for _ in range(2):
        home.run("live", broken)
    assert home.values("select path from sojourn.quarantine order by path") == [
        "$.events[0]",
        "$.events[1]",
        "$.events[2].timestamp",
        "$.events[3]",
    ]


def test_8_7_equal_entries_are_never_merged(home: Home) -> None:
    """Neither within a message nor over several; the same message again is the same events."""
    two = message("a", 2, event())
    report = home.run("live", lines(message("a", 1, start("a"), event(), event()), two, two))
    assert (report["ledger"]["accepted"], report["ledger"]["duplicate"]) == (4, 1)
    assert columns(home, "events") == [(3,)]
    report = home.run("live", lines(two, message("a", 3, event())), name="later.jsonl")
    assert (report["ledger"]["accepted"], report["ledger"]["duplicate"]) == (1, 1)
    assert columns(home, "events") == [(4,)]


def test_8_7_the_order_is_that_of_seq(home: Home) -> None:
    """Not that of the lines, nor that of the times; numbers may be missing."""
    home.run("live", lines(message("a", 20, end("a")), message("a", 3, event(5)), message("a", 1, start("a"))))
    assert columns(home, "events, status") == [(1, "ended")]


def test_8_7_what_a_session_refuses_is_in_no_table(home: Home) -> None:
    """Before the start, after the end, or another start: accepted by the ledger, noted as refused."""
    report = home.run(
        "live",
        lines(
            message("a", 1, event(), start("a"), start("a", "1.0E3"), start("a", 1001)),
            message("a", 2, end("a"), event(), start("a")),
        ),
    )
    assert report["ledger"]["accepted"] == 7
    assert report["ledger"]["notes"] == {"refused": 4}
    assert report["files"][0]["notes"] == {"refused": 4}
    assert published(home)["event_counts"] == []
    assert columns(home, "started_at, events") == [("1970-01-01T00:16:40.000000Z", 0)]


def test_8_7_without_its_start_a_session_has_no_row_yet(home: Home) -> None:
    """It has one once the start has come."""
    report = home.run("live", lines(message("a", 2, event(), end("a"))))
    assert report["ledger"]["notes"] == {"refused": 2}
    assert published(home) == {"sessions": [], "event_counts": []}
    home.run("live", lines(message("a", 1, start("a"))), name="later.jsonl")
    assert columns(home, "events, status") == [(1, "ended")]


def test_8_7_a_trailing_comma_is_for_live_clients_alone(home: Home) -> None:
    """In a file it is no JSON."""
    report = home.run("live", lines('{"session_id":"a","seq":1,"events":[' + start("a") + ",]}"))
    assert report["ledger"]["quarantined"] == {"invalid_json": 1}


MESSAGES = [
    message("a", 1, start("a"), event()),
    message("b", 1, start("b", 2000.5)),
    message("a", 2, event(name="y"), end("a")),
]


def test_8_7_the_journal_is_a_file_of_streams(home: Home, tmp_path: Path) -> None:
    """The same messages give the same tables and the same ledger; and again when nothing has changed."""
    journal(home, *MESSAGES)
    other = Home(tmp_path / "other")
    from_file = other.run("live", lines(*reversed(MESSAGES)))
    for _ in range(2):
        done = home.call("run", "live", "--json")
        assert done.status == 0, done.err
        assert done.json["ledger"] == from_file["ledger"]
        assert [one["file"] for one in done.json["files"]] == ["journal"]
        assert published(home) == published(other)
    assert not list((home.folder / "home" / "events").glob("live/*"))


def test_8_7_files_and_journal_are_one(home: Home) -> None:
    """A run over files reads the journal too; what both hold is the same event."""
    journal(home, *MESSAGES[:2])
    report = home.run("live", lines(*MESSAGES[1:]))
    assert (report["ledger"]["accepted"], report["ledger"]["duplicate"]) == (5, 1)
    for _ in range(2):
        assert home.call("run", "live").status == 0
        assert columns(home, "session_id, events, status") == [("a", 2, "ended"), ("b", 0, "open")]
    journal(home, message("b", 2, event()))
    done = home.call("run", "live", "--json")
    assert done.json["ledger"]["accepted"] == 3  # what only the journal holds is read anew
    assert columns(home, "events") == [(2,), (1,)]


def test_8_7_what_the_journal_forgets_is_gone(home: Home) -> None:
    """From the tables of the next run; what a file brought stays."""
    journal(home, *MESSAGES)
    home.run("live", lines(message("c", 1, start("c"))))
    assert columns(home, "session_id") == [("a",), ("b",), ("c",)]
    journal(home, forget="a")
    assert home.call("run", "live").status == 0
    assert columns(home, "session_id") == [("b",), ("c",)]


@pytest.mark.parametrize("rule", ['rule = "gap"', 'rule = "key"', 'rule = "markers"'])
def test_8_7_any_pipeline_can_read_the_journal(home: Home, tmp_path: Path, rule: str) -> None:
    """By any rule, from the journal or from files; a record that breaks its contract stands in quarantine once."""
    text = f"""
        [source.events]
        format = "streams"
        [source.events.fields]
        actor = "user"
        session_key = "session_id"
        price = {{ path = "price", type = "integer", required = true }}
        [sessions]
        {rule}
    """
    own = home.path("own.toml", text)
    bought = [
        message("a", 1, start("a"), '{"type":"EVENT","name":"buy","timestamp":1001,"user":7,"price":3}'),
        message("a", 2, event()),
        message("a", 3, '{"type":"EVENT","name":"buy","timestamp":1002,"user":"7","price":"4"}', end("a")),
    ]
    other = Home(tmp_path / "other")
    from_file = other.run(other.path("own.toml", text), lines(*bought))
    journal(home, *bought)
    for _ in range(2):
        done = home.call("run", own, "--json")
        assert done.json["ledger"] == from_file["ledger"]
    assert from_file["ledger"]["quarantined"] == {"missing_field": 1}
    assert home.rows("from own.sessions") == other.rows("from own.sessions")
    assert home.values("select events from own.sessions") == [2]
    assert home.rows("select file, line, path from sojourn.quarantine") == [
        {"file": "journal", "line": 2, "path": "$.events[0].price"}
    ]
    journal(home, forget="a")
    journal(home, message("b", 1, event()))
    assert home.call("run", own).status == 0
    assert home.values("select line from sojourn.quarantine order by line") == [4]  # what was deleted is gone
    own.write_text(text.replace(", required = true", ""))  # nothing was kept: nothing binds it to the former way
    done = home.call("run", own, "--json")
    assert (done.status, done.json["ledger"]["quarantined"]) == (0, {})
