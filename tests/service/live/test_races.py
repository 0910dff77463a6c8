"""Clients that want the same session at the same time."""

import random
import threading
import time
from contextlib import suppress
from typing import Any

from websockets.exceptions import ConnectionClosed

from tests.service.live.client import Client, begin, event, numbered
from tests.service.live.conftest import Start
from tests.service.live.process import Service

SECONDS = 1.5


class Fight:
    """Clients that take one session from each other again and again, and what each was told."""

    def __init__(self, service: Service, session_id: str) -> None:
        self.service, self.session_id = service, session_id
        self.acknowledged: dict[int, str] = {}
        self.faults: list[object] = []
        self.deadline = time.monotonic() + SECONDS

    def run(self, *roles: Any) -> None:
        """Have everybody fight at the same time."""
        threads = [threading.Thread(target=role, args=(f"{number}",)) for number, role in enumerate(roles)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert self.faults == []

    def stream(self, who: str) -> None:
        """Connect, send without waiting, count on what is acknowledged; again when taken over."""
        chance, count = random.Random(who), 0
        while time.monotonic() < self.deadline:
            with suppress(ConnectionClosed, OSError), Client(self.service, self.session_id) as client:
                if client.welcome.get("type") != "welcome":
                    self._fault(client.welcome)
                    continue
                sent: dict[int, str] = {}
                told = seq = client.last
                while time.monotonic() < self.deadline:
                    for _ in range(chance.randrange(1, 20)):
                        seq, count = seq + 1, count + 1
                        sent[seq] = f"{who}-{count}"
                        first = [begin(self.session_id)] if seq == 1 else []
                        client.send([*first, event(1, of=sent[seq])])
                    found = client.next()
                    if found.get("type") != "ack":
                        self._fault(found)
                        break
                    for number in range(told + 1, found["seq"] + 1):
                        self._acknowledge(number, sent[number])
                    told = found["seq"]

    def post(self, who: str) -> None:
        """The same by requests."""
        count = 0
        while time.monotonic() < self.deadline:
            count += 1
            answered = self.service.post(self.session_id, [event(1, of=f"{who}-{count}")])
            if answered.status == 200:
                self._acknowledge(answered.json["seq"], f"{who}-{count}")
            elif answered.code not in ("taken_over", "not_started", "gap"):
                self.faults.append(answered)

    def resend(self, _who: str) -> None:
        """Connect and send the first message again."""
        while time.monotonic() < self.deadline:
            with suppress(ConnectionClosed, OSError), Client(self.service, self.session_id) as client:
                children = self.service.document(self.session_id)["children"]
                for _ in range(5):
                    client.send(numbered(1, begin(self.session_id), children[0]))
                self._fault(client.next())

    def _fault(self, found: Any) -> None:
        allowed = found.get("type") == "ack" or found.get("code") in ("taken_over", "gap") or "closed" in found
        if not allowed:
            self.faults.append(found)

    def _acknowledge(self, number: int, content: str) -> None:
        if self.acknowledged.setdefault(number, content) != content:
            self.faults.append(f"message {number} was acknowledged as {self.acknowledged[number]} and as {content}")


def test_clients_that_fight_for_a_session(starting: Start, name: str) -> None:
    """Two sockets, one that sends again, and requests: one numbered stream, with all that was acknowledged."""
    service = starting()
    service.post(name, [begin(name), event(1, of="first")])
    fight = Fight(service, name)
    fight.run(fight.stream, fight.stream, fight.post, fight.resend)
    children = [child["of"] for child in service.document(name)["children"]]
    assert len(fight.acknowledged) > 20
    assert {number: children[number - 1] for number in fight.acknowledged} == fight.acknowledged
    assert len(set(children)) == len(children)
    with Client(service, name) as client:
        assert client.last == len(children)
    assert service.stop() == 0
    assert service.said == []


def test_removing_while_streaming(starting: Start, name: str) -> None:
    """Each time the stream begins anew; what is there is a whole session, and what is said of it is true."""
    service = starting()
    deadline = time.monotonic() + SECONDS
    faults: list[Any] = []
    codes: list[str] = []

    def stream() -> None:
        while time.monotonic() < deadline:
            with suppress(ConnectionClosed, OSError), Client(service, name) as client:
                if client.last:
                    faults.append(client.welcome)
                for seq in range(1, 100_000):
                    client.send(numbered(seq, *([begin(name)] if seq == 1 else []), event(seq)))
                    if seq % 10 == 0:
                        found = client.next()
                        if found.get("type") != "ack":
                            codes.append(found.get("code", ""))
                            break
                    if time.monotonic() > deadline:
                        break

    streaming = threading.Thread(target=stream)
    streaming.start()
    removed = 0
    while time.monotonic() < deadline - 0.3:
        time.sleep(0.03)
        removed += service.ask("DELETE", f"/v1/sessions/{name}").status == 204
        found = service.get(f"/v1/sessions/{name}")
        if found.status == 200:
            names = [int(child["name"]) for child in found.json["children"]]
            if sorted(names) != list(range(1, len(names) + 1)):
                faults.append(names)
    streaming.join()
    assert removed > 5
    assert faults == []
    assert set(codes) <= {"deleted", "gap", ""}
    assert "deleted" in codes
    assert service.stop() == 0
    assert service.said == []
