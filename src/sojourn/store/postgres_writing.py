"""What a process writes to a PostgreSQL journal: each of these is one transaction, durable when it is left.

A session has a holder, the process that may add to it. Who claims it becomes the next; the former is notified, and
refused in any case.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from typing import Any

from sojourn.errors import SojournError
from sojourn.store.connections import PATIENCE, Database
from sojourn.store.journals import Settled, Standing
from sojourn.store.judging import COLUMNS, Batch, judge
from sojourn.store.postgres_messages import BEGIN, STANDINGS, lay_out, standing_of

CHANNEL = "sojourn_live_"
"""What a holder listens on for sessions that others claim, before its name."""

_STATES = """
select
    session_id,
    (select holder from sojourn.live_claims as c where c.session_id = s.session_id),
    coalesce(
        (select seq from sojourn.live_messages as m where m.session_id = s.session_id order by seq desc limit 1), 0
    )
from unnest($1::text[]) as s (session_id)
"""
_DIGESTS = """
select
    session_id,
    seq,
    (select digest from sojourn.live_messages as m where m.session_id = s.session_id and m.seq = s.seq)
from unnest($1::text[], $2::bigint[]) as s (session_id, seq)
"""
_NOTIFY = f"""
select pg_notify('{CHANNEL}' || holder, session_id) from sojourn.live_claims
where session_id = any($1::text[]) and holder <> $2
"""
_CLAIM = """
insert into sojourn.live_claims as c (session_id, holder)
select session_id, $2 from unnest($1::text[]) as s (session_id)
on conflict (session_id) do update set holder = excluded.holder where c.holder <> excluded.holder
"""
_PROBE = "insert into sojourn.live_probe values (1, $1) on conflict (number) do update set content = excluded.content"
_FORGET = """
with unclaimed as (delete from sojourn.live_claims where session_id = $1)
delete from sojourn.live_messages where session_id = $1
"""


class Writer:
    """Writes as *holder*, through one connection; one transaction at a time.

    A connection whose transaction failed is not used again: the next transaction begins with a new one.
    """

    def __init__(self, database: Database, holder: str) -> None:
        self._database, self._holder = database, holder
        self._turn = asyncio.Lock()
        self._connection: Any = None

    async def prepare(self) -> None:
        """Have the journal's tables be there."""
        connection = await self._connected()
        with self._database.faults():
            await lay_out(connection)
            if await connection.fetchval("show fsync") == "off":
                said = "the database has fsync = off: what it says is durable, a power failure can take away"
                logging.getLogger(__name__).warning(said)

    async def claim(self, session_ids: Iterable[str]) -> dict[str, Standing]:
        """Hold the sessions from now on, and where each stands."""
        wanted = list(session_ids)
        async with self._transaction() as connection:
            await connection.execute(_NOTIFY, wanted, self._holder)
            await connection.execute(_CLAIM, wanted, self._holder)
            found = await connection.fetch(STANDINGS, wanted)
        return {row[0]: standing_of(row) for row in found}

    async def store(self, batch: Batch) -> tuple[int, list[Settled]]:
        """Store messages: how many were new, and what became of each."""
        async with self._transaction() as connection:
            found = await connection.fetch(_STATES, list({message.session_id for message, _ in batch}))
            lasts = {session_id: last for session_id, _, last in found}
            mine, refused = self._fence(batch, {session_id: holder for session_id, holder, _ in found}, lasts)
            again = [message[:2] for message, _ in mine if 0 < message.seq <= lasts[message.session_id]]
            digests = await connection.fetch(_DIGESTS, *zip(*again, strict=True)) if again else []
            known = {(session_id, seq): digest for session_id, seq, digest in digests}
            rows, settled = judge(mine, lasts, lambda *which: known.get(which))
            if rows:
                # COPY: half as much again a second as `unnest` over arrays, where hundreds of messages wait
                await connection.copy_records_to_table(
                    "live_messages", schema_name="sojourn", columns=COLUMNS, records=rows
                )
        return len(rows), refused + settled

    async def forget(self, session_id: str) -> int:
        """Remove a session's messages and its holder; how many they were."""
        async with self._transaction() as connection:
            done: str = await connection.execute(_FORGET, session_id)
        return int(done.removeprefix("DELETE "))

    async def probe(self, size: int) -> None:
        """Write *size* bytes to where they are in nobody's way."""
        async with self._transaction() as connection:
            await connection.execute(_PROBE, bytes(size))

    def let_go(self) -> None:
        """Leave the connection at once; what is not committed is undone."""
        if self._connection is not None:
            self._connection.terminate()
            self._connection = None

    def _fence(
        self, batch: Batch, holders: dict[str, str | None], lasts: dict[str, int]
    ) -> tuple[Batch, list[Settled]]:
        """The messages of sessions that we hold; the others are refused."""
        mine: Batch = []
        refused = []
        for message, sender in batch:
            holder = holders[message.session_id]
            # a session that nobody holds was forgotten, and what was on its way for it follows nothing: a gap
            if holder == self._holder or (holder is None and message.seq > lasts[message.session_id] + 1):
                mine.append((message, sender))
            else:
                fault = f"session {message.session_id} was taken over by another connection elsewhere"
                refused.append(Settled(message, sender, SojournError("taken_over", fault)))
        return mine, refused

    @asynccontextmanager
    async def _transaction(self) -> AsyncIterator[Any]:
        """One commit, which is durable when this is left without an error; no process has another meanwhile."""
        async with self._turn:
            try:
                connection = await self._connected()
                with self._database.faults():
                    async with asyncio.timeout(PATIENCE):
                        await connection.execute(BEGIN)
                        yield connection
                with self._database.faults("outcome_unknown", "the database did not say whether it stored this"):
                    async with asyncio.timeout(PATIENCE):
                        await connection.execute("commit")
            except BaseException:
                self.let_go()
                raise

    async def _connected(self) -> Any:
        if self._connection is None or self._connection.is_closed():
            self._connection = await self._database.connect()
        return self._connection
