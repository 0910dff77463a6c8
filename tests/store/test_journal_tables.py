"""The journal as a source, on both stores: the tables of its messages, with files beside it and without a home."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sojourn import samples
from sojourn.store.journals import Message
from sojourn.store.opening import open_journal
from tests.command import lines, process, sojourn

if TYPE_CHECKING:
    from tests.store.places import Place

START = '{"type":"SESSION_START","session_id":"%s","timestamp":1000}'
EVENT = '{"type":"EVENT","name":"x","timestamp":1001}'


def message(session: str, seq: int, *entries: str) -> str:
    """A line of a file of streams."""
    return f'{{"session_id":"{session}","seq":{seq},"events":[{",".join(entries)}]}}'


def opened(session: str) -> str:
    """A session's first message."""
    return message(session, 1, START % session, EVENT)


def receive(place: Place, *messages: str, forget: str = "") -> None:
    """Have the journal of *place* hold *messages*; *forget*: and no longer this session."""
    settled: list[Any] = []
    journal = open_journal(str(place.home), place.url, lambda batch, _: settled.extend(batch), lambda _: None)
    for session in dict.fromkeys(json.loads(text)["session_id"] for text in messages):
        journal.claim(session)
    for text in messages:
        told = json.loads(text)
        journal.submit(Message(told["session_id"], told["seq"], json.dumps(told["events"], indent=1).encode(), 0))
    if forget:
        journal.forget(forget)
    journal.close()
    assert [one.error for one in settled] == [None] * len(messages)


def sessions(place: Place) -> list[tuple[Any, ...]]:
    """The published sessions, and their events."""
    rows = place.rows("select session_id, events from live.sessions order by session_id")
    return [tuple(row.values()) for row in rows]


def test_the_journal_is_published(place: Place, tmp_path: Path) -> None:
    """With files and without; what it forgets is gone, what files brought stays."""
    receive(place, opened("a"), opened("b"), message("a", 2, EVENT))
    assert place.run("live")["ledger"]["accepted"] == 5
    assert sessions(place) == [("a", 2), ("b", 1)]
    (tmp_path / "c.jsonl").write_bytes(lines(opened("b"), opened("c")))
    ledger = place.run("live", tmp_path / "c.jsonl")["ledger"]
    assert (ledger["accepted"], ledger["duplicate"]) == (7, 2)
    assert sessions(place) == [("a", 2), ("b", 1), ("c", 1)]
    receive(place, forget="a")
    receive(place, forget="b")
    receive(place, opened("d"))
    for _ in range(2):
        place.run("live")
        assert sessions(place) == [("b", 1), ("c", 1), ("d", 1)]
    assert place.statuses() == ["done"] * 4


def test_several_entries_of_a_line_in_quarantine(place: Place, tmp_path: Path) -> None:
    """Each stands there once, on both stores."""
    (tmp_path / "broken.jsonl").write_bytes(lines(message("a", 1, START % "a", "1", "2", '{"type":"EVENT"}')))
    for _ in range(2):
        assert place.run("live", tmp_path / "broken.jsonl")["ledger"]["read"] == 4
    found = place.rows("select path from sojourn.quarantine order by path")
    assert [row["path"] for row in found] == ["$.events[1]", "$.events[2]", "$.events[3].timestamp"]


def test_a_large_journal(place: Place, tmp_path: Path) -> None:
    """More than is read at once, by several processes, and the same as from a file."""
    path = tmp_path / "live.jsonl"
    samples.write("live", path, lines=30_000, seed=3, dirty=False)
    receive(place, *path.read_text().splitlines())
    done = place.process("run", "live", "--json")
    assert done.status == 0, done.err
    done = place.process("run", "live", path, "--json")
    assert [one["accepted"] for one in done.json["files"]] == [done.json["ledger"]["accepted"], 0]
    assert done.json["ledger"]["accepted"] == done.json["ledger"]["duplicate"] > 60_000


def test_without_a_home(in_postgres: Place, tmp_path: Path, monkeypatch: Any) -> None:
    """The database alone is enough where only its journal is read; a home comes with the first file."""
    monkeypatch.chdir(tmp_path)
    receive(in_postgres, opened("a"))
    for _ in range(2):
        done = sojourn("run", "live", "--store", in_postgres.url)
        assert done.status == 0, done.err
    assert list(tmp_path.iterdir()) == []
    assert sessions(in_postgres) == [("a", 1)]
    (tmp_path / "b.jsonl").write_bytes(lines(opened("b")))
    in_postgres.run("live", tmp_path / "b.jsonl")
    assert sessions(in_postgres) == [("a", 1), ("b", 1)]
    other = sojourn("run", "live", "--store", in_postgres.url)
    assert (other.status, "belongs to another home" in other.err) == (2, True)
    in_postgres.run("live")
    assert sessions(in_postgres) == [("a", 1), ("b", 1)]
    refused = sojourn("run", "live", tmp_path / "b.jsonl", "--home", tmp_path / "another", "--store", in_postgres.url)
    assert (refused.status, "belongs to another home" in refused.err) == (2, True)


def test_runs_without_a_home_wait_for_each_other(in_postgres: Place) -> None:
    """Two servers publish one journal at the same time."""
    receive(in_postgres, opened("a"), opened("b"))
    runs = [in_postgres.start("run", "live") for _ in range(3)]
    for run in runs:
        _, err = run.communicate(timeout=60)
        assert run.returncode == 0, err
    assert sessions(in_postgres) == [("a", 1), ("b", 1)]
    assert in_postgres.statuses() == ["done"] * 3


def test_nothing_was_received(place: Place) -> None:
    """A run without a source says what to do, and leaves nothing behind."""
    done = process("run", "live", *place.words)
    assert (done.status, "[no_source]" in done.err, "sojourn serve" in done.err) == (2, True, True)
    assert not place.home.exists()
