"""What tests of journals share: handing over messages and waiting, and killing processes that do."""

import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from sojourn.errors import SojournError
from sojourn.store.adbc import connect
from sojourn.store.journal import EmbeddedJournal
from sojourn.store.journals import Journal, JournalReader, Message, Settled
from sojourn.store.messages import FILE, EmbeddedReader
from sojourn.store.postgres_journal import PostgresJournal
from sojourn.store.postgres_messages import LOCK, PostgresJournalReader
from tests import postgres
from tests.store.places import end, until
from tests.store.submitting import content

SESSIONS = 6


def tell(settled: list[Settled], _: float = 0) -> None:
    """Give what became of messages to the futures that came with them."""
    for one in settled:
        if one.sender is not None:
            one.sender.set_result(one)


def message(session_id: str, seq: int, text: str = "[1]", key: str | None = None, **counts: int) -> Message:
    """A message with little to say."""
    return Message(session_id, seq, text.encode(), counts.pop("received_at", 0), key=key, **counts)


def put(journal: Journal, *messages: Message) -> list[str]:
    """Claim the sessions, submit messages and wait: `stored`, `known`, or the code of an error, for each."""
    if not isinstance(journal, EmbeddedJournal):  # who writes that one holds every session
        for session_id in {one.session_id for one in messages}:
            journal.claim(session_id)
    return put_unclaimed(journal, *messages)


def put_unclaimed(journal: Journal, *messages: Message) -> list[str]:
    """As `put`, for sessions that are held already, or shall not be."""
    return [said(future.result(20)) for future in put_soon(journal, *messages)]


def put_soon(journal: Journal, *messages: Message) -> list["Future[Settled]"]:
    """Submit messages; what will be told of them."""
    futures: list[Future[Settled]] = [Future() for _ in messages]
    for one, future in zip(messages, futures, strict=True):
        journal.submit(one, future)
    return futures


def said(settled: Settled) -> str:
    """In one word, what became of a message."""
    return settled.error.code if settled.error else "known" if settled.is_known else "stored"


@contextmanager
def raises(code: str) -> Iterator[None]:
    """Something fails with *code* and one sentence."""
    with pytest.raises(SojournError) as caught:
        yield
    assert caught.value.code == code
    assert "\n" not in str(caught.value)


def everything(journal: JournalReader, **how: int) -> list[tuple[str, int]]:
    """All messages by place, read piece by piece."""
    found, place = [], 0
    while piece := journal.since(place, **how):
        found += [(one.session_id, one.seq) for one in piece]
        place = piece[-1].place
    return found


@dataclass
class Embedded:
    """Opens embedded journals, at one place."""

    path: Path
    opened: list[Journal] = field(default_factory=list)

    def open(self, told: Any = tell, **settings: int) -> EmbeddedJournal:
        """A journal, which is closed when the test ends."""
        journal = EmbeddedJournal(self.path, told, **settings)
        self.opened.append(journal)
        return journal

    def read(self) -> EmbeddedReader:
        """A reader."""
        return EmbeddedReader(self.path)

    @contextmanager
    def held(self, journal: Any) -> Iterator[None]:
        """Nothing is committed meanwhile."""
        with journal._writing_lock:
            yield

    def fail(self, journal: Any, session_id: str) -> None:
        """Have a commit with a message of this session fail."""
        journal._writing.execute(
            f"create temp trigger fails before insert on messages when new.session_id = '{session_id}' "
            "begin select raise(abort, 'no'); end"
        )

    def fail_no_more(self, journal: Any) -> None:
        """Have commits work again."""
        journal._writing.execute("drop trigger fails")

    def alter(self, session_id: str) -> None:
        """Alter what a session's messages hold."""
        with closing(sqlite3.connect(self.path, isolation_level=None)) as connection:
            connection.execute("update messages set content = x'5b5d' where session_id = ?", (session_id,))


@dataclass
class InPostgres:
    """Opens journals in one database."""

    url: str
    opened: list[Journal] = field(default_factory=list)

    def open(self, told: Any = tell, taken: Any = None, **settings: int) -> PostgresJournal:
        """A journal, which is closed when the test ends."""
        journal = PostgresJournal(self.url, told, taken=taken or (lambda _: None), **settings)
        self.opened.append(journal)
        return journal

    def read(self) -> PostgresJournalReader:
        """A reader."""
        return PostgresJournalReader(self.url)

    @contextmanager
    def held(self, _: object = None) -> Iterator[None]:
        """Nothing is committed meanwhile."""
        with connect(self.url) as session:
            session.execute(f"select pg_advisory_lock({LOCK})")
            yield

    def fail(self, _: object, session_id: str) -> None:
        """Have a commit with a message of this session fail."""
        postgres.execute(
            self.url,
            f"alter table sojourn.live_messages add constraint fails check (session_id <> '{session_id}') not valid",
        )

    def fail_no_more(self, _: object) -> None:
        """Have commits work again."""
        postgres.execute(self.url, "alter table sojourn.live_messages drop constraint fails")

    def alter(self, session_id: str) -> None:
        """Alter what a session's messages hold."""
        postgres.execute(self.url, f"update sojourn.live_messages set content = '[]' where session_id = '{session_id}'")


def embedded_in(folder: Path) -> Embedded:
    """Where a home has its journal."""
    return Embedded(folder / FILE)


def submitting(where: Path | str, *words: object, double: str = "-") -> list[str]:
    """The command for a process that submits."""
    return [sys.executable, "-m", "tests.store.submitting", str(where), double, *map(str, words)]


@dataclass
class Killed:
    """Processes that submit to one journal, each killed; and every promise that was broken.

    *told* are the codes that a process may be told beside `stored`.
    """

    folder: Path
    double: str = "-"
    place: Embedded | InPostgres | None = None
    told: tuple[str, ...] = ()
    acknowledged: set[tuple[str, int]] = field(default_factory=set)
    breaks: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.place = self.place or Embedded(self.folder / "journal.sqlite")

    def round(self, seconds: float, meanwhile: Callable[[float], object] = time.sleep, processes: int = 1) -> None:
        """Kill them some *seconds* after their first acknowledgements, or after what happens *meanwhile*; look."""
        where = self.place.path if isinstance(self.place, Embedded) else self.place.url if self.place else ""
        command = submitting(where, SESSIONS, 1_000_000, 20, double=self.double)
        outs = [self.folder / f"acknowledged-{number}" for number in range(processes)]
        with ExitStack() as stack:
            files = [stack.enter_context(out.open("wb")) for out in outs]
            runs = [subprocess.Popen(command, stdout=file, start_new_session=True) for file in files]
            for run in runs:
                stack.callback(end, run)
            for out, run in zip(outs, runs, strict=True):
                until(lambda out=out: out.stat().st_size, run)  # type: ignore[misc]
            meanwhile(seconds)
        lines = [line for out in outs for line in out.read_text().splitlines(keepends=True) if line.endswith("\n")]
        self.take(line.split() for line in lines)
        self.look()

    def take(self, told: Iterator[list[str]]) -> None:
        """Note what processes were told."""
        for session_id, seq, code in told:
            if code == "stored":
                self.acknowledged.add((session_id, int(seq)))
            elif code not in self.told:
                self.breaks.append(f"message {seq} of {session_id} was told {code}")

    def look(self) -> None:
        """Every acknowledged message is there, each session has its messages once, with what they hold."""
        assert self.place is not None
        reader = self.place.read()
        try:
            found = {f"s{number}": reader.messages(f"s{number}") for number in range(SESSIONS)}
        finally:
            reader.close()
        for session_id, stored in found.items():
            if [one.seq for one in stored] != list(range(1, len(stored) + 1)):
                self.breaks.append(f"{session_id} has the messages {[one.seq for one in stored]}")
            if any(one.content != content(session_id, one.seq) for one in stored):
                self.breaks.append(f"{session_id} holds something else")
        there = {(session_id, one.seq) for session_id, stored in found.items() for one in stored}
        self.breaks += [f"{lost} is lost" for lost in sorted(self.acknowledged - there)]
