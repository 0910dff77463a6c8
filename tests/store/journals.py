"""What tests of journals share: handing over messages and waiting, and killing a process that does."""

import subprocess
import sys
import time
from concurrent.futures import Future
from dataclasses import dataclass, field
from pathlib import Path

from sojourn.store.journal import EmbeddedJournal
from sojourn.store.journals import Message, Settled
from sojourn.store.messages import EmbeddedReader
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


def put(journal: EmbeddedJournal, *messages: Message) -> list[str]:
    """Submit messages and wait: `stored`, `known`, or the code of an error, for each."""
    return [said(future.result(20)) for future in put_soon(journal, *messages)]


def put_soon(journal: EmbeddedJournal, *messages: Message) -> list["Future[Settled]"]:
    """Submit messages; what will be told of them."""
    futures: list[Future[Settled]] = [Future() for _ in messages]
    for one, future in zip(messages, futures, strict=True):
        journal.submit(one, future)
    return futures


def said(settled: Settled) -> str:
    """In one word, what became of a message."""
    return settled.error.code if settled.error else "known" if settled.is_known else "stored"


def submitting(path: Path, *words: object, double: str = "-") -> list[str]:
    """The command for a process that submits."""
    return [sys.executable, "-m", "tests.store.submitting", str(path), double, *map(str, words)]


@dataclass
class Killed:
    """Processes that submit to one journal, one after the other, each killed; and every promise that was broken."""

    folder: Path
    double: str = "-"
    acknowledged: set[tuple[str, int]] = field(default_factory=set)
    breaks: list[str] = field(default_factory=list)

    def round(self, seconds: float) -> None:
        """Kill one, some *seconds* after its first acknowledgement, and look at what is there."""
        out = self.folder / "acknowledged"
        command = submitting(self.folder / "journal.sqlite", SESSIONS, 1_000_000, 20, double=self.double)
        with out.open("wb") as file, subprocess.Popen(command, stdout=file, start_new_session=True) as run:
            until(lambda: out.stat().st_size, run)
            time.sleep(seconds)
            end(run)
        told = [line.split() for line in out.read_text().splitlines(keepends=True) if line.endswith("\n")]
        self.breaks += [f"{words} was told" for words in told if words[2] != "stored"]
        self.acknowledged |= {(session_id, int(seq)) for session_id, seq, _ in told}
        self.look()

    def look(self) -> None:
        """Every acknowledged message is there, each session has its messages once, with what they hold."""
        reader = EmbeddedReader(self.folder / "journal.sqlite")
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
