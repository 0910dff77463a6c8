"""A process that submits live messages and prints which ones it was told are stored, until it is killed.

    python -m tests.store.submitting WHERE DOUBLE SESSIONS COUNT WINDOW

WHERE is a journal's file or a database's address. Each of SESSIONS threads claims its session and goes on where it
stands: it sends the last three messages again, then COUNT new ones, with at most WINDOW on their way; when one fails,
it begins anew like that. A line of the output is `SESSION SEQ CODE`, CODE being `stored` or an error's, or `lost` for
one that it was told is stored and that is not there when it begins anew. DOUBLE is `-`, or names a journal that breaks
its promise: `early` or `unsynced`.
"""

import os
import random
import sys
import threading
import time
from pathlib import Path
from typing import Any

from sojourn.errors import SojournError
from sojourn.store import connections
from sojourn.store.journal import EmbeddedJournal
from sojourn.store.journals import Journal, Message, Settled
from sojourn.store.postgres_journal import PostgresJournal


class Flow:
    """What one thread has on its way."""

    def __init__(self, window: int) -> None:
        self.window, self.free = window, threading.Semaphore(window)
        self.has_failed, self.stored = False, 0

    def drain(self) -> None:
        """Wait until nothing is on its way but one that was counted as free."""
        for _ in range(self.window - 1):
            self.free.acquire()
        for _ in range(self.window - 1):
            self.free.release()
        self.has_failed = False


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
        if one.error is not None:
            one.sender.has_failed = True
        else:
            one.sender.stored = max(one.sender.stored, one.message.seq)
        one.sender.free.release()


class Early:
    """Acknowledges what is not yet committed."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal

    def submit(self, message: Message, sender: object = None) -> None:
        acknowledge([Settled(message, sender)])
        self._journal.submit(message)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._journal, name)


def opened(where: str, double: str) -> Any:
    """The journal, or one that breaks its promise."""
    journal: PostgresJournal | EmbeddedJournal
    if where.startswith("postgresql:"):
        if double == "unsynced":
            connections._SETTINGS["synchronous_commit"] = "off"
        journal = PostgresJournal(where, acknowledge, taken=lambda _: None)
    else:
        journal = EmbeddedJournal(Path(where), acknowledge)
        if double == "unsynced":
            journal._writing.execute("pragma synchronous = off")
    return Early(journal) if double == "early" else journal


def claimed(journal: Journal, session_id: str) -> int:
    """The number of the session's last message, as soon as it can be told."""
    while True:
        try:
            return journal.claim(session_id).last
        except SojournError:
            time.sleep(0.02)


def submit_all(journal: Journal, session_id: str, count: int, window: int) -> None:
    """Go on with a session."""
    last, flow = claimed(journal, session_id), Flow(window)
    seq, end = max(1, last - 2), last + count
    while seq <= end:
        flow.free.acquire()
        if flow.has_failed:
            flow.drain()
            last = claimed(journal, session_id)
            if last < flow.stored:
                os.write(1, f"{session_id} {flow.stored} lost\n".encode())
            seq = max(1, last - 2)
        journal.submit(Message(session_id, seq, content(session_id, seq), 0), flow)
        seq += 1


def main(where: str, double: str, sessions: str, *numbers: str) -> None:
    """Submit from many threads."""
    count, window = map(int, numbers)
    journal = opened(where, double)
    if not where.startswith("postgresql:"):
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
