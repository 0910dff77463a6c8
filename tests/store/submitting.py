"""A process that submits live messages and prints which ones it was told are stored, until it is killed.

    python -m tests.store.submitting PATH DOUBLE SESSIONS COUNT WINDOW

Each of SESSIONS threads goes on with its session where the journal's last message stands: it sends the last three
again, then COUNT new ones, with at most WINDOW on their way. A line of the output is `SESSION SEQ CODE`, CODE being
`stored` or an error's. DOUBLE is `-`, or one of `DOUBLES`: journals that break their promise.
"""

import os
import random
import sys
import threading
from pathlib import Path

from sojourn.store.journal import EmbeddedJournal
from sojourn.store.journals import Message, Settled


def content(session_id: str, seq: int) -> bytes:
    """What message *seq* of a session holds: always the same, never the same as another's."""
    return f'["{session_id}", {seq}, "{"x" * random.Random(f"{session_id} {seq}").randrange(1500)}"]'.encode()


def acknowledge(settled: list[Settled], _: float = 0) -> None:
    """Print what became of messages that somebody waits for."""
    mine = [one for one in settled if one.sender is not None]
    lines = [
        f"{one.message.session_id} {one.message.seq} {one.error.code if one.error else 'stored'}\n" for one in mine
    ]
    if lines:
        os.write(1, "".join(lines).encode())
    for one in mine:
        one.sender.release()


class Early(EmbeddedJournal):
    """Acknowledges what it has not yet committed."""

    def submit(self, message: Message, sender: object = None) -> None:
        acknowledge([Settled(message, sender)])
        super().submit(message)


class Unsynced(EmbeddedJournal):
    """Commits without waiting for the disk."""

    def check(self) -> None:
        self._writing.execute("pragma synchronous = off")


DOUBLES: dict[str, type[EmbeddedJournal]] = {"-": EmbeddedJournal, "early": Early, "unsynced": Unsynced}


def submit_all(journal: EmbeddedJournal, session_id: str, count: int, window: int) -> None:
    """Go on with a session."""
    last, free = journal.standing(session_id).last, threading.Semaphore(window)
    for seq in range(max(1, last - 2), last + count + 1):
        free.acquire()
        journal.submit(Message(session_id, seq, content(session_id, seq), 0), free)


def main(path: str, double: str, sessions: str, *numbers: str) -> None:
    """Submit from many threads."""
    count, window = map(int, numbers)
    journal = DOUBLES[double](Path(path), acknowledge)
    journal.check()
    threads = [
        threading.Thread(target=submit_all, args=(journal, f"s{number}", count, window))
        for number in range(int(sessions))
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    journal.close()


if __name__ == "__main__":
    main(*sys.argv[1:])
