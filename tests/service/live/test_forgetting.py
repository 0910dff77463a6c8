"""Forgetting beside a service that goes on: sessions that name somebody go, and what it remembers brings none back."""

import time
from contextlib import suppress
from pathlib import Path

from websockets.exceptions import ConnectionClosed

from tests.service.live.client import Client, begin, end, event
from tests.service.live.conftest import Start
from tests.service.live.process import Service
from tests.store.places import Place
from tests.store.remains import remains

NAME = "Quetzal-81x"
ESCAPED = "".join(f"\\u{ord(letter):04x}" for letter in NAME)


def ids(place: Place) -> list[str]:
    """The sessions that the tables tell of."""
    return [row["session_id"] for row in place.rows("select session_id from live.sessions order by session_id")]


def listed(service: Service) -> list[str]:
    """The sessions that the service tells of."""
    return [one["session_id"] for one in service.get("/v1/sessions").json["sessions"]]


def forget(place: Place, *words: object) -> dict[str, object]:
    """What a process of its own reports of forgetting."""
    done = place.process("forget", *words, "--json")
    assert done.status == 0, done.err
    found: dict[str, object] = done.json
    return found


def test_sessions_go_while_they_are_streamed(starting: Start, place: Place) -> None:
    """By a value however deep, by an escaped one, by their id: every message of them, in journal, tables and memory."""
    service = starting()
    service.post("other", [begin("other"), event(1, user="somebody", note=f"not {NAME}".replace(NAME, "x"))])
    service.post("deep", [begin("deep"), event(1), event(2, user={"ids": [1, {"is": NAME}]}), end("deep")])
    service.post("escaped", f'[{{"type":"SESSION_START","timestamp":1,"session_id":"escaped"}},'
                 f'{{"type":"EVENT","timestamp":2,"name":"{ESCAPED}"}}]'.encode())  # fmt: skip
    service.post(NAME, [begin(NAME), event(1)])
    with Client(service, "streamed") as client:
        assert client.put([begin("streamed"), event(1)])["seq"] == 1
        assert client.put([event(2, user=NAME)])["seq"] == 2
        assert place.process("run", "live").status == 0
        assert ids(place) == sorted(["other", "deep", "escaped", NAME, "streamed"])
        report = forget(place, NAME)
        assert report["live"] == {"sessions": 4, "messages": 5}
        assert listed(service) == ["other"]
        assert ids(place) == ["other"]
        assert remains(place, NAME) == []
        with suppress(ConnectionClosed):  # in PostgreSQL it has been told already
            client.send([event(3)])
        assert client.rest()[-1]["closed"] != 1000
    assert service.get("/v1/sessions/streamed").status == 404
    assert service.get(f"/v1/sessions/{NAME}").status == 404
    assert service.post("streamed", [event(3)]).status in (409, 422)
    with Client(service, "streamed") as client:
        assert client.last == 0
        assert client.put([begin("streamed"), event(1)])["seq"] == 1
    assert listed(service) == ["other", "streamed"]
    assert service.stop() == 0
    assert remains(place, NAME) == []


def test_later_messages_are_kept_out_of_the_tables(starting: Start, place: Place) -> None:
    """The whole session, in runs by hand and in those of the service; forgetting again removes it, too."""
    service = starting("--publish-every", "300ms")
    service.post("other", [begin("other"), event(1)])
    forget(place, NAME)
    service.post("late", [begin("late"), event(1, user=NAME)])
    service.post("late", [event(2), end("late")])
    service.post("more", [begin("more"), event(1)])
    deadline = time.monotonic() + 20
    while not {"other", "more"} <= set(ids_or_none(place)) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert ids(place) == ["more", "other"]
    done = place.process("run", "live", "--json").json
    assert done["ledger"]["dropped"] == {"forgotten": 4}
    assert done["ledger"]["accepted"] + done["ledger"]["duplicate"] == 4
    assert forget(place, NAME)["live"] == {"sessions": 1, "messages": 2}
    assert remains(place, NAME) == []
    assert listed(service) == ["more", "other"]


def ids_or_none(place: Place) -> list[str]:
    """The same as `ids`, before there are tables."""
    return ids(place) if any(row["pipeline"] == "live" for row in place.open().published()) else []


def test_files_of_streams(place: Place, tmp_path: Path) -> None:
    """A file's session goes from the kept events when its own fields name somebody, and is dropped when read again."""
    path = tmp_path / "streams.jsonl"
    path.write_text(
        '{"session_id":"a","seq":1,"events":[{"type":"SESSION_START","timestamp":1,"session_id":"a"}]}\n'
        f'{{"session_id":"a","seq":2,"events":[{{"type":"EVENT","timestamp":2,"name":"{NAME}"}}]}}\n'
        '{"session_id":"b","seq":1,"events":[{"type":"SESSION_START","timestamp":1,"session_id":"b"},'
        '{"type":"EVENT","timestamp":1,"name":"x"}]}\n'
        f'{{"session_id":"c","seq":1,"events":[{{"type":"EVENT","timestamp":"{NAME}","name":"x"}}]}}\n'
    )
    place.run("live", path)
    assert ids(place) == ["a", "b"]
    forget(place, NAME)
    assert ids(place) == ["b"]
    assert remains(place, NAME) == []
    other = tmp_path / "other.jsonl"
    other.write_text("\n".join(path.read_text().splitlines()[::-1]) + "\n")
    ledger = place.run("live", other)["ledger"]
    assert (ledger["dropped"], ledger["duplicate"], ledger["quarantined"]) == ({"forgotten": 3}, 2, {})
    assert remains(place, NAME) == []
