"""What a WebSocket is told: welcomes, acknowledgements, refusals and good-byes."""

import json
import time

import pytest
from websockets.exceptions import InvalidStatus

from tests.service.live.client import BEGIN, Client, begin, end, event, numbered, refusal
from tests.service.live.conftest import Start
from tests.service.live.process import Service


def test_a_session_from_its_start_to_its_end(service: Service, name: str) -> None:
    """A welcome, an acknowledgement for each message, a good-bye after the end, and the document."""
    with Client(service, name) as client:
        assert client.welcome == {
            "type": "welcome",
            "last": 0,
            "status": "open",
            "max_message": 1 << 20,
            "max_entries": 10_000,
            "max_in_flight": 64,
            "idle_seconds": 300,
        }
        assert client.put([begin(name), event(1)]) == {"type": "ack", "seq": 1}
        assert service.document(name)["end"] is None
        assert client.put([event(2)]) == {"type": "ack", "seq": 2}
        client.send([end(name)])
        assert client.rest() == [{"type": "ack", "seq": 3}, {"type": "ended", "seq": 3}, {"closed": 1000}]
    found = service.document(name)
    assert (found["start"], found["end"]) == (BEGIN, BEGIN + 1000)
    assert [child["name"] for child in found["children"]] == ["1", "2"]


@pytest.mark.parametrize("path", ["/v1/nope", "/v1/sessions/a/stream/", "/v1/sessions//stream", "/v1/sessions/a", "/"])
def test_where_nothing_streams_is_not_found(service: Service, path: str) -> None:
    """As everywhere, in the shape of all errors."""
    with pytest.raises(InvalidStatus) as met:
        Client(service, "a", path=path)
    answered = met.value.response
    assert (answered.status_code, answered.headers["content-type"]) == (404, "application/json")
    error = json.loads(answered.body)
    assert (error["type"], error["code"], error["path"]) == ("error", "not_found", "$")
    assert error["message"].startswith(f"no WebSocket is at {path};")


def test_numbers_go_on_from_the_welcome(service: Service, name: str) -> None:
    """The number of a plain message is `last` and its position; a client may say it, too."""
    with Client(service, name) as client:
        client.put([begin(name)])
        assert client.put(numbered(2, event(2))) == {"type": "ack", "seq": 2}
    with Client(service, name) as client:
        assert (client.last, client.welcome["status"]) == (2, "open")
        for number in range(3, 8):
            assert client.put([event(number)]) == {"type": "ack", "seq": number}
        assert client.put(numbered(8, event(8), end(name))) == {"type": "ack", "seq": 8}
    with Client(service, name) as client:
        assert (client.last, client.welcome["status"]) == (8, "ended")


def test_acknowledgements_are_cumulative(service: Service, name: str) -> None:
    """Many messages at once are acknowledged by growing numbers, up to the last; what is acknowledged can be read."""
    with Client(service, name) as client:
        client.send([begin(name)])
        for number in range(2, 501):
            client.send([event(number)])
        told = 0
        while told < 500:
            frame = client.next()
            assert frame["type"] == "ack"
            assert frame["seq"] > told
            told = frame["seq"]
            if told < 500:
                assert len(service.document(name)["children"]) >= told - 1
    assert [child["name"] for child in service.document(name)["children"]] == [f"{n}" for n in range(2, 501)]


def test_binary_frames_and_trailing_commas(service: Service, name: str) -> None:
    """A message may come in a frame of either kind, with commas that trail."""
    with Client(service, name) as client:
        assert client.put(json.dumps([begin(name)]).encode()[:-1] + b",]") == {"type": "ack", "seq": 1}
        client.socket.send(iter(['[{"type":"EVENT",', '"timestamp":1569972001,"name":"ä"', ",},]"]))
        assert client.next() == {"type": "ack", "seq": 2}
    assert service.document(name)["children"] == [{"type": "EVENT", "timestamp": 1569972001, "name": "ä"}]


REFUSED: list[tuple[object, str, str, int]] = [
    ("not JSON", "invalid_json", "$", 4400),
    ("[]", "empty", "$", 4400),
    ('{"events":[]}', "missing_field", "$.seq", 4400),
    ([event(1), event(2), event(3), {"type": "EVENT", "name": "x"}], "missing_field", "$[3].timestamp", 4400),
    ([{**event(1), "timestamp": 1.0000001}], "bad_time", "$[0].timestamp", 4400),
    ([{**event(1), "type": "OTHER"}], "unknown_value", "$[0].type", 4400),
    ([begin("another")], "other_session", "$[0].session_id", 4400),
    (numbered(2, {**event(1), "timestamp": "x"}), "bad_type", "$.events[0].timestamp", 4400),
    (numbered(1, event(9)), "other_content", "$.events", 4400),
    (numbered(3, event(9)), "gap", "$.seq", 4409),
    ([{**event(1), "more": "x" * (1 << 20)}], "too_large", "$", 1009),
    ([{**event(1), "more": "x" * (3 << 20)}], "too_large", "$", 1009),
    ([event(number) for number in range(10_001)], "too_large", "$", 1009),
    (b'[{"type":"EVENT","timestamp":1,"name":"\xff"}]', "invalid_utf8", "$", 1007),
]


@pytest.mark.parametrize(("message", "code", "path", "closes"), REFUSED, ids=map(str, range(len(REFUSED))))
def test_a_refused_message_stores_nothing(
    service: Service, name: str, message: object, code: str, path: str, closes: int
) -> None:
    """It takes no number, is told where it is wrong, and ends the connection; what came before stays."""
    with Client(service, name) as client:
        client.put([begin(name)])
        client.send(message)
        assert refusal(client.rest()) == (code, path, closes)
    with Client(service, name) as client:
        assert client.last == 1
        assert client.put([event(2)]) == {"type": "ack", "seq": 2}


def test_what_came_before_a_refused_message_is_acknowledged(service: Service, name: str) -> None:
    """Also when it was still on its way."""
    with Client(service, name) as client:
        client.send([begin(name)])
        for number in range(2, 51):
            client.send([event(number)])
        client.send("nonsense")
        *acks, last, error, closed = client.rest()
        assert all(frame["type"] == "ack" for frame in acks)
        assert last == {"type": "ack", "seq": 50}
        assert (error["code"], closed) == ("invalid_json", {"closed": 4400})


def test_the_first_entry_is_the_start(service: Service, name: str) -> None:
    """A session that was never begun does not exist afterwards; its first start counts."""
    with Client(service, name) as client:
        client.send([event(1)])
        assert refusal(client.rest()) == ("not_started", "$[0]", 4400)
    assert service.get(f"/v1/sessions/{name}").status == 404
    with Client(service, name) as client:
        client.put([begin(name)])
        client.send([{**begin(name), "timestamp": 5}])
        assert refusal(client.rest()) == ("other_start", "$[0]", 4400)


def test_nothing_new_after_the_end(service: Service, name: str) -> None:
    """A client that comes after it may send again what is known; the rest is refused."""
    with Client(service, name) as client:
        client.put([begin(name)])
        client.send(numbered(2, end(name)))
        assert client.rest()[-1] == {"closed": 1000}
    with Client(service, name) as client:
        assert client.put(numbered(1, begin(name))) == {"type": "ack", "seq": 1}
        client.send(numbered(2, end(name)))
        assert client.rest() == [{"type": "ack", "seq": 2}, {"type": "ended", "seq": 2}, {"closed": 1000}]
    with Client(service, name) as client:
        client.send([event(3)])
        assert refusal(client.rest()) == ("ended", "$", 4410)


def test_sent_again(service: Service, name: str) -> None:
    """Known with the same content, a message is acknowledged again and stored once: durable, or still on its way."""
    messages = [numbered(1, begin(name)), *(numbered(number, event(number)) for number in range(2, 41))]
    with Client(service, name) as client:
        for message in messages + messages:
            client.send(message)
        while (frame := client.next()) != {"type": "ack", "seq": 40}:
            # What is durable is acknowledged again at once, also while later messages are on their way.
            assert frame["type"] == "ack", frame
        client.send(messages[4])
        while (frame := client.next()) != {"type": "ack", "seq": 5}:
            assert frame["type"] == "ack", frame
    with Client(service, name) as client:
        assert client.last == 40
        for message in messages:
            assert client.put(message) == {"type": "ack", "seq": message["seq"]}
    assert len(service.document(name)["children"]) == 39


def test_the_newer_connection_wins(service: Service, name: str) -> None:
    """It is welcomed with everything of the older one, which is told and closed."""
    with Client(service, name) as older:
        older.send([begin(name)])
        for number in range(2, 31):
            older.send([event(number)])
        older.until_ack(30)
        with Client(service, name) as newer:
            assert newer.last == 30
            assert refusal(older.rest()) == ("taken_over", "$", 4409)
            assert newer.put([event(31)]) == {"type": "ack", "seq": 31}


@pytest.mark.parametrize("wrong", ["a%20b", "a" * 129, "%C3%A4", "a%0A"])
def test_a_name_that_is_none(service: Service, wrong: str) -> None:
    """Is refused on the socket as over HTTP."""
    with Client(service, "x", path=f"/v1/sessions/{wrong}/stream") as client:
        assert refusal([client.welcome, *client.rest()]) == ("bad_session_id", "$", 4400)
    found = service.post(wrong, [event(1)])
    assert (found.status, found.code, found.json["path"]) == (400, "bad_session_id", "$.path.session_id")


def test_silence(starting: Start, name: str) -> None:
    """A client that says nothing for too long is told and closed; one that goes on is not."""
    service = starting("--idle", "1s")
    with Client(service, name) as silent, Client(service, "busy") as busy:
        assert silent.welcome["idle_seconds"] == 1
        busy.put([begin("busy")])
        for number in range(2, 9):
            time.sleep(0.3)
            assert busy.put([event(number)]) == {"type": "ack", "seq": number}
        assert refusal(silent.rest()) == ("idle", "$", 4408)


def test_limits_are_settings(starting: Start, name: str) -> None:
    """They are said in the welcome and hold exactly."""
    service = starting(
        "--max-message", "2kB", "--max-entries", "3", "--max-in-flight", "2", "--max-connections", "2",
        "--max-body", "3kB",
    )  # fmt: skip
    fits = json.dumps([begin(name), event(2, more="x" * 1000)])
    fits = fits.replace("x", "x" * (2001 - len(fits)), 1)
    with Client(service, name) as client:
        assert [client.welcome[f"max_{what}"] for what in ("message", "entries", "in_flight")] == [2000, 3, 2]
        assert len(fits) == 2000
        assert client.put(fits) == {"type": "ack", "seq": 1}
        for number in range(2, 50):
            client.send([event(1), event(2), event(number)])
        client.until_ack(49)
        client.send(fits.replace("x", "xx", 1))
        assert refusal(client.rest()) == ("too_large", "$", 1009)
    with Client(service, name) as client:
        client.send([event(number) for number in range(4)])
        assert refusal(client.rest()) == ("too_large", "$", 1009)
    assert service.post(name, [{**event(1), "x": "x" * 2000}]).status == 413
    lines = "\n".join([json.dumps([event(1, x="x" * 1000)])] * 3).encode()
    assert service.post(name, lines, Content_Type="application/x-ndjson").status == 413
    with Client(service, "a") as first, Client(service, "b") as second, Client(service, "c") as third:
        assert (first.last, second.last) == (0, 0)
        assert refusal([third.welcome, *third.rest()]) == ("too_many", "$", 4429)
    with Client(service, "c") as client:
        assert client.put([begin("c")]) == {"type": "ack", "seq": 1}
