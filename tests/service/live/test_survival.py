"""Acknowledged means durable: killed, traced, without room on the disk, and when it is told to end."""

import json
import os
import re
import resource
import shutil
import signal
import struct
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from random import Random
from typing import Any

import pytest

from tests.command import process
from tests.service.live.client import Client, begin, end, event, numbered, refusal
from tests.service.live.conftest import Start
from tests.service.live.killing import Killed
from tests.service.live.process import Service, start
from tests.service.live.raw import TEXT, Raw, frame
from tests.store.places import Place

ROUNDS = {True: 8, False: 3}  # in the embedded journal, in PostgreSQL; the long form is in soak/
MIB = 1 << 20


def until(holds: Callable[[], object], seconds: float = 30) -> None:
    """Wait until something holds."""
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, "it never came to that"
        time.sleep(0.02)


def only_embedded(place: Place) -> None:
    """Leave out what is about the embedded journal's file alone."""
    if place.url is not None:
        pytest.skip("left out: the disk of a database is not ours")


def test_killed_under_load(place: Place) -> None:
    """`kill -9`: nothing acknowledged is lost, and after going on every session has its messages once."""
    chance, killed = Random(5), Killed(place)
    for _ in range(ROUNDS[place.url is None]):
        killed.round(0.1 + chance.random() * 0.3)
    killed.look()
    assert killed.breaks == []
    assert sum(killed.acknowledged.values()) > 100


def test_acknowledging_early_is_noticed(place: Place) -> None:
    """The control: a journal that acknowledges before its commit fails the test above."""
    only_embedded(place)
    killed = Killed(place, "early")
    for _ in range(8):
        killed.round(0.3)
        if killed.breaks:
            break
    killed.look()
    assert killed.breaks != []
    assert all("lost" in one for one in killed.breaks)


def traced(place: Place, name: str, double: str | None = None) -> list[str]:
    """What a service does that takes 20 messages one by one: `sync` and `ack`, in order."""
    if shutil.which("strace") is None:
        pytest.skip("left out: there is no strace")
    place.home.parent.mkdir(parents=True, exist_ok=True)
    trace = place.home.parent / f"{name}.trace"
    calls = "trace=fsync,fdatasync,write,writev,sendto,sendmsg"
    wrap = ("strace", "-f", "-y", "-qq", "-s", "60", "-o", str(trace), "-e", calls)
    service = start(place, double=double, wrap=wrap)
    with Client(service, name) as client:
        client.put([begin(name)])
        for number in range(2, 21):
            assert client.put([event(number)]) == {"type": "ack", "seq": number}
    os.killpg(service.run.pid, signal.SIGTERM)
    service.run.wait(20)
    done = re.findall(r"(fsync|fdatasync)\(\d+<[^>]*journal\.sqlite-wal>|\\\"type\\\":\\\"(ack)", trace.read_text())
    return [ack or "sync" for _, ack in done]


def test_every_acknowledgement_follows_a_sync(place: Place) -> None:
    """A kill cannot show a missing sync: the system's calls do. Before each acknowledgement the log is synced."""
    only_embedded(place)
    before = " ".join(traced(place, "real")).split("ack")[:-1]
    assert len(before) == 20
    assert all("sync" in part for part in before)
    unsynced = " ".join(traced(Place(place.home.parent / "other"), "unsynced", "unsynced")).split("ack")[:-1]
    assert len(unsynced) == 20
    assert not any("sync" in part for part in unsynced[1:]), "the control: this test can fail"


@pytest.fixture
def small(tmp_path: Path) -> Iterator[Path]:
    """A small file system of its own."""
    (folder := tmp_path / "small").mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=16m", "tmpfs", folder], check=False).returncode:
        pytest.skip("left out: mounting a small file system needs root")
    yield folder
    subprocess.run(["umount", "-l", folder], check=True)


def trouble(service: Service, code: str) -> None:
    """What clients are told while the journal cannot be written: never an acknowledgement."""
    until(lambda: service.get("/health/ready").status == 503)
    found = service.get("/health/ready").json
    assert found["status"] == "unavailable"
    assert found["parts"]["journal"]["code"] == code
    assert found["parts"]["warehouse"] == "ok"
    assert service.get("/health/live").status == 200
    with Client(service, "a") as client:
        client.send([event(9, more="x" * 200_000)])
        assert refusal(client.rest()) == (code, "$", 1011)
    answered = service.post("a", [event(9, more="x" * 200_000)])
    assert (answered.status, answered.code, answered.headers["retry-after"]) == (503, code, "1")
    assert len(service.document("a")["children"]) == 1


def recovery(service: Service) -> None:
    """Without a restart, and without anything of what was refused."""
    until(lambda: service.get("/health/ready").status == 200)
    with Client(service, "a") as client:
        assert client.last == 1
        assert client.put([event(2, more="x" * 200_000)]) == {"type": "ack", "seq": 2}
    assert [child["name"] for child in service.document("a")["children"]] == ["1", "2"]


def test_a_full_disk(place: Place, small: Path) -> None:
    """Is said in /health/ready and to every client; what was stored can be read; it goes on when there is room."""
    only_embedded(place)
    service = start(Place(small / "home"))
    service.post("a", [begin("a"), event(1)])
    room = os.statvfs(small)
    filling = small / "filling"
    filling.write_bytes(bytes(room.f_bavail * room.f_frsize))
    assert service.post("a", [event(9, more="x" * 200_000)]).code == "disk_full"
    trouble(service, "disk_full")
    filling.unlink()
    recovery(service)
    assert service.stop() == 0


def test_files_that_may_not_grow(place: Place, starting: Start) -> None:
    """So it is with any other reason that the journal cannot be written for."""
    only_embedded(place)
    service = starting()
    service.post("a", [begin("a"), event(1)])
    _, hard = resource.prlimit(service.run.pid, resource.RLIMIT_FSIZE)
    resource.prlimit(service.run.pid, resource.RLIMIT_FSIZE, (60_000, hard))
    assert service.post("a", [event(9, more="x" * 200_000)]).code == "journal_unusable"
    trouble(service, "journal_unusable")
    resource.prlimit(service.run.pid, resource.RLIMIT_FSIZE, (hard, hard))
    recovery(service)
    assert service.stop() == 0


def test_a_home_that_is_read_only(place: Place, small: Path) -> None:
    """A service there does not begin, and says why in a sentence."""
    only_embedded(place)
    (small / "home").mkdir()
    subprocess.run(["mount", "-o", "remount,ro", small], check=True)
    done = process("serve", "--home", small / "home", "--port", "0")
    assert done.status not in (0, 1)
    assert re.fullmatch(r"error: cannot make the folder \S+: Read-only file system \[home_unusable\]\n", done.err), (
        done.err
    )


def test_one_service_for_a_home(place: Place, starting: Start) -> None:
    """A second one is refused with a sentence; a port that is taken is, too."""
    only_embedded(place)
    service = starting()
    done = process("serve", *place.words, "--port", "0")
    assert done.status != 0
    assert "[journal_locked]" in done.err
    assert done.err.count("\n") == 1
    done = process("serve", "--home", place.home.parent / "other", "--port", service.port)
    assert done.status != 0
    assert "[cannot_listen]" in done.err


def chatter(client: Raw) -> None:
    """Send until the connection breaks."""
    with suppress(OSError):
        for at in range(2, 1_000_000):
            client.socket.sendall(frame(TEXT, json.dumps([event(at)]).encode()))


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_going_down(starting: Start, place: Place, number: int) -> None:
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
        os.kill(service.run.pid, number)
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
    assert service.stop() == 0
    posting.join()
    assert answers == [200]
    assert service.said == []


def test_going_down_with_requests_that_never_end(starting: Start) -> None:
    """A body that does not come and a head that does not end: the one is answered, and neither is waited for."""
    service = starting()
    first = b"POST /v1/sessions/a/events HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
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
