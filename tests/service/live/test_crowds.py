"""Many clients at once, and one after the other."""

import json
import threading
import time
from collections.abc import Callable
from contextlib import suppress

import pytest
from websockets.exceptions import ConnectionClosed

from tests.service.live.client import Client, begin, end, event
from tests.service.live.conftest import Start
from tests.service.live.crowds import per_connection
from tests.service.live.raw import TEXT, Raw, frame
from tests.store.places import Place


@pytest.fixture(scope="module")
def new_place(tmp_path_factory: pytest.TempPathFactory) -> Callable[[], Place]:
    """One kind of journal is enough: what is tested here lies before it."""
    return lambda: Place(tmp_path_factory.mktemp("service") / "home")


def test_many_idle_connections(starting: Start) -> None:
    """Each takes at most 40 KiB, others are served meanwhile, and nothing is left when they go."""
    service = starting()
    assert per_connection(service, 1000) <= 40 << 10
    assert service.stop() == 0
    assert service.said == []


def test_many_short_connections(starting: Start) -> None:
    """Clients and requests that come and go leave no memory behind, nor files."""
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

    round_of(500)
    before, files = service.memory(), service.files()
    round_of(800)
    assert (
        service.memory() - before < 12 << 20
    )  # some garbage waits to be collected; a connection that stays takes twice as much
    time.sleep(0.2)
    assert service.files() <= files + 2
    assert service.counts()["sojourn_connections"] == 0


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
    service = starting("--max-waiting", "100kB", "--max-message", "100kB", "--max-body", "100kB")
    service.post("a", [begin("a")])
    large = json.dumps([event(2, more="x" * 33_000)]).encode() + b"\n"
    if way == "socket":
        with Client(service, "a") as client:
            with suppress(ConnectionClosed):
                for _ in range(40):
                    client.send(large.decode())
            error, closed = client.rest()[-2:]
            assert (error["code"], closed) == ("overload", {"closed": 1013})
    else:
        answered = service.post("a", large * 3, Content_Type="application/x-ndjson")
        assert (answered.status, answered.code, answered.headers["retry-after"]) == (503, "overload", "1")
    last = len(service.document("a")["children"]) + 1
    assert service.post("a", [event(2)]).json == {"type": "ack", "seq": last + 1}
