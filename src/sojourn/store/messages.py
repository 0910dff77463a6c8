"""The file of live messages: how it is laid out, what can be read from it, and what may be wrong with it."""

import fcntl
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import Any

import xxhash

from sojourn.errors import SojournError, UsageError, as_ours, disk_full
from sojourn.store.files import sync
from sojourn.store.journals import Session, Standing, Stored

FILE = Path("live", "journal.sqlite")
"""Where a home keeps its journal."""

FORMAT = 1
"""How the file is laid out; it is kept as SQLite's `user_version`."""

PATIENCE = 5.0
"""Seconds to wait for somebody who writes to the file without our lock, say a person with SQLite's shell."""

_FEW, _LITTLE = 64, 64 << 10
"""Messages, and bytes, that are read in less time than it takes to hand them to a thread and back."""

_LAYOUT = f"""
begin immediate;
create table messages (
    place integer primary key autoincrement,
    session_id text not null,
    seq integer not null,
    content blob not null,
    digest blob not null,
    received_at integer not null,
    started_at integer,
    ended_at integer,
    events integer not null,
    key text,
    unique (session_id, seq)
);
create index starts on messages (started_at, session_id) where started_at is not null;
create unique index keys on messages (session_id, key) where key is not null;
create index ends on messages (session_id, ended_at) where ended_at is not null;
create table probe (number integer primary key, content blob not null);
pragma user_version = {FORMAT};
commit;
"""  # autoincrement: a place is never used again, or readers who are past it would miss what is there now

_STORED = "select place, session_id, seq, content, received_at, digest from messages"
_SESSION = """
select
    session_id,
    started_at,
    (select ended_at from messages as m where m.session_id = s.session_id and ended_at is not null) as ended_at,
    (select max(seq) from messages as m where m.session_id = s.session_id) as last,
    (select events from messages as m where m.session_id = s.session_id order by seq desc limit 1) as events
from messages as s
where started_at is not null
"""
_STANDING = """
select
    seq,
    (select content from messages as m where m.session_id = s.session_id and m.seq = 1) as first,
    (select digest from messages as m where m.session_id = s.session_id and m.seq = 1) as digest,
    exists (select 1 from messages as m where m.session_id = s.session_id and ended_at is not null) as is_ended,
    events
from messages as s
where session_id = ?
order by seq desc
limit 1
"""
_SESSIONS = f"""
select * from (
    {_SESSION} and (started_at, session_id) > (?, ?) and started_at < coalesce(?, 1 << 62)
    order by started_at, session_id
)
where coalesce((ended_at is null) = ?, true) limit ?
"""


class EmbeddedReader:
    """Reads a journal, also while another process writes it; one reading at a time.

    Every method raises `SojournError` where the file cannot be read or is damaged.
    """

    def __init__(self, path: Path) -> None:
        if not path.exists() or path.stat().st_size == 0:
            raise SojournError("no_journal", f"there is no journal at {path}: nothing was received there yet")
        self.path = path
        self._reading_lock = threading.Lock()
        self._reading = connect(path, "ro")

    def standing(self, session_id: str) -> Standing:
        """Where the session stands."""
        found = self._rows(_STANDING, session_id)
        if not found:
            return Standing()
        last, first, digest, is_ended, events = found[0]
        if digest_of(first) != digest:
            raise _damaged(self.path, f"message 1 of session {session_id} was altered")
        return Standing(last, first, bool(is_ended), events)

    def keyed(self, session_id: str, key: str) -> int | None:
        """The number of the session's message that was sent with *key*."""
        found = self._rows("select seq from messages where session_id = ? and key = ?", session_id, key)
        return int(found[0][0]) if found else None

    def messages(self, session_id: str) -> list[Stored]:
        """The messages of a session by number, from 1 on without a gap."""
        return self._stored(f"{_STORED} where session_id = ? order by seq", session_id)

    def at_once(self, session_id: str) -> list[Stored] | None:
        """The same if they hold little and nobody else is reading, else None."""
        if not self._reading_lock.acquire(blocking=False):
            return None
        try:
            found = self._read(
                f"{_STORED} where session_id = ? order by seq limit {_FEW + 1}", session_id, size=_LITTLE
            )
        finally:
            self._reading_lock.release()
        is_all = len(found) <= _FEW and sum(len(one.content) for one in found) < _LITTLE
        return found if is_all else None

    def message(self, session_id: str, seq: int) -> Stored | None:
        """One message of a session."""
        found = self._stored(f"{_STORED} where session_id = ? and seq = ?", session_id, seq)
        return found[0] if found else None

    def session(self, session_id: str) -> Session | None:
        """A session in short, if one of its messages opened it."""
        found = self._rows(f"{_SESSION} and session_id = ? order by seq limit 1", session_id)
        return Session(*found[0]) if found else None

    def since(self, place: int, size: int = 16 << 20) -> list[Stored]:
        """Messages after *place* (0: all) by place, until they hold *size* bytes; none when there are no more."""
        return self._stored(f"{_STORED} where place > ? order by place", place, size=size)

    def sessions(
        self,
        after: tuple[int, str] = (-(1 << 62), ""),
        before: int | None = None,
        *,
        is_open: bool | None = None,
        limit: int = 100,
    ) -> list[Session]:
        """A page of sessions by start and id, those *after* (start, id) that started *before* a time."""
        return [Session(*row) for row in self._rows(_SESSIONS, *after, before, is_open, limit)]

    def close(self) -> None:
        """Read no more."""
        with self._reading_lock:
            self._reading.close()

    def _rows(self, sql: str, *values: object) -> list[tuple[Any, ...]]:
        with self._reading_lock, faults(self.path):
            return self._reading.execute(sql, values).fetchall()

    def _stored(self, sql: str, *values: object, size: int | None = None) -> list[Stored]:
        with self._reading_lock:
            return self._read(sql, *values, size=size)

    def _read(self, sql: str, *values: object, size: int | None = None) -> list[Stored]:
        found, total = [], 0
        with faults(self.path), closing(self._reading.cursor()) as cursor:
            for *row, digest in cursor.execute(sql, values):
                found.append(message := Stored(*row))
                if digest_of(message.content) != digest:
                    raise _damaged(self.path, f"message {message.seq} of session {message.session_id} was altered")
                total += len(message.content)
                if size is not None and total >= size:
                    break
        return found


def digest_of(content: bytes) -> bytes:
    """What tells a message's content from another."""
    digest: bytes = xxhash.xxh3_128_digest(content)
    return digest


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Be the one who writes the journal; another is refused at once."""
    try:
        file = path.with_suffix(".lock").open("a")
    except OSError as error:
        raise UsageError("home_unusable", f"cannot write to {path.parent}: {error.strerror}") from error
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            said = "is written by another process; one at a time can"
            raise SojournError("journal_locked", f"the journal {path} {said}") from error
        yield


def connect(path: Path, mode: str) -> sqlite3.Connection:
    """The journal at *path*, opened as SQLite's *mode* says; raises `SojournError` for one of a newer version."""
    with faults(path), ExitStack() as stack:
        address = f"{path.absolute().as_uri()}?mode={mode}"
        connection = sqlite3.connect(address, uri=True, timeout=PATIENCE, isolation_level=None, check_same_thread=False)
        stack.callback(connection.close)
        found = connection.execute("pragma user_version").fetchone()[0]
        if found > FORMAT:
            said = f"was written by a newer Sojourn (format {found}, this one knows {FORMAT}); install that version"
            raise SojournError("newer_format", f"the journal {path} {said}")
        stack.pop_all()
    return connection


def lay_out(connection: sqlite3.Connection, path: Path) -> None:
    """Have commits be durable, and the tables and the file's name be there before the first of them."""
    with faults(path):
        connection.execute("pragma journal_mode = wal")
        connection.execute("pragma synchronous = full")
        connection.execute("pragma fullfsync = on")  # macOS: also out of the disk's own memory
        connection.execute("pragma secure_delete = on")
        if connection.execute("pragma user_version").fetchone()[0] == 0:
            connection.executescript(_LAYOUT)
        sync(path.parent)


@contextmanager
def faults(path: Path) -> Iterator[None]:
    """Say what SQLite complains about in a sentence of ours: raises `SojournError`."""
    try:
        yield
    except OSError as error:
        raise as_ours(error) from error
    except sqlite3.Error as error:
        code = getattr(error, "sqlite_errorcode", 0) & 0xFF
        if code == sqlite3.SQLITE_FULL:
            raise disk_full(f" ({path})") from error
        if code in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB):
            raise _damaged(path, str(error)) from error
        if code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
            raise SojournError("journal_locked", f"the journal {path} is held by another process") from error
        raise SojournError("journal_unusable", f"the journal {path} cannot be used: {error}") from error


def _damaged(path: Path, what: str) -> SojournError:
    return SojournError("journal_damaged", f"the journal {path} is damaged ({what}); bring it back from a backup")
