"""PostgreSQL for live messages: its connections, an event loop for them in a thread, errors as sentences of ours.

Tables move as Arrow, through another driver: `store.adbc`.
"""

import asyncio
import threading
from collections.abc import AsyncIterator, Coroutine, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from typing import Any, TypeVar
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

import asyncpg

from sojourn.errors import SojournError, disk_full
from sojourn.store.passwords import passwords_in, without

PATIENCE = 10.0
"""Seconds to wait for an answer of the database."""

READERS = 4
"""Connections that read at the same time; more readings wait for each other."""

_SETTINGS = {
    "application_name": "sojourn",
    "synchronous_commit": "on",  # also where a role or the server is set up to answer before a commit is durable
    "default_transaction_read_only": "off",
    "statement_timeout": f"{PATIENCE:.0f}s",
    "lock_timeout": f"{PATIENCE:.0f}s",
    # a process that stands still within a commit keeps the others waiting: shorter than their patience
    "idle_in_transaction_session_timeout": f"{PATIENCE / 2:.0f}s",
    "tcp_keepalives_idle": "10",
    "tcp_keepalives_interval": "5",
    "tcp_keepalives_count": "3",
    # each of our statements has its index, in its order: so planned while the tables are empty, and when they are large
    "enable_seqscan": "off",
    "enable_bitmapscan": "off",
    "jit": "off",
}
_LIBPQ_ALONE = {
    "connect_timeout", "keepalives", "keepalives_idle", "keepalives_interval", "keepalives_count", "tcp_user_timeout",
    "channel_binding", "gssencmode", "sslcompression", "sslsni", "client_encoding", "fallback_application_name",
}  # fmt: skip

_FAULTS = (
    asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError, OSError, ValueError, OverflowError
)  # fmt: skip

Result = TypeVar("Result")


class Database:
    """The database at *url*. What is async is for the loop; `ask` hands work to it from any other thread."""

    def __init__(self, url: str) -> None:
        self._url, self._passwords = url, passwords_in(url)
        self._pool: Any = None
        self._is_closed = False
        self.loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self.loop.run_forever, name="journal", daemon=True)
        self._thread.start()

    def ask(self, work: Coroutine[Any, Any, Result]) -> Result:
        """Wait for what *work* gives. Raises `SojournError`, also when we are closed."""
        if self._is_closed:
            work.close()
            raise SojournError("journal_unusable", "the journal is closed")
        future = asyncio.run_coroutine_threadsafe(work, self.loop)
        with self.faults():
            try:
                return future.result(6 * PATIENCE)  # connecting, waiting for others and a commit have theirs within
            finally:
                future.cancel()

    async def connect(self) -> Any:
        """A connection for whoever writes or listens."""
        with self.faults("unreachable", "cannot reach the database"):
            return await asyncpg.connect(
                _for_asyncpg(self._url), timeout=PATIENCE, command_timeout=PATIENCE, server_settings=_SETTINGS
            )

    @asynccontextmanager
    async def reading(self) -> AsyncIterator[Any]:
        """A connection for questions, in turn with other readers."""
        with self.faults("unreachable", "cannot reach the database"):
            if self._pool is None:
                self._pool = asyncpg.create_pool(
                    _for_asyncpg(self._url), min_size=0, max_size=READERS, reset=_leave, timeout=PATIENCE,
                    command_timeout=PATIENCE, server_settings=_SETTINGS | {"default_transaction_read_only": "on"},
                )  # fmt: skip
                await self._pool
            connection = await self._pool.acquire(timeout=PATIENCE)
        try:
            with self.faults():
                yield connection
        finally:
            with suppress(asyncpg.PostgresError, asyncpg.InterfaceError, OSError):
                await self._pool.release(connection, timeout=PATIENCE)

    @contextmanager
    def faults(self, code: str = "journal_unusable", what: str = "the database cannot be used") -> Iterator[None]:
        """Say what the driver complains about in a sentence of ours, without a password: raises `SojournError`."""
        try:
            yield
        except _FAULTS as told:
            raise self._fault(told, code, what) from None

    def close(self) -> None:
        """Let go of the connections, and end the loop."""
        if self._is_closed:
            return
        self._is_closed = True
        asyncio.run_coroutine_threadsafe(self._end(), self.loop)
        self._thread.join()
        self.loop.close()

    async def _end(self) -> None:
        tasks = asyncio.all_tasks() - {asyncio.current_task()}
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        if self._pool is not None:
            with suppress(asyncpg.InterfaceError, OSError):
                self._pool.terminate()
        self.loop.call_later(0.01, self.loop.stop)  # its sockets are closed by then

    def _fault(self, error: Exception, code: str, what: str) -> SojournError:
        state = getattr(error, "sqlstate", None)
        if state == "53100":
            return disk_full(" (the database's)")
        if state in ("42P01", "3F000"):
            return SojournError("no_journal", "the database holds no journal: nothing was received there yet")
        if isinstance(error, TimeoutError):
            said = f"no answer within {PATIENCE:.0f} seconds"
        elif "query argument" in str(error):  # it goes on with the value, which is a person's
            said = "it cannot hold such a value"
        else:
            said = without(self._passwords, str(error)) or type(error).__name__
        return SojournError(code, f"{what}: {said}")


async def _leave(_: Any) -> None:
    """Readers change nothing of a connection's: nothing is to be reset, which would cost a round trip."""


def _for_asyncpg(url: str) -> str:
    """The address without words that only libpq, the usual driver, has a use for: the server would refuse them."""
    parts = urlsplit(url)
    words = [(name, value) for name, value in parse_qsl(parts.query) if name not in _LIBPQ_ALONE]
    return urlunsplit(parts._replace(query=urlencode(words)))
