"""The service as a process of its own, for tests: begun, asked, killed."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

from tests.store.places import Place, end, hear_signals

_PORTS = range(20_000, 32_000)
_READY = 60.0
_BEGINNING = re.compile(
    r"^serving on http://\S+ \(documentation: http://\S+/docs\); Ctrl-C ends it$"
    r"|fsync = off"  # so are the databases of tests
)

STARTED: list[subprocess.Popen[bytes]] = []
"""Processes that must not outlive the tests that began them."""


@dataclass(frozen=True)
class Answer:
    """What an HTTP request was answered."""

    status: int
    headers: Mapping[str, str]
    content: bytes

    @property
    def json(self) -> Any:
        """The JSON value that it is."""
        return json.loads(self.content)

    @property
    def code(self) -> str:
        """The code of the error that it is, which has the one shape of all errors."""
        error = self.json
        assert set(error) >= {"type", "code", "path", "message"}, error
        assert error["type"] == "error"
        assert error["message"], error
        code: str = error["code"]
        return code


@dataclass
class Service:
    """A running `sojourn serve`."""

    place: Place
    port: int
    run: subprocess.Popen[bytes]
    log: Path
    headers: dict[str, str] = field(default_factory=dict)

    def ask(self, method: str, path: str, content: Any = None, **headers: str) -> Answer:
        """Send a request (a *content* that is not bytes as JSON), and wait for its answer."""
        connection = HTTPConnection("127.0.0.1", self.port, timeout=20)
        given = {name.replace("_", "-"): value for name, value in headers.items()}
        if content is not None:
            given.setdefault("Content-Type", "application/json")
            content = content if isinstance(content, bytes) else json.dumps(content).encode()
        try:
            connection.request(method, path, content, self.headers | given)
            answered = connection.getresponse()
            return Answer(answered.status, {k.lower(): v for k, v in answered.getheaders()}, answered.read())
        finally:
            connection.close()

    def get(self, path: str, **headers: str) -> Answer:
        """What a GET is answered."""
        return self.ask("GET", path, **headers)

    def post(self, session_id: str, content: Any, **headers: str) -> Answer:
        """What adding to a session is answered."""
        return self.ask("POST", f"/v1/sessions/{session_id}/events", content, **headers)

    def document(self, session_id: str) -> Any:
        """A session's document."""
        found = self.get(f"/v1/sessions/{session_id}")
        assert found.status == 200, found
        return found.json

    def is_ready(self) -> bool:
        """Whether it says so."""
        with suppress(OSError):
            return self.get("/health/ready").status == 200
        return False

    def counts(self) -> dict[str, float]:
        """What it has counted, by the name in the text form of Prometheus."""
        lines = self.get("/telemetry").content.decode().splitlines()
        pairs = (line.rsplit(" ", 1) for line in lines if not line.startswith("#"))
        return {name: float(value) for name, value in pairs}

    def memory(self) -> int:
        """Bytes of the process that are in memory."""
        return int(Path(f"/proc/{self.run.pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")

    def most_memory(self) -> int:
        """The same, at most so far."""
        status = Path(f"/proc/{self.run.pid}/status").read_text()
        return int(status.partition("VmHWM:")[2].split()[0]) << 10

    def files(self) -> int:
        """How many files and sockets the process has open."""
        return len(list(Path(f"/proc/{self.run.pid}/fd").iterdir()))

    def kill(self) -> None:
        """`kill -9`."""
        os.killpg(self.run.pid, signal.SIGKILL)
        self.run.wait()

    def stop(self, patience: float = 30) -> int:
        """SIGTERM; the exit status."""
        self.run.terminate()
        return self.run.wait(patience)

    @property
    def said(self) -> list[str]:
        """The lines of its standard error, but for those of every beginning."""
        return [line for line in self.log.read_text().splitlines() if not _BEGINNING.search(line)]


def free_port() -> int:
    """A port on loopback that nobody has, below those that the system gives to clients."""
    start = os.getpid() * 7919 + time.monotonic_ns() // 1000
    for step in range(200):
        port = _PORTS[(start + step * 31) % len(_PORTS)]
        with socket.socket() as trying, suppress(OSError):
            trying.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            trying.bind(("127.0.0.1", port))
            return port
    raise AssertionError("there is no free port")


def start(
    place: Place,
    *options: object,
    port: int | None = None,
    env: Mapping[str, str] | None = None,
    double: str | None = None,
    wrap: tuple[str, ...] = (),
    **how: Any,
) -> Service:
    """Begin `sojourn serve`, or a *double* of it, in a session of its own, and wait until it answers."""
    place.home.mkdir(parents=True, exist_ok=True)
    log = place.home.parent / f"{place.home.name}-{time.monotonic_ns()}.log"
    port = free_port() if port is None else port
    words = ["serve", "--port", port, *place.words, *options]
    if "--publish-every" not in options:
        words += ["--publish-every", "0"]
    module = ["sojourn"] if double is None else ["tests.service.live.doubles", double]
    with log.open("wb") as err:
        run = subprocess.Popen(
            [*wrap, sys.executable, "-m", *module, *map(str, words)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=err,
            env={**os.environ, "SOJOURN_TOKENS": "", **(env or {})},
            start_new_session=True,
            **{"preexec_fn": hear_signals, **how},
        )
    STARTED.append(run)
    service = Service(place, port, run, log)
    deadline = time.monotonic() + _READY
    while not _answers(service):
        if run.poll() is not None or time.monotonic() > deadline:
            raise AssertionError(f"it did not begin: {log.read_text()}")
        time.sleep(0.02)
    return service


def _answers(service: Service) -> bool:
    with suppress(OSError):
        return service.get("/health/live").status == 200
    return False


@contextmanager
def serving(place: Place, *options: object, **how: Any) -> Iterator[Service]:
    """A service that is there meanwhile."""
    service = start(place, *options, **how)
    try:
        yield service
    finally:
        end(service.run)
