"""The embedded journal: live messages in one SQLite file. Whoever is told that one is stored can rely on it.

One thread writes. While it waits for the disk, messages gather; its next commit takes all of them. The event loop's
thread wants the interpreter meanwhile, and each statement of ours may have to wait for it to come back: a commit is
a few large statements, not one per message.
"""

import json
import logging
import os
import sqlite3
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from itertools import chain
from pathlib import Path

from sojourn.errors import SojournError, as_ours
from sojourn.store.files import make_folder
from sojourn.store.journals import OVERHEAD, ROOM, Message, Settled, Standing, Told
from sojourn.store.judging import COLUMNS, Batch, Row, judge, size_of
from sojourn.store.messages import EmbeddedReader, connect, faults, lay_out, locked

_ROW = f"({', '.join('?' * len(COLUMNS))})"
_INSERTS = {
    rows: f"insert into messages ({', '.join(COLUMNS)}) values {', '.join([_ROW] * rows)}"
    for rows in (1024, 512, 256, 128, 64, 32, 16, 8, 4, 2, 1)
}
_LASTS = """
select json_group_object(value, (select coalesce(max(seq), 0) from messages where session_id = value)) from json_each(?)
"""
_DIGEST = "select digest from messages where session_id = ? and seq = ?"


class EmbeddedJournal(EmbeddedReader):
    """Writes a journal, which it has alone; at most *room* bytes wait.

    After each commit *told* is called with what became of its messages, on the writing thread: it should hand on
    and return. A commit that fails is not tried again, but the next one is: writing goes on by itself once it can.
    Raises `SojournError` when the file is another process's, damaged, or of a newer version.
    """

    def __init__(self, path: Path, told: Told, *, room: int = ROOM) -> None:
        make_folder(path.parent)
        with ExitStack() as stack:
            stack.enter_context(locked(path))
            self._writing = stack.enter_context(closing(connect(path, "rwc")))
            lay_out(self._writing, path)
            self._identity = path.stat()
            super().__init__(path)
            self._held = stack.pop_all()
        self._told, self._room = told, room
        self._waiting, self._failed, self._is_closing = 0, 0, False
        self._queue: Batch = []
        self._changed, self._writing_lock = threading.Condition(), threading.Lock()
        self._writer = threading.Thread(target=self._write, name="journal", daemon=True)
        self._writer.start()

    @property
    def waiting(self) -> int:
        """Bytes that wait to be durable."""
        return self._waiting

    def claim(self, session_id: str) -> Standing:
        """Where the session stands: nobody else writes this file."""
        return self.standing(session_id)

    def submit(self, message: Message, sender: object = None) -> None:
        """Have *message* stored; *sender* comes back with what became of it. From any thread, without waiting.

        A session's messages are stored in the order of their numbers, without a gap. Raises `SojournError`:
        ``overload`` when too much waits, ``closed``. Told later: ``other_content`` for a number that holds
        something else, ``gap`` for one whose predecessor is not stored, or what keeps the journal from being written.
        """
        size = len(message.content) + OVERHEAD
        with self._changed:
            if self._is_closing:
                raise SojournError("closed", "the journal is closed")
            if self._waiting + size > self._room:
                raise SojournError("overload", f"more than {self._room} bytes wait to be stored; try again later")
            self._waiting += size
            self._queue.append((message, sender))
            self._changed.notify()

    def forget(self, session_id: str) -> int:
        """Remove a session's messages, durably; how many they were. Waits for the disk.

        What is on its way meanwhile is refused as a ``gap``. Raises `SojournError` when it cannot be written.
        """
        with self._transaction():
            return self._writing.execute("delete from messages where session_id = ?", (session_id,)).rowcount

    def check(self) -> None:
        """Write something, as much as failed last; raises the `SojournError` that keeps us. Waits for the disk."""
        with self._transaction():
            self._writing.execute("insert or replace into probe values (1, zeroblob(?))", (self._failed,))
        self._failed = 0

    def close(self) -> None:
        """Store what waits, tell it, and let go of the file."""
        with self._changed:
            self._is_closing = True
            self._changed.notify()
        self._writer.join()
        super().close()
        self._held.close()

    def _write(self) -> None:
        while batch := self._take():
            began = time.perf_counter()
            settled = self._commit(batch)
            with self._changed:
                self._waiting -= size_of(batch)
            try:
                self._told(settled, time.perf_counter() - began)
            except Exception:
                logging.getLogger(__name__).exception("what became of messages could not be told")

    def _take(self) -> Batch:
        with self._changed:
            self._changed.wait_for(lambda: self._queue or self._is_closing)
            batch, self._queue = self._queue, []
        return batch

    def _commit(self, batch: Batch) -> list[Settled]:
        try:
            with self._transaction():
                lasts = self._lasts({message.session_id for message, _ in batch})
                rows, settled = judge(batch, lasts, self._digest)
                self._insert(rows)
        except Exception as error:  # noqa: BLE001 - the one thread that writes must outlive whatever a commit meets
            self._failed, fault = size_of(batch), as_ours(error)
            return [Settled(message, sender, fault) for message, sender in batch]
        if rows:  # one that wrote nothing shows nothing
            self._failed = 0
        return settled

    def _lasts(self, session_ids: Iterable[str]) -> dict[str, int]:
        found = self._writing.execute(_LASTS, (json.dumps(list(session_ids)),)).fetchone()[0]
        lasts: dict[str, int] = json.loads(found)
        return lasts

    def _digest(self, *which: object) -> bytes | None:
        found: tuple[bytes] | None = self._writing.execute(_DIGEST, which).fetchone()
        return found and found[0]

    def _insert(self, rows: list[Row]) -> None:
        start = 0
        for count, sql in _INSERTS.items():
            while len(rows) - start >= count:
                self._writing.execute(sql, tuple(chain.from_iterable(rows[start : start + count])))
                start += count

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        """One commit, which is durable when this is left without an error."""
        with self._writing_lock, faults(self.path):
            if not self.path.exists() or not os.path.samestat(self.path.stat(), self._identity):
                raise SojournError("no_journal", f"the journal {self.path} was removed while in use; start anew")
            try:
                self._writing.execute("begin immediate")
                yield
                self._writing.execute("commit")
            except BaseException:
                with suppress(sqlite3.Error):
                    self._writing.execute("rollback")
                raise
