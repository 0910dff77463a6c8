"""Journals: where live messages become durable. What every one of them does, and what it hands out.

There are two: one SQLite file (`store.journal`), written by one process, and tables in PostgreSQL
(`store.postgres_journal`), written by several.
"""

from collections.abc import Callable
from typing import Any, NamedTuple, Protocol

from sojourn.errors import SojournError

ROOM = 64 << 20
"""Bytes that may wait to be stored."""

OVERHEAD = 500
"""Bytes that a waiting message takes beside its content, about."""


class Message(NamedTuple):
    """What a client sent, as it is to be kept; times in epoch microseconds.

    Who sends says which message opens its session (*started_at*) and which ends it (*ended_at*), how many
    events the session then has (*events*), and by what *key* the client will know the message again, if any.
    """

    session_id: str
    seq: int
    content: bytes
    received_at: int
    started_at: int | None = None
    ended_at: int | None = None
    events: int = 0
    key: str | None = None


class Stored(NamedTuple):
    """A message read back; *place* grows with each one stored, over all sessions."""

    place: int
    session_id: str
    seq: int
    content: bytes
    received_at: int


class Session(NamedTuple):
    """A session in short; *ended_at* is None while it is open, *last* the number of its last message."""

    session_id: str
    started_at: int
    ended_at: int | None
    last: int
    events: int


class Standing(NamedTuple):
    """Where a session stands: its *last* message's number (0: none), what its *first* one holds, and its count of
    *events*."""

    last: int = 0
    first: bytes = b""
    is_ended: bool = False
    events: int = 0


class Settled(NamedTuple):
    """What became of a message: durable, already so before (*is_known*), or not stored because of *error*."""

    message: Message
    sender: Any
    error: SojournError | None = None
    is_known: bool = False


Told = Callable[[list[Settled], float], None]
"""Called once per commit, on the thread that writes, with what became of its messages and the seconds it took."""


class JournalReader(Protocol):
    """Reads a journal, also while others write it. Every method may wait for the disk or the network, may be called
    from any thread, and raises `SojournError` where the journal cannot be read or is damaged."""

    def standing(self, session_id: str) -> Standing:
        """Where the session stands."""

    def messages(self, session_id: str) -> list[Stored]:
        """The messages of a session by number, from 1 on without a gap."""

    def at_once(self, session_id: str) -> list[Stored] | None:
        """The same if they are few and at hand, else None: it alone does not wait for others, or a network."""

    def message(self, session_id: str, seq: int) -> Stored | None:
        """One message of a session."""

    def keyed(self, session_id: str, key: str) -> int | None:
        """The number of the session's message that was sent with *key*."""

    def session(self, session_id: str) -> Session | None:
        """A session in short."""

    def sessions(
        self,
        after: tuple[int, str] = ...,
        before: int | None = None,
        *,
        is_open: bool | None = None,
        limit: int = 100,
    ) -> list[Session]:
        """A page of sessions by start and id, those *after* (start, id) that started *before* a time."""

    def since(self, place: int, size: int = ...) -> list[Stored]:
        """Messages after *place* (0: all) by place, until they hold *size* bytes; none when there are no more."""

    def close(self) -> None:
        """Read no more."""


class Journal(JournalReader, Protocol):
    """Writes a journal. A commit that fails is not tried again, but the next one is: writing goes on by itself once
    it can."""

    @property
    def waiting(self) -> int:
        """Bytes that wait to be durable."""

    def claim(self, session_id: str) -> Standing:
        """Be the one who adds to the session from now on, and where it stands. Waits.

        What another process has on its way for it, is from now on refused there as ``taken_over``.
        """

    def submit(self, message: Message, sender: object = None) -> None:
        """Have *message* stored; *sender* comes back with what became of it. From any thread, without waiting.

        A session's messages are stored in the order of their numbers, without a gap. Raises `SojournError`:
        ``overload`` when too much waits, ``closed``. Told later: ``other_content`` for a number that holds
        something else, ``gap`` for one whose predecessor is not stored, ``taken_over`` when another process has
        claimed the session, or what keeps the journal from being written; ``outcome_unknown`` where the message may
        be stored nevertheless.
        """

    def forget(self, session_id: str) -> int:
        """Remove a session's messages, durably; how many they were. Waits.

        What is on its way meanwhile is refused as a ``gap``.
        """

    def check(self) -> None:
        """Write something, as much as failed last; raises the `SojournError` that keeps us. Waits."""

    def close(self) -> None:
        """Store what waits, tell it, and let go."""
