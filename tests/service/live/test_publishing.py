"""What the service publishes by itself, and what plays a file to it."""

import gzip
import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from tests.command import process
from tests.service.live.client import begin, end, event
from tests.service.live.conftest import Start
from tests.service.live.process import Service, free_port
from tests.store.places import Place


def rows(service: Service, table: str, patience: float = 20) -> list[dict[str, Any]]:
    """A table of the pipeline `live`, by session, as soon as it is published."""
    deadline = time.monotonic() + patience
    while (found := service.get(f"/v1/tables/live/{table}")).status == 404 and time.monotonic() < deadline:
        assert found.code == "not_published"
        time.sleep(0.1)
    assert found.status == 200, found
    found_rows: list[dict[str, Any]] = found.json["rows"]
    return sorted(found_rows, key=lambda row: str(row["session_id"]))


def until(service: Service, table: str, wanted: int) -> list[dict[str, Any]]:
    """The table once it has so many rows."""
    deadline = time.monotonic() + 20
    while len(found := rows(service, table)) != wanted and time.monotonic() < deadline:
        time.sleep(0.1)
    assert len(found) == wanted, found
    return found


def streams(path: Path, *lines: tuple[str, int, list[Any]]) -> Path:
    """A file of streams."""
    text = [json.dumps({"session_id": name, "seq": seq, "events": events}) for name, seq, events in lines]
    path.write_text("\n".join(text) + "\n", encoding="utf-8")
    return path


def test_publishes_when_something_changed(starting: Start) -> None:
    """New messages and deleted sessions are in the tables soon, without a run by hand; nothing new, no run."""
    service = starting("--publish-every", "300ms")
    service.post("b", [begin("b"), event(1)])
    service.post("a", [begin("a"), event(1), event(2), end("a")])
    found = until(service, "sessions", 2)
    assert [(row["session_id"], row["status"], row["events"]) for row in found] == [("a", "ended", 2), ("b", "open", 1)]
    assert service.ask("DELETE", "/v1/sessions/b").status == 204
    assert [row["session_id"] for row in until(service, "sessions", 1)] == ["a"]
    time.sleep(1)
    runs = service.get("/v1/runs").json["runs"]
    time.sleep(1.5)
    assert service.get("/v1/runs").json["runs"] == runs
    assert {run["status"] for run in runs} == {"done"}
    assert service.stop() == 0


def test_publishes_what_came_before_it_began(starting: Start) -> None:
    """A service that takes over finds out by itself that something is not published yet."""
    first = starting()
    first.post("a", [begin("a"), event(1)])
    first.kill()
    service = starting("--publish-every", "300ms")
    assert [row["session_id"] for row in rows(service, "sessions")] == ["a"]


def test_of_what_was_deleted_before_it_began_no_table_stays(starting: Start) -> None:
    """Also when nothing at all is left."""
    first = starting()
    first.post("a", [begin("a"), event(1)])
    first.place.run("live")
    assert [row["session_id"] for row in rows(first, "sessions")] == ["a"]
    assert first.ask("DELETE", "/v1/sessions/a").status == 204
    first.kill()
    assert until(starting("--publish-every", "300ms"), "sessions", 0) == []


def test_live_and_file_publish_equal_tables(starting: Start, tmp_path: Path) -> None:
    """The same streams, played to a service and given as a file."""
    service = starting()
    first = [begin("a"), event(1), event(1)]
    path = streams(
        tmp_path / "streams.jsonl",
        ("a", 1, first),
        ("b", 1, [begin("b")]),
        ("a", 2, [event(3), end("a")]),
        ("b", 2, [event(2)]),
    )
    played = process("replay-stream", str(path), "--url", f"http://127.0.0.1:{service.port}", "--json")
    assert (played.status, played.err) == (0, "")
    told = json.loads(played.out)
    assert (told["sessions"], told["messages"], told["events"], told["refused"]) == (2, 4, 7, {})
    elsewhere = Place(tmp_path / "elsewhere", None)
    assert service.place.call("run", "live").status == 0
    assert elsewhere.call("run", "live", path).status == 0
    for table in ("sessions", "event_counts"):
        query = f"select * from live.{table}"
        live, batch = (json.loads(one.call("sql", query, "--json").out) for one in (service.place, elsewhere))
        assert sorted(map(json.dumps, live)) == sorted(map(json.dumps, batch))
        assert live


def test_a_file_played_twice_adds_nothing(starting: Start, tmp_path: Path) -> None:
    """Its messages have numbers; what a service refuses is told, and ends that session's play alone. The file may be
    packed, as for a run."""
    service = starting()
    path = streams(tmp_path / "streams.jsonl", ("a", 1, [begin("a")]), ("a", 2, [event(1)]), ("b", 1, [begin("b")]))
    words = ("--url", f"127.0.0.1:{service.port}", "--json")
    packed = path.with_suffix(".jsonl.gz")
    packed.write_bytes(gzip.compress(path.read_bytes()))
    for file in (path, packed):
        assert process("replay-stream", file, *words).status == 0
    assert len(service.document("a")["children"]) == 1
    other = streams(tmp_path / "other.jsonl", ("a", 1, [begin("a")]), ("a", 2, [event(9)]), ("c", 1, [begin("c")]))
    played = process("replay-stream", other, *words)
    assert played.status == 1
    assert json.loads(played.out)["refused"] == {"other_content": 1}
    assert "[refused]" in played.err
    assert service.document("c")["end"] is None


def test_a_play_survives_the_service(starting: Start, tmp_path: Path) -> None:
    """The service is killed and begun again meanwhile; in the end every message is there once."""
    port = free_port()
    service = starting(port=port)
    lines = [("a", 1, [begin("a")])] + [("a", seq, [event(seq)]) for seq in range(2, 200)]
    path = streams(tmp_path / "streams.jsonl", *lines)
    command: list[str] = [
        sys.executable,
        "-m",
        "sojourn",
        "replay-stream",
        str(path),
        "--url",
        f"http://127.0.0.1:{port}",
        "--rate",
        "100",
    ]
    with subprocess.Popen(command) as play:
        time.sleep(2)
        service.kill()
        service = starting(port=port)
        assert play.wait(30) == 0
    assert len(service.document("a")["children"]) == 198


def test_what_cannot_be_played(tmp_path: Path) -> None:
    """No file, no streams in it, no address, nobody there: one sentence each."""
    path = streams(tmp_path / "streams.jsonl", ("a", 1, [begin("a")]))
    (tmp_path / "other.jsonl").write_text("{}\n")
    mistakes: dict[str, list[object]] = {
        "unreadable_file": [tmp_path / "missing.jsonl"],
        "no_streams": [tmp_path / "other.jsonl"],
        "bad_url": [path, "--url", "ftp://127.0.0.1"],
    }
    for code, words in mistakes.items():
        told = process("replay-stream", *words)
        assert (told.status, told.err.count("\n")) == (2, 1), told.err
        assert f"[{code}]" in told.err
