"""What the embedded journal's service makes of its disk: synced before it acknowledges; full, closed, another's."""

import os
import re
import resource
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.command import process
from tests.service.live.client import Client, begin, event, refusal
from tests.service.live.conftest import Start
from tests.service.live.killing import Killed
from tests.service.live.process import Service, start
from tests.store.places import Place


@pytest.fixture(scope="module")
def new_place(tmp_path_factory: pytest.TempPathFactory) -> Callable[[], Place]:
    """The disk of a database is not ours."""
    return lambda: Place(tmp_path_factory.mktemp("service") / "home")


def until(holds: Callable[[], object], seconds: float = 30) -> None:
    """Wait until something holds."""
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, "it never came to that"
        time.sleep(0.02)


def test_acknowledging_early_is_noticed(place: Place) -> None:
    """The control: a journal that acknowledges before its commit fails the test above."""
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
    (small / "home").mkdir()
    subprocess.run(["mount", "-o", "remount,ro", small], check=True)
    done = process("serve", "--home", small / "home", "--port", "0")
    assert done.status not in (0, 1)
    assert re.fullmatch(r"error: cannot make the folder \S+: Read-only file system \[home_unusable\]\n", done.err), (
        done.err
    )


def test_one_service_for_a_home(place: Place, starting: Start) -> None:
    """A second one is refused with a sentence; a port that is taken is, too."""
    service = starting()
    done = process("serve", *place.words, "--port", "0")
    assert done.status != 0
    assert "[journal_locked]" in done.err
    assert done.err.count("\n") == 1
    done = process("serve", "--home", place.home.parent / "other", "--port", service.port)
    assert done.status != 0
    assert "[cannot_listen]" in done.err
