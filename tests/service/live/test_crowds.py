"""Many clients at once, one after the other, and against each other."""

import json
import random
import threading
import time
from contextlib import suppress
from typing import Any

import pytest
from websockets.exceptions import ConnectionClosed

from tests.service.live.client import Client, begin, end, event, numbered
from tests.service.live.conftest import Start
from tests.service.live.crowds import per_connection
from tests.service.live.process import Service
from tests.service.live.raw import TEXT, Raw, frame

SECONDS = 2.0


def test_many_idle_connections(starting: Start) -> None:
    """Each takes at most 40 KiB, others are served meanwhile, and nothing is left when they go."""
    service = starting()
    assert per_connection(service, 1000) <= 40 << 10
    assert service.stop() == 0
    assert service.said == []


def test_many_short_connections(starting: Start) -> None:
    """Thousands of clients and requests that come and go leave no memory behind, nor files."""
    service = starting()
    service.post("a", [begin("a")])

    def round_of(number: int) -> None:
        for at in range(number):
            with Raw(service) as client:
                client.open(f"short-{at}")
                if at % 2:
                    client.send(frame(TEXT, b"nonsense"))
                    client.closed()
        for _ in range(number // 4):
            service.get("/v1/sessions/a")

    round_of(1200)
    before, files = service.memory(), service.files()
    round_of(1800)
    assert service.memory() - before < 6 << 20  # not even 4 KiB each: some garbage waits to be collected
    time.sleep(0.2)
    assert service.files() <= files + 2
    assert service.counts()["sojourn_connections"] == 0


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

    def resend(self, _: str) -> None:
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


def test_requests_beside_a_socket(starting: Start) -> None:
    """Sessions of others go on undisturbed while requests add to many."""
    service = starting()
    done: list[int] = []

    def post(who: int) -> None:
        names = [f"p{who}-{number}" for number in range(20)]
        for one in names:
            lines = b"\n".join(json.dumps(message).encode() for message in ([begin(one)], [event(1)], [end(one)]))
            done.append(service.post(one, lines, Content_Type="application/x-ndjson").status)

    threads = [threading.Thread(target=post, args=(who,)) for who in range(4)]
    for thread in threads:
        thread.start()
    with Client(service, "s") as client:
        client.put([begin("s")])
        for seq in range(2, 200):
            assert client.put([event(seq)]) == {"type": "ack", "seq": seq}
    for thread in threads:
        thread.join()
    assert done == [200] * 80
    assert len(service.get("/v1/sessions?status=ended").json["sessions"]) == 80


@pytest.mark.parametrize("way", ["socket", "request"])
def test_too_much_waits(starting: Start, way: str) -> None:
    """More than may wait is refused, with the way to try again; what was acknowledged is there."""
    service = starting("--max-waiting", "40kB")
    service.post("a", [begin("a")])
    large = [event(2, more="x" * 60_000)]
    if way == "socket":
        with Client(service, "a") as client:
            client.send(large)
            error, closed = client.rest()[-2:]
            assert (error["code"], closed) == ("overload", {"closed": 1013})
    else:
        answered = service.post("a", large)
        assert (answered.status, answered.code, answered.headers["retry-after"]) == (503, "overload", "1")
    assert service.post("a", [event(2)]).json == {"type": "ack", "seq": 2}
