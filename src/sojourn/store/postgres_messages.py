"""Live messages in a PostgreSQL database: how its tables are laid out, and what can be read from them."""

from contextlib import suppress
from typing import Any

import asyncpg

from sojourn.errors import SojournError, UsageError
from sojourn.store.connections import Database
from sojourn.store.journals import Session, Standing, Stored
from sojourn.store.messages import digest_of

FORMAT = 1
"""How the tables are laid out."""

LOCK = 7_030_541_202
"""The advisory lock of whoever writes live messages, one for all processes."""

BEGIN = f"begin isolation level read committed read write; select pg_advisory_xact_lock({LOCK})"
"""Begins a transaction that sees everything that ended before it, and that no other one of ours overlaps.

Places are numbered in the order of commits because of it: whoever is past one misses nothing before it. A former
holder's messages are stored before another's claim, or refused after it. And nobody waits for each other in a ring.
"""

_LAYOUT = f"""
create table sojourn.live_format (format bigint not null);
insert into sojourn.live_format values ({FORMAT});
create table sojourn.live_messages (
    place bigint generated always as identity primary key,
    session_id text collate "C" not null,
    seq bigint not null,
    content bytea not null,
    digest bytea not null,
    received_at bigint not null,
    started_at bigint,
    ended_at bigint,
    events bigint not null,
    key text collate "C",
    unique (session_id, seq)
);
create index live_starts on sojourn.live_messages (started_at, session_id) where started_at is not null;
create unique index live_keys on sojourn.live_messages (session_id, key) where key is not null;
create index live_ends on sojourn.live_messages (session_id, ended_at) where ended_at is not null;
create table sojourn.live_claims (session_id text collate "C" primary key, holder text not null);
create table sojourn.live_probe (number bigint primary key, content bytea not null);
alter table sojourn.live_probe alter column content set storage external;
"""  # external: zeros are not packed, a probe takes the room that it asks for

# One value from a query that is for one session: such a query is always answered from an index.
_STORED = "select place, session_id, seq, content, received_at, digest from sojourn.live_messages"
_ENDED = (
    "select min(ended_at) from sojourn.live_messages as m where m.session_id = s.session_id and ended_at is not null"
)
_LAST = "select {} from sojourn.live_messages as m where m.session_id = s.session_id order by seq desc limit 1"
_FIRST = "select {} from sojourn.live_messages as m where m.session_id = s.session_id and m.seq = 1"
_SESSION = f"""
select
    session_id,
    started_at,
    ({_ENDED}) as ended_at,
    ({_LAST.format("seq")}) as last,
    ({_LAST.format("events")}) as events
from sojourn.live_messages as s
where started_at is not null
"""
_SESSIONS = f"""
select * from (
    {_SESSION} and (started_at, session_id) > ($1, $2) and started_at < coalesce($3, 1::bigint << 62)
    order by started_at, session_id
) as page
where coalesce((ended_at is null) = $4, true) limit $5
"""
STANDINGS = f"""
select session_id, ({_LAST.format("seq")}), ({_FIRST.format("content")}), ({_FIRST.format("digest")}),
    ({_ENDED}) is not null, ({_LAST.format("events")})
from unnest($1::text[]) as s (session_id)
"""
_SINCE = f"""
with next as (
    select place, sum(octet_length(content)) over (order by place) - octet_length(content) as before
    from (select place, content from sojourn.live_messages where place > $1 order by place limit 20000) as page
)
{_STORED} where place > $1 and place <= (select max(place) from next where before < $2) order by place
"""


class PostgresJournalReader:
    """Reads the journal in the database at *url*, also while processes write it; a few readings at a time.

    Every method raises `SojournError` where the database cannot be reached or a message was altered.
    """

    def __init__(self, url: str) -> None:
        self._database = Database(url)
        try:
            self._database.ask(self._prepare())
        except BaseException:
            self._database.close()
            raise

    def standing(self, session_id: str) -> Standing:
        """Where the session stands."""
        return standing_of(self._rows(STANDINGS, [session_id])[0])

    def keyed(self, session_id: str, key: str) -> int | None:
        """The number of the session's message that was sent with *key*."""
        found = self._rows("select seq from sojourn.live_messages where session_id = $1 and key = $2", session_id, key)
        return int(found[0][0]) if found else None

    def messages(self, session_id: str) -> list[Stored]:
        """The messages of a session by number, from 1 on without a gap."""
        return self._stored(f"{_STORED} where session_id = $1 order by seq", session_id)

    def at_once(self, session_id: str) -> list[Stored] | None:  # noqa: ARG002 - a database is never at hand
        """None: a database has to be asked."""
        return None

    def message(self, session_id: str, seq: int) -> Stored | None:
        """One message of a session."""
        found = self._stored(f"{_STORED} where session_id = $1 and seq = $2", session_id, seq)
        return found[0] if found else None

    def session(self, session_id: str) -> Session | None:
        """A session in short, if one of its messages opened it."""
        found = self._rows(f"{_SESSION} and session_id = $1 order by seq limit 1", session_id)
        return Session(*found[0]) if found else None

    def since(self, place: int, size: int = 16 << 20) -> list[Stored]:
        """Messages after *place* (0: all) by place, until they hold *size* bytes or are many; none when there are no
        more."""
        return self._stored(_SINCE, place, size)

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
        self._database.close()

    async def _prepare(self) -> None:
        async with self._database.reading() as connection:
            await _check_format(connection)

    def _rows(self, sql: str, *values: object) -> list[Any]:
        return self._database.ask(self._fetch(sql, *values))

    async def _fetch(self, sql: str, *values: object) -> list[Any]:
        async with self._database.reading() as connection:
            found: list[Any] = await connection.fetch(sql, *values)
            return found

    def _stored(self, sql: str, *values: object) -> list[Stored]:
        found = []
        for *row, digest in self._rows(sql, *values):
            found.append(message := Stored(*row))
            _check_digest(message.session_id, message.seq, message.content, digest)
        return found


async def lay_out(connection: Any) -> None:
    """Have the tables be there; processes may do so at once. Raises `SojournError` for those of a newer version."""
    if await connection.fetchval("show server_encoding") != "UTF8":
        raise UsageError("bad_encoding", "the database's encoding is not UTF8; make one with: createdb -E UTF8 NAME")
    # asked first: `if not exists` demands the right to create also where there is nothing to create
    if not await connection.fetchval("select to_regnamespace('sojourn') is not null"):
        with suppress(asyncpg.DuplicateSchemaError, asyncpg.UniqueViolationError):  # another was quicker
            await connection.execute("create schema sojourn")
    await connection.execute(BEGIN)
    if not await connection.fetchval("select to_regclass('sojourn.live_format') is not null"):
        await connection.execute(_LAYOUT)
    await _check_format(connection)
    await connection.execute("commit")


def standing_of(row: Any) -> Standing:
    """Where the session of a row of `STANDINGS` stands."""
    session_id, last, first, digest, is_ended, events = row
    if last is None:
        return Standing()
    _check_digest(session_id, 1, first, digest)
    return Standing(last, first, is_ended, events)


async def _check_format(connection: Any) -> None:
    found = await connection.fetchval("select max(format) from sojourn.live_format")
    if found > FORMAT:
        said = f"was written by a newer Sojourn (format {found}, this one knows {FORMAT}); install that version"
        raise SojournError("newer_format", f"the journal in this database {said}")


def _check_digest(session_id: str, seq: int, content: bytes | None, digest: bytes | None) -> None:
    if content is None or digest_of(content) != digest:
        what = f"message {seq} of session {session_id} was altered"
        raise SojournError("journal_damaged", f"the journal is damaged ({what}); bring it back from a backup")
