"""Acknowledged means durable: when it is killed, and when it is told to end."""

import json
import os
import signal
import struct
import threading
import time
from contextlib import suppress
from random import Random
from typing import Any

from tests.service.live.client import Client, begin, end, event, numbered, refusal
from tests.service.live.conftest import Start
from tests.service.live.killing import Killed
from tests.service.live.raw import TEXT, Raw, frame
from tests.store.places import Place

ROUNDS = {True: 8, False: 3}  # in the embedded journal, in PostgreSQL; the long form is in soak/
MIB = 1 << 20


def test_8_3_what_was_acknowledged_survives_kills(place: Place) -> None:
    """`kill -9`: nothing acknowledged is lost, and after going on every session has its messages once."""
    chance, killed = Random(5), Killed(place)
    for _ in range(ROUNDS[place.url is None]):
        killed.round(0.1 + chance.random() * 0.3)
    killed.look()
    assert killed.breaks == []
    assert sum(killed.acknowledged.values()) > 100


def chatter(client: Raw) -> None:
    """Send until the connection breaks."""
    with suppress(OSError):
        for at in range(2, 1_000_000):
            client.socket.sendall(frame(TEXT, json.dumps([event(at)]).encode()))


def test_going_down(starting: Start) -> None:
    """What is on its way is acknowledged, connections are closed with 1001; another may open the journal at once."""
    service = starting()
    told: dict[str, tuple[int, int]] = {}

    def talk(session_id: str) -> None:
        with Raw(service) as client:
            client.open(session_id)
            client.send(frame(TEXT, json.dumps([begin(session_id)]).encode()))
            writing = threading.Thread(target=chatter, args=(client,))
            writing.start()
            frames: list[Any] = []
            while (found := client.frame())[0] == TEXT:
                frames.append(json.loads(found[1]))
            (closed,) = struct.unpack("!H", found[1][:2])
            writing.join()
            assert frames[-1]["code"] == "going_down"
            told[session_id] = frames[-2]["seq"], closed

    threads = [threading.Thread(target=talk, args=(f"s{one}",)) for one in range(4)]
    with Client(service, "silent") as silent:
        for thread in threads:
            thread.start()
        time.sleep(0.3)
        began = time.monotonic()
        service.run.terminate()
        assert service.run.wait(20) == 0
        assert time.monotonic() - began < 9, "nothing waited in vain"
        assert refusal(silent.rest()) == ("going_down", "$", 1001)
    for thread in threads:
        thread.join()
    assert len(told) == 4
    assert service.said == []
    after = starting(port=service.port)
    for session_id, (last, closed) in told.items():
        assert closed == 1001
        with Client(after, session_id) as client:
            assert client.last == last, "what is stored was acknowledged, and the other way round"


def test_going_down_while_requests_run(starting: Start) -> None:
    """They are answered; those that never end do not keep the service from ending."""
    service = starting()
    body = "\n".join(f'[{{"type":"EVENT","timestamp":1,"name":"{n}"}}]' for n in range(20_000)).encode()
    service.post("a", [begin("a")])
    answers: list[int] = []
    posting = threading.Thread(
        target=lambda: answers.append(service.post("a", body, Content_Type="application/x-ndjson").status)
    )
    posting.start()
    time.sleep(0.15)
    os.kill(service.run.pid, signal.SIGINT)  # Ctrl-C ends it as well
    assert service.run.wait(20) == 0
    posting.join()
    assert answers == [200]
    assert service.said == []


def test_going_down_with_requests_that_never_end(starting: Start) -> None:
    """A body that does not come and a head that does not end: the one is answered, and neither is waited for."""
    service = starting()
    first = b"POST /v1/sessions/a/events HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
    with Raw(service, first + b"Content-Length: 99\r\n\r\n[") as body, Raw(service, b"GET /he") as half:
        time.sleep(0.2)
        began = time.monotonic()
        assert service.stop() == 0
        assert time.monotonic() - began < 8
        assert body.rest().startswith(b"HTTP/1.1 503 ")
        assert b'"code":"going_down"' in body.buffer
        assert half.rest() == b""
    assert service.said == []


def test_it_goes_on_after_a_kill(starting: Start, name: str) -> None:
    """A client that comes back is told where it stands, and may send again what it is not sure of."""
    service = starting()
    with Client(service, name) as client:
        client.put([begin(name)])
        client.put([event(2)])
        service.kill()
        assert client.rest() == [{"closed": 1006}]
    service = starting()
    with Client(service, name) as client:
        assert client.last == 2
        assert client.put(numbered(2, event(2))) == {"type": "ack", "seq": 2}
        client.send(numbered(3, event(3), end(name)))
        assert client.rest() == [{"type": "ack", "seq": 3}, {"type": "ended", "seq": 3}, {"closed": 1000}]
    assert [child["name"] for child in service.document(name)["children"]] == ["2", "3"]
