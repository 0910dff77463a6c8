"""One connection to PostgreSQL: statements, Arrow in and out, and errors that a person can read.

The driver's DBAPI layer is left aside: it imports what data frame libraries it finds, which takes a second.
"""

import os
import re
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager, suppress
from typing import Any

import adbc_driver_postgresql
import pyarrow as pa
from adbc_driver_manager import AdbcConnection, AdbcStatement, Error

from sojourn.engines.waiting import Result, waited_for
from sojourn.errors import SojournError
from sojourn.store.passwords import passwords_in, without

_BROKEN = ("08", "53", "57", "58")  # classes of SQLSTATE: the connection, its resources, the operator, the system
_USE_COPY = "adbc.postgresql.use_copy"
_DEFAULTS = {"PGCONNECT_TIMEOUT": "10", "PGAPPNAME": "sojourn"}
_SETTINGS = "set timezone = 'UTC'; set client_min_messages = error"
_PATIENT = (
    "set statement_timeout = 0; set lock_timeout = 0; set idle_in_transaction_session_timeout = 0; "
    "set idle_session_timeout = 0; "
    "set tcp_keepalives_idle = 30; set tcp_keepalives_interval = 10; set tcp_keepalives_count = 3"
)
_ALIVE = "keepalives_idle=30&keepalives_interval=10&keepalives_count=3"  # neither side waits for hours for a dead one


class DatabaseError(SojournError):
    """PostgreSQL refused, or is not there. *sqlstate* is its code, where it gave one; *said* its own words."""

    def __init__(self, code: str, message: str, error: Exception, said: str) -> None:
        super().__init__(code, f"{message}: {said}")
        self.said = said
        self.sqlstate: str | None = getattr(error, "sqlstate", None)
        self.is_refusal = "ERROR:" in str(error) and (self.sqlstate or "")[:2] not in _BROKEN
        """Whether the statement is at fault, not the connection or the server."""


class Session:
    """One connection. Each statement is a transaction of its own outside of `transaction`."""

    def __init__(self, url: str) -> None:
        self._secrets = passwords_in(url)
        self._streams: list[AdbcStatement] = []
        self._reads = 0
        self.failure: BaseException | None = None
        for name, value in _DEFAULTS.items():
            os.environ.setdefault(name, value)
        try:
            self._database = adbc_driver_postgresql.connect(f"{url}{'&' if '?' in url else '?'}{_ALIVE}")
            self._connection = AdbcConnection(self._database)
        except Error as error:
            said = f"{_said(error, self._secrets)}; check the address, and that the database runs"
            raise DatabaseError("unreachable", "cannot reach the database", error, said) from None
        self.execute(_SETTINGS)

    def be_patient(self) -> None:
        """Lift the time limits that an administrator may have set for questions: a run takes its time."""
        self.execute(_PATIENT)

    def close(self) -> None:
        """End the session; what is not committed is undone."""
        with suppress(Error):
            self._end_streams()
            self._connection.close()
            self._database.close()

    def rests(self) -> bool:
        """Make ready to be used again; False where a result that was not read to its end stands in the way."""
        if self.failure is not None or self._reads:
            return False
        self._end_streams()
        return True

    def is_alive(self) -> bool:
        """Whether the database still answers here."""
        try:
            return bool(self.rows("select 1 as yes"))
        except DatabaseError:
            return False

    def execute(self, sql: str, *parameters: str | int) -> None:
        """Run *sql*; several statements when there are no *parameters* (`$1` ...)."""
        with self._statement(sql, parameters) as statement:
            self._waited_for(statement.execute_update)

    def rows(self, sql: str, *parameters: str | int, copies: bool = True) -> list[dict[str, Any]]:
        """All rows of a query; *copies* as for `stream`."""
        with self._statement(sql, parameters) as statement:
            statement.set_options(**{_USE_COPY: str(copies).lower()})
            handle, _ = self._waited_for(statement.execute_query)
            rows: list[dict[str, Any]] = pa.RecordBatchReader.from_stream(handle).read_all().to_pylist()
            return rows

    def stream(self, sql: str, *, copies: bool) -> pa.RecordBatchReader:
        """A query's rows as they come; what does not run as `copy (...)` needs *copies* off and comes whole.

        Whoever reads the rows may disguise what went wrong there: `failure` keeps it.
        """
        with self._told():
            statement = AdbcStatement(self._connection)
            self._streams.append(statement)
            statement.set_options(**{_USE_COPY: str(copies).lower()})
            statement.set_sql_query(sql)
            handle, _ = self._waited_for(statement.execute_query)
            reader = pa.RecordBatchReader.from_stream(handle)
            self._reads += 1
        return pa.RecordBatchReader.from_batches(_plain_schema(reader.schema), self._batches(reader))

    def load(self, rows: pa.RecordBatchReader, table: str) -> None:
        """Copy *rows* into a table of the schema `sojourn`."""
        with self._told(), closing(AdbcStatement(self._connection)) as statement:
            statement.set_options(
                **{
                    "adbc.ingest.target_db_schema": "sojourn",
                    "adbc.ingest.target_table": table,
                    "adbc.ingest.mode": "adbc.ingest.mode.append",
                }
            )
            statement.bind_stream(rows)
            self._waited_for(statement.execute_update)

    @contextmanager
    def transaction(self, *modes: str) -> Iterator[None]:
        """Commit at the end; whatever breaks in between is undone as a whole."""
        self.execute(f"begin {', '.join(('isolation level read committed', *modes))}")
        try:
            yield
            self.execute("commit")
        except BaseException:
            with suppress(DatabaseError):
                self.execute("rollback")
            raise

    @contextmanager
    def _statement(self, sql: str, parameters: tuple[str | int, ...]) -> Iterator[AdbcStatement]:
        with self._told(), closing(AdbcStatement(self._connection)) as statement:
            statement.set_sql_query(sql)
            if parameters:
                statement.bind(pa.record_batch({f"p{at}": [value] for at, value in enumerate(parameters)}))
            yield statement

    def _end_streams(self) -> None:
        while self._streams:
            self._streams.pop().close()

    def _batches(self, reader: pa.RecordBatchReader) -> Iterator[pa.RecordBatch]:
        try:
            with self._told():
                while (batch := self._waited_for(lambda: next(reader, None))) is not None:
                    yield _plain(batch)
                self._reads -= 1
        except BaseException as error:
            self.failure = error
            raise

    def _waited_for(self, work: Callable[[], Result]) -> Result:
        return waited_for(work, self._cancel)

    def _cancel(self) -> None:
        with suppress(Error):
            self._connection.cancel()

    @contextmanager
    def _told(self) -> Iterator[None]:
        """The driver's errors come out as ours, without a password. (Streams give them as `OSError`.)"""
        try:
            yield
        except (Error, OSError) as error:
            raise DatabaseError("database", "the database refused", error, _said(error, self._secrets)) from None


class Sessions:
    """Sessions with the database at *url*, for several threads: up to *kept* of them wait open for the next use."""

    def __init__(self, url: str, kept: int = 0) -> None:
        self.url = url
        self.kept = kept
        self._idle: list[Session] = []

    @contextmanager
    def session(self) -> Iterator[Session]:
        """A session of one's own; one that broke, or that its user left by an error, is used no more."""
        session = self._taken()
        is_fine = False
        try:
            yield session
            is_fine = session.rests()
        except Exception as error:
            if session.failure is not None and error is not session.failure:
                raise session.failure from None
            raise
        finally:
            if is_fine and len(self._idle) < self.kept:
                self._idle.append(session)
            else:
                session.close()

    def close(self) -> None:
        """Close those that wait; those in use close when they come back."""
        self.kept = 0
        while self._idle:
            self._idle.pop().close()

    def _taken(self) -> Session:
        while True:
            try:
                session = self._idle.pop()
            except IndexError:
                return Session(self.url)
            if session.is_alive():
                return session
            session.close()  # the database was restarted, or ended what waits too long


def connect(url: str) -> AbstractContextManager[Session]:
    """A session with the database at *url*."""
    return Sessions(url).session()


def _plain_schema(schema: pa.Schema) -> pa.Schema:
    return pa.schema([(field.name, pa.float64() if _is_numeric(field.type) else field.type) for field in schema])


def _plain(batch: pa.RecordBatch) -> pa.RecordBatch:
    """The driver gives `numeric` as text: make numbers of it."""
    columns = [column.storage.cast(pa.float64()) if _is_numeric(column.type) else column for column in batch.columns]
    return pa.record_batch(columns, schema=_plain_schema(batch.schema))


def _is_numeric(kind: pa.DataType) -> bool:
    return isinstance(kind, pa.OpaqueType) and kind.type_name == "numeric"


def _said(error: Exception, secrets: list[str]) -> str:
    """The message without the driver's layers, the statement, and any part of a password."""
    text = re.sub(r"\s+SQLSTATE: \w{5}$|\n*Query was: .*", "", str(error), flags=re.DOTALL)
    text = re.sub(r"^.*?(?:ERROR|FATAL|PANIC):\s+", "", text, flags=re.DOTALL)
    text = re.sub(r"^(?:[A-Z_]+: )?(?:\[libpq\] )?(?:Failed to connect: )?", "", text)
    text = re.sub(r"\nLINE \d+:.*\n\s*\^|\n\s*(?:Is the server|This probably means|before or while|HINT:).*", "", text)
    return without(secrets, text)
