"""Runs that die: a process that, told a step on its standard input, forks one `sojourn` run that is killed there.

    python -m tests.store.dying DOUBLE WORDS...

A step is what changes a home or a database: a file is opened to be written, renamed or removed, a folder made, a
statement sent. The run of step N is killed right before its Nth. For each line `N` the answer is `killed` or, when
the run had fewer steps and came to its end, its exit status. DOUBLE is `-`, or one of `DOUBLES`: stores that
break their promise, to show that the tests would notice.
"""

import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import Any

from sojourn.cli import main
from sojourn.store import adbc, base, embedded, files, postgres, relations
from sojourn.store.base import Publication

_CHANGES = {"os.rename", "os.remove", "os.mkdir", "os.rmdir", "shutil.rmtree", "sojourn.statement"}


def die() -> None:
    """End this process as `kill -9` does."""
    os.kill(os.getpid(), signal.SIGKILL)


def die_at(step: int, home: str) -> None:
    """Have this process die right before its change number *step*."""
    steps = count(1)

    def watch(event: str, details: tuple[Any, ...]) -> None:
        writes = event == "open" and isinstance(details[2], int) and details[2] & (os.O_WRONLY | os.O_RDWR)
        concerns = event == "sojourn.statement" or (bool(details) and str(details[0]).startswith(home))
        if (writes or event in _CHANGES) and concerns and next(steps) == step:
            die()

    sys.addaudithook(watch)


def tell_statements() -> None:
    """Count statements and loads as steps."""
    execute, load = adbc.Session.execute, adbc.Session.load

    def executing(self: adbc.Session, sql: str, *parameters: str | int) -> None:
        sys.audit("sojourn.statement", sql)
        execute(self, sql, *parameters)

    def loading(self: adbc.Session, rows: Any, table: str) -> None:
        sys.audit("sojourn.statement", table)
        load(self, rows, table)

    adbc.Session.execute = executing  # type: ignore[method-assign]
    adbc.Session.load = loading  # type: ignore[method-assign]


def catalog_in_pieces() -> None:
    """The catalog is written where it stands: dies with half of it."""

    def write(path: Path, content: bytes) -> None:
        if path.name == "catalog.json":
            path.write_bytes(content[: len(content) // 2])
            die()
        files.write_whole(path, content)

    vars(embedded).update(write_whole=write)


def catalog_before_snapshot() -> None:
    """The catalog names a snapshot that is not there yet: dies before it is."""

    def move(paths: list[Path], folder: Path) -> None:
        if folder.parent.name != "warehouse":
            files.move(paths, folder)

    def write(path: Path, content: bytes) -> None:
        files.write_whole(path, content)
        if path.name == "catalog.json" and b"current" in content:
            die()

    vars(base).update(move=move)
    vars(embedded).update(write_whole=write)


def table_by_table() -> None:
    """PostgreSQL's tables are exchanged without a transaction: dies after the first."""

    @contextmanager
    def none(self: adbc.Session, *modes: str) -> Iterator[None]:
        yield

    attach = relations._attach

    def attach_and_die(session: adbc.Session, table: str, part: str) -> None:
        attach(session, table, part)
        die()

    def lock(*_: object) -> None:
        """Needs a transaction."""

    setattr(adbc.Session, "transaction", none)  # noqa: B010 - types aside
    vars(relations).update(_attach=attach_and_die, _lock=lock)


def listed_apart() -> None:
    """PostgreSQL's list of runs is committed before the tables: dies in between."""
    commit = postgres.Postgres._commit

    def commit_in_two(self: postgres.Postgres, publication: Publication, runs: list[str]) -> None:
        with adbc.connect(self.url) as session:
            relations.list_pipeline(session, publication, runs)
        die()
        commit(self, publication, runs)

    postgres.Postgres._commit = commit_in_two  # type: ignore[method-assign]


DOUBLES: dict[str, Callable[[], None]] = {
    "-": lambda: None,
    "catalog_in_pieces": catalog_in_pieces,
    "catalog_before_snapshot": catalog_before_snapshot,
    "table_by_table": table_by_table,
    "listed_apart": listed_apart,
}


def answer(step: int, words: list[str]) -> str:
    """Fork a run that dies at *step*; how it ended."""
    child = os.fork()
    if child == 0:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        die_at(step, words[words.index("--home") + 1])
        main(words)
        os._exit(0)
    _, status = os.waitpid(child, 0)
    return "killed" if os.WIFSIGNALED(status) else str(os.waitstatus_to_exitcode(status))


if __name__ == "__main__":
    tell_statements()
    DOUBLES[sys.argv[1]]()
    import sojourn.running  # noqa: F401 - here, so that no fork has to

    for line in sys.stdin:
        print(answer(int(line), sys.argv[2:]), flush=True)
