"""Sessions while somebody streams them: one at a time, each message judged, made durable, then acknowledged.

All of it runs on one event loop. Only the journal waits for the disk or the network, in threads of its own.
"""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Protocol

import msgspec

from sojourn.errors import SojournError, as_ours
from sojourn.live.protocol import Incoming, Known, State, resume, take
from sojourn.live.refusals import Refusal
from sojourn.live.room import Room
from sojourn.live.telemetry import Telemetry
from sojourn.reading.entries import fingerprint
from sojourn.store.journals import Journal, Message, Settled


class Limits(msgspec.Struct, frozen=True):
    """What clients may do. Bytes, seconds, and counts.

    *max_in_flight*: messages of one connection that wait to be durable; it is not read from beyond that.
    *max_waiting*: bytes of all messages that wait to be durable, and as much again for what is being received.
    """

    max_message: int = 1 << 20
    max_entries: int = 10_000
    max_in_flight: int = 64
    max_waiting: int = 64 << 20
    max_connections: int = 10_000
    max_body: int = 16 << 20
    idle: float = 300.0


class Client(Protocol):
    """Who streams a session; is told on the event loop, and never waits there."""

    def stored(self) -> None:
        """Messages became durable: `Held.durable` says up to which."""

    def failed(self, error: SojournError) -> None:
        """A message did not: the journal cannot be written, or somebody else has the session now."""

    def replaced(self, why: Refusal) -> None:
        """Another client has the session from now on; what was on its way becomes durable, unacknowledged."""


class Held:
    """A session that is streamed now: what it holds once all that is *in_flight* (number -> content) is durable.

    *durable* and *events* say what is so already.
    """

    __slots__ = ("client", "durable", "events", "in_flight", "session_id", "settled", "state", "turn", "users")

    def __init__(self, session_id: str) -> None:
        self.session_id = session_id
        self.state: State | None = None  # None: what the journal holds has to be looked up
        self.durable = self.events = 0
        self.client: Client | None = None
        self.in_flight: dict[int, bytes] = {}
        self.settled: asyncio.Future[None] | None = None
        self.turn: asyncio.Lock | None = None
        self.users = 0

    async def settle(self) -> None:
        """Wait until nothing is on its way; for who has the session's turn."""
        while self.in_flight:
            self.settled = asyncio.get_running_loop().create_future()
            await self.settled


_RECENT = 20  # sessions that are remembered for who watches
_TAKEN = Refusal("taken_over", "$", "a newer connection has this session")


class Ingest:
    """All sessions that are streamed to this process.

    *events* and *messages* became durable since it began; *recent* are the sessions heard of last, the newest last:
    how many events and messages they have, and whether they ended.
    """

    def __init__(self, journal: Journal, limits: Limits) -> None:
        self.journal, self.limits, self.telemetry = journal, limits, Telemetry()
        self.has_changed = asyncio.Event()
        self.room, self.queued = Room(limits.max_waiting), 0
        self.messages = self.events = 0
        self.recent: dict[str, tuple[int, int, bool]] = {}
        self._held: dict[str, Held] = {}

    @property
    def streamed(self) -> int:
        """How many sessions have somebody who streams them."""
        return sum(held.client is not None for held in self._held.values())

    def is_streamed(self, session_id: str) -> bool:
        """Whether somebody streams the session here."""
        held = self._held.get(session_id)
        return held is not None and held.client is not None

    @asynccontextmanager
    async def turn(self, session_id: str, why: Refusal = _TAKEN) -> AsyncIterator[Held]:
        """The session alone: whoever streamed it is replaced (*why*), and what was on its way is settled.

        Others wait meanwhile. Raises the `SojournError` that keeps the journal from being read.
        """
        held = self._held.setdefault(session_id, Held(session_id))
        held.users += 1
        try:
            held.turn = held.turn or asyncio.Lock()
            async with held.turn:
                await self._settle(held, why)
                yield held
        finally:
            self._let_go(held)

    async def join(self, session_id: str, client: Client) -> Held:
        """Have *client* stream the session, until it leaves or is replaced."""
        async with self.turn(session_id) as held:
            held.client = client
            held.users += 1
        return held

    def leave(self, held: Held, client: Client) -> None:
        """*client* streams no more; each that joined leaves once."""
        if held.client is client:
            held.client = None
        self._let_go(held)

    def offer(self, held: Held, message: Incoming, key: str | None = None) -> Known | Refusal | None:
        """Take the session's next *message*; None: it is on its way. Not for numbers up to the last: see `again`.

        Raises the `SojournError` of a journal that has no room.
        """
        assert held.state is not None, "who has the session has settled it"
        taken = take(held.state, message, _unknown)
        if isinstance(taken, Refusal):
            self.telemetry.refused.labels(taken.code).inc()
            return taken
        if isinstance(taken, Known):
            return taken
        now, state = time.time_ns() // 1000, taken.state
        self.journal.submit(
            Message(
                held.session_id,
                taken.number,
                message.entries,
                now,
                taken.started_at,
                taken.ended_at,
                state.events,
                key,
            ),
            held,
        )
        held.in_flight[taken.number] = message.entries
        held.state = state
        self.queued += 1
        return None

    def is_again(self, held: Held, message: Incoming) -> bool:
        """Whether the message has a number that the session has already."""
        return message.seq is not None and held.state is not None and message.seq <= held.state.last

    async def again(self, held: Held, message: Incoming) -> Known | Refusal:
        """What to say of a message whose number `is_again`: it is known, or holds something else."""
        assert held.state is not None
        assert message.seq is not None
        state, on_its_way = held.state, held.in_flight.get(message.seq)

        def known(number: int) -> bytes:
            stored = None if on_its_way is not None else self.journal.message(held.session_id, number)
            content = on_its_way if stored is None else stored.content
            return b"" if content is None else fingerprint(content)  # removed meanwhile: equal to nothing

        taken = await asyncio.to_thread(take, state, message, known)  # large messages take their time
        if isinstance(taken, Refusal):
            self.telemetry.refused.labels(taken.code).inc()
            return taken
        assert isinstance(taken, Known), "a number up to the last is never new"
        return taken

    async def forget(self, session_id: str) -> int:
        """Remove the session for good; how many messages it had."""
        why = Refusal("deleted", "$", "the session was deleted")
        async with self.turn(session_id, why) as held:
            held.state = None
            removed = await asyncio.to_thread(self.journal.forget, session_id)
            self.recent.pop(session_id, None)
            self.has_changed.set()
        return removed

    def told(self, batch: list[Settled], seconds: float) -> None:
        """Take what became of messages, once per commit, on the event loop."""
        touched: dict[Held, bool] = {}
        stored = events = 0
        for message, held, error, _ in batch:
            held.in_flight.pop(message.seq, None)
            if error is None:
                stored += 1
                events += message.events - held.events
                held.durable, held.events = message.seq, message.events
            else:
                self.telemetry.failed.labels(error.code).inc()
                self._fail(held, error)
            touched[held] = error is None
        self.queued -= len(batch)
        acks = 0
        for held, is_stored in touched.items():
            if is_stored and held.client is not None:
                held.client.stored()
                acks += 1
            if not held.in_flight:
                self._rest(held)
        self._count(stored, events, acks, seconds)
        self._remember([held for held in list(touched)[-_RECENT:] if touched[held]])

    def taken(self, session_id: str) -> None:
        """Another process has the session from now on."""
        held = self._held.get(session_id)
        if held is not None:
            held.state = None
            self._replace(held, _TAKEN)

    def _count(self, messages: int, events: int, acks: int, seconds: float) -> None:
        told = self.telemetry
        told.messages.inc(messages)
        told.events.inc(events)
        told.acks.inc(acks)
        told.commit_seconds.observe(seconds)
        self.messages += messages
        self.events += events
        if messages:
            self.has_changed.set()

    def _remember(self, heard: list[Held]) -> None:
        """Keep the sessions heard of last: how many events and messages they have, and whether they ended."""
        for held in heard:
            self.recent.pop(held.session_id, None)
            is_ended = held.state is not None and held.state.ended and held.state.last == held.durable
            self.recent[held.session_id] = held.events, held.durable, is_ended
        while len(self.recent) > _RECENT:
            del self.recent[next(iter(self.recent))]

    async def _settle(self, held: Held, why: Refusal) -> None:
        """Have the session be nobody's, wait until nothing is on its way, and know what it holds."""
        self._replace(held, why)
        await held.settle()
        if held.state is None:
            held.state = await asyncio.to_thread(self._claimed, held.session_id)
            held.durable, held.events = held.state.last, held.state.events

    def _claimed(self, session_id: str) -> State:
        """What the session holds, which is ours from now on. Waits, and reads a first message, which may be large."""
        last, first, is_ended, events = self.journal.claim(session_id)
        return resume(last, first, ended=is_ended, events=events) if last else State()

    def _rest(self, held: Held) -> None:
        """Nothing of the session is on its way any more."""
        if held.settled is not None and not held.settled.done():
            held.settled.set_result(None)
        if not held.users:
            self._held.pop(held.session_id, None)

    def _replace(self, held: Held, why: Refusal) -> None:
        if held.client is not None:
            client, held.client = held.client, None
            client.replaced(why)

    def _fail(self, held: Held, error: SojournError) -> None:
        """What the session holds is the journal's to say again."""
        held.state = None
        client, held.client = held.client, None
        if client is not None:
            client.failed(as_ours(error))

    def _let_go(self, held: Held) -> None:
        held.users -= 1
        if not held.users and not held.in_flight:
            self._held.pop(held.session_id, None)


def _unknown(number: int) -> bytes:
    raise AssertionError(f"message {number} is known: ask `again`")
