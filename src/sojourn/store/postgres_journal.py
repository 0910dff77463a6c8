"""The journal in PostgreSQL: live messages of several processes, durable before anybody is told.

One task, of an event loop in a thread, writes. While it waits for the database, messages gather; its next transaction
takes all of them.
"""

import asyncio
import logging
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager, suppress
from typing import Any

from sojourn.errors import SojournError, as_ours
from sojourn.store.journals import OVERHEAD, ROOM, Message, Settled, Standing, Told
from sojourn.store.judging import Batch, size_of
from sojourn.store.postgres_messages import PostgresJournalReader
from sojourn.store.postgres_writing import CHANNEL, Writer

PULSE = 2.0
"""Seconds after which a silent connection is asked whether it lives."""

Taken = Callable[[str], None]
"""Called on the journal's thread with a session that another process has claimed; it should hand on and return."""


class PostgresJournal(PostgresJournalReader):
    """Writes the journal in the database at *url*, together with other processes; at most *room* bytes wait here.

    After each commit *told* is called with what became of its messages, and *taken* with each session that another
    process claims; both on the journal's thread, so they should hand on and return, and not call the journal. Only
    *taken* may come late or never: what counts is told as ``taken_over``. Raises `SojournError` when the database
    cannot be reached, or its journal is of a newer version.
    """

    def __init__(self, url: str, told: Told, *, taken: Taken, room: int = ROOM) -> None:
        self._told, self._taken, self._room = told, taken, room
        self._holder = uuid.uuid4().hex
        self._queue: Batch = []
        self._claims: list[tuple[str, Future[Standing]]] = []
        self._waiting, self._failed, self._is_closing = 0, 0, False
        self._changing, self._changed = threading.Lock(), asyncio.Event()
        self._heard: set[asyncio.Task[None]] = set()
        super().__init__(url)
        self._written = asyncio.run_coroutine_threadsafe(self._write(), self._database.loop)

    @property
    def waiting(self) -> int:
        """Bytes that wait to be durable."""
        return self._waiting

    def claim(self, session_id: str) -> Standing:
        """Be the one who adds to the session from now on, and where it stands. Waits.

        What another process has on its way for it, is from now on refused there as ``taken_over``.
        """
        future: Future[Standing] = Future()
        with self._changing:
            self._check_open()
            self._claims.append((session_id, future))
            self._database.loop.call_soon_threadsafe(self._changed.set)
        return future.result()  # told in any case: each step of who writes ends in time

    def submit(self, message: Message, sender: object = None) -> None:
        """Have *message* stored; *sender* comes back with what became of it. From any thread, without waiting.

        A session's messages are stored in the order of their numbers, without a gap. Raises `SojournError`:
        ``overload`` when too much waits, ``closed``. Told later: ``other_content`` for a number that holds
        something else, ``gap`` for one whose predecessor is not stored, ``taken_over`` for a session that we have
        not claimed, or that another process has since, ``outcome_unknown`` when the database went away during the
        commit, or what keeps the journal from being written.
        """
        size = len(message.content) + OVERHEAD
        with self._changing:
            self._check_open()
            if self._waiting + size > self._room:
                raise SojournError("overload", f"more than {self._room} bytes wait to be stored; try again later")
            self._waiting += size
            self._queue.append((message, sender))
            if len(self._queue) == 1:
                self._database.loop.call_soon_threadsafe(self._changed.set)

    def forget(self, session_id: str) -> int:
        """Remove a session's messages, durably; how many they were. Waits.

        What is on its way meanwhile is refused as a ``gap``. Raises `SojournError` when it cannot be written.
        """
        return self._database.ask(self._writer.forget(session_id))

    def check(self) -> None:
        """Write something, as much as failed last; raises the `SojournError` that keeps us. Waits."""
        self._database.ask(self._writer.probe(self._failed))
        self._failed = 0

    def close(self) -> None:
        """Store what waits, tell it, and let go."""
        with self._changing:
            if self._is_closing:
                return
            self._is_closing = True
            self._database.loop.call_soon_threadsafe(self._changed.set)
        self._written.result()
        super().close()

    def _check_open(self) -> None:
        if self._is_closing:
            raise SojournError("closed", "the journal is closed")

    async def _prepare(self) -> None:
        self._writer = Writer(self._database, self._holder)
        try:
            await self._writer.prepare()
            await super()._prepare()
            connection = await self._listening()
        except BaseException:
            self._writer.let_go()
            raise
        self._listener = asyncio.create_task(self._listen(connection))

    async def _write(self) -> None:
        while not self._is_closing or self._queue or self._claims:
            await self._changed.wait()
            with self._changing:
                self._changed.clear()
                claims, self._claims = self._claims, []
                batch, self._queue = self._queue, []
            if claims:
                await self._claim(claims)
            if batch:
                await self._store(batch)
        self._writer.let_go()

    async def _claim(self, claims: list[tuple[str, "Future[Standing]"]]) -> None:
        try:
            standings = await self._writer.claim({session_id for session_id, _ in claims})
        except Exception as error:  # noqa: BLE001 - the one task that writes must outlive whatever a commit meets
            for _, future in claims:
                future.set_exception(as_ours(error))
        else:
            for session_id, future in claims:
                future.set_result(standings[session_id])

    async def _store(self, batch: Batch) -> None:
        began = time.perf_counter()
        try:
            stored, settled = await self._writer.store(batch)
            if stored:  # one that wrote nothing shows nothing
                self._failed = 0
        except Exception as error:  # noqa: BLE001 - as above
            self._failed, fault = size_of(batch), as_ours(error)
            settled = [Settled(message, sender, fault) for message, sender in batch]
        with self._changing:
            self._waiting -= size_of(batch)
        with _logged("what became of messages could not be told"):
            self._told(settled, time.perf_counter() - began)

    async def _listen(self, connection: Any) -> None:
        """Hear of claims; who was away for a while has missed some, which costs nothing but time."""
        while True:
            try:
                while True:
                    await asyncio.sleep(PULSE)
                    with self._database.faults():
                        await connection.execute("select 1")
            except SojournError:
                pass
            finally:
                connection.terminate()
            with suppress(SojournError):
                connection = await self._listening()

    async def _listening(self) -> Any:
        connection = await self._database.connect()
        with self._database.faults():
            await connection.add_listener(CHANNEL + self._holder, self._hear)
        return connection

    def _hear(self, _connection: object, _pid: int, _channel: str, session_id: str) -> None:
        task = asyncio.create_task(self._hand_on(session_id))
        self._heard.add(task)  # asyncio itself would let it be collected
        task.add_done_callback(self._heard.discard)

    async def _hand_on(self, session_id: str) -> None:
        with suppress(SojournError):
            found = await self._fetch("select holder from sojourn.live_claims where session_id = $1", session_id)
            if found and found[0][0] == self._holder:
                return  # we have claimed it again meanwhile: this is yesterday's news
        with _logged("a claim could not be handed on"):
            self._taken(session_id)


@contextmanager
def _logged(what: str) -> Iterator[None]:
    try:
        yield
    except Exception:
        logging.getLogger(__name__).exception(what)
