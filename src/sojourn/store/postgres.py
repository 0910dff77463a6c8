"""PostgreSQL: a run published in one transaction, by Arrow over ADBC; its landed events stay in the home."""

import re
import time
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pyarrow as pa

from sojourn.engines.duckdb import identifier, quote
from sojourn.errors import SojournError, UsageError
from sojourn.store import relations
from sojourn.store.adbc import DatabaseError, Session, Sessions, connect
from sojourn.store.base import Publication, Store
from sojourn.store.files import tell, write_whole
from sojourn.store.manifest import Entry, published
from sojourn.store.readings import Limits, Reading
from sojourn.store.schemas import FORMAT, QUARANTINE, check_format
from sojourn.store.upgrading import upgrade_database

_LOCK = 7_030_541_201
"""The advisory lock of whoever writes, one for all of Sojourn in a database."""

_KEPT_SESSIONS = 4

_SPACE = r"(?:\s|--[^\n]*(?:\n|$)|/\*(?:(?!\*/).)*\*/)*"
_QUERY = re.compile(rf"{_SPACE}(?:select|with|values|table|explain|show|\()", re.IGNORECASE | re.DOTALL)
_NOT_STREAMED = re.compile(r"--|/\*|;|^\s*(?:explain|show)\b", re.IGNORECASE)


class Postgres(Store):
    """Publishes into a PostgreSQL database that knows its home and takes runs of no other.

    A run that keeps no events in its home (*is_passing*) may have any.
    """

    def __init__(self, home: Path, url: str, *, is_passing: bool = False) -> None:
        super().__init__(home)
        self.url = self.address = url
        self.is_passing = is_passing
        self._session: Session | None = None  # while writing
        self._store: str | None = None  # the database's own id, once it was asked for
        self._sessions = Sessions(url)

    @property
    def area(self) -> Path:
        """The folder in the home for this database, which has an id once a run has written to it."""
        if self._store is None:
            with self._sessions.session() as session:
                self._store = relations.store_id(session)
        return self.home / "stores" / self._store

    @contextmanager
    def passing(self, pipeline: str) -> Iterator[Store]:
        """A folder that goes away stands for the home, unless the pipeline keeps runs in one."""
        with connect(self.url) as session:
            is_kept = relations.are_made(session) and relations.is_kept(session, pipeline)
        if is_kept:
            yield self
            return
        with TemporaryDirectory(prefix="sojourn-") as folder:
            passing = Postgres(Path(folder), self.url, is_passing=True)
            passing.forgotten_in = self.forgotten_in
            yield passing

    def _commit(self, publication: Publication, runs: list[str]) -> None:
        """Load the tables beside the current ones and exchange them last: until then nobody waits."""
        session = self._writer()
        with session.transaction():
            parts = relations.load_tables(session, publication)
            relations.list_pipeline(session, publication, runs)
            relations.record_run(session, publication.report, None, publication.quarantine, publication.replayed)
            relations.exchange(session, publication.pipeline, parts)

    @contextmanager
    def standing(
        self, pipeline: str, where: str, names: Sequence[str] = QUARANTINE.names
    ) -> Iterator[pa.RecordBatchReader]:
        """In a session of its own: it is streamed while others go on."""
        sql = f"select {', '.join(names)} from sojourn.quarantine where pipeline = {quote(pipeline)} and ({where})"
        with self._sessions.session() as session:
            yield session.stream(sql, copies=True)

    def _let_go(self, kept: dict[str, list[str]], older_than: float | None, *, is_dry: bool) -> int:
        with connect(self.url) as session, session.transaction():
            rows = relations.let_go_of_rows(session, kept, older_than, is_dry=is_dry)
            if not is_dry:
                relations.list_kept(session, kept)
        return rows

    def _entries(self) -> dict[str, Entry]:
        with self._sessions.session() as session:  # anew also while writing: the run's own may be what broke
            if not relations.are_made(session):
                return {}
            return relations.entries(session)

    def _clean(self) -> None:
        self._writer().rows("select 1 as yes")  # where it broke it may be committing: nothing may be removed then
        super()._clean()

    def record(
        self, report: dict[str, Any], message: str | None, quarantine: Path | None, replayed: Path | None = None
    ) -> None:
        """Add the row and the quarantine of a run that published nothing."""
        with connect(self.url) as session, session.transaction():  # anew: the run's own session may be what broke
            session.be_patient()
            relations.record_run(session, report, message, quarantine, replayed)

    def reword(self, run_id: str, message: str) -> None:
        """Replace the message in the row of a run."""
        self._writer().execute("update sojourn.runs set message = $1 where run_id = $2", message, run_id)

    def vacuum(self) -> None:
        """Have dead rows of our own tables go; the database's log and its backups keep them."""
        for table in ("quarantine", "runs", "live_messages"):
            if self._writer().rows("select 1 as yes where to_regclass($1) is not null", f"sojourn.{table}"):
                self._writer().execute(f"vacuum sojourn.{table}")
        self._clean()

    @contextmanager
    def kept_open(self, limits: Limits) -> Iterator[None]:  # noqa: ARG002 - they are the database's own affair
        """Keep a few sessions open: beginning one takes longer than most queries."""
        self._sessions = Sessions(self.url, kept=_KEPT_SESSIONS)
        try:
            yield
        finally:
            self._sessions.close()

    @contextmanager
    def reading(self, pipeline: str | None = None) -> Iterator[Reading]:
        """A read-only transaction, without a superuser's reach to files.

        It holds *pipeline*'s tables, so that no run exchanges them between two queries.
        """
        try:
            with self._sessions.session() as session, session.transaction("read only"):
                _settle(session, pipeline)
                yield _Transaction(session)
        except DatabaseError as error:
            if not error.is_refusal:
                raise
            raise UsageError("bad_query", f"the query does not run: {error.said}") from None

    @contextmanager
    def _guarded(self) -> Iterator[None]:
        """Hold the database's own lock too: a copied home has another file to lock."""
        with connect(self.url) as session:
            session.be_patient()
            is_told = False
            while not session.rows("select pg_try_advisory_lock($1) as got", _LOCK)[0]["got"]:
                if not is_told:
                    tell("another run is writing to the database; waiting for it to end")
                is_told = True
                time.sleep(0.2)
            self._store = self._store_id(session)
            self._session = session
            try:
                yield
            finally:
                self._session = None

    def _store_id(self, session: Session) -> str:
        """The database's own id; it is made at the first run, together with `sojourn`'s tables."""
        home_id = "" if self.is_passing else _home_id(self.home)
        if not relations.are_made(session):
            with session.transaction():
                relations.make(session, uuid.uuid4().hex, home_id)
        meta = session.rows("select store, home, format from sojourn.meta")[0]
        check_format(meta["format"], "this database")
        if not meta["home"] and home_id:  # so far only journals were read
            session.execute("update sojourn.meta set home = $1", home_id)
        elif meta["home"] != home_id and not self.is_passing:
            raise UsageError(
                "other_home",
                f"this database belongs to another home than {self.home}, where its events lie; use that home, or "
                "another database (to start this one over, drop its schema sojourn, and with it its live messages)",
            )
        store_id = str(meta["store"])
        if meta["format"] < FORMAT:
            upgrade_database(session, self.home / "stores" / store_id, is_passing=self.is_passing)
        return store_id

    def _is_recorded(self, run_id: str) -> bool:
        return bool(self._writer().rows("select 1 as yes from sojourn.runs where run_id = $1", run_id))

    def _writer(self) -> Session:
        assert self._session is not None, "only within writing()"
        return self._session


class _Transaction(Reading):
    row_order = "ctid"  # rows were loaded in their order and never change: their place tells it

    def __init__(self, session: Session) -> None:
        self.session = session

    def query(self, sql: str) -> pa.RecordBatchReader:
        if not _QUERY.match(sql):
            raise UsageError("not_a_query", "only one SELECT (or EXPLAIN, SHOW) can be run here")
        return self.session.stream(sql, copies=not _NOT_STREAMED.search(sql))

    def published(self) -> list[dict[str, Any]]:
        return published(relations.entries(self.session))


def _settle(session: Session, pipeline: str | None) -> None:
    """Give up a superuser's rights for this transaction, and hold *pipeline*'s tables."""
    if not relations.are_made(session):
        raise SojournError("not_published", "nothing is published in this database yet; see: sojourn run -h")
    if session.rows("select 1 as yes from pg_catalog.pg_roles where rolname = current_user and rolsuper"):
        session.execute("set local role pg_read_all_data")
    if pipeline is None:
        return
    session.execute(f"set local search_path = {identifier(pipeline)}")
    entry = relations.entries(session).get(pipeline)
    if entry is not None:
        tables = map(identifier, entry.tables)
        session.execute(f"lock table {', '.join(sorted(tables))} in access share mode")


def _home_id(home: Path) -> str:
    path = home / "home.id"
    if not path.exists():
        write_whole(path, uuid.uuid4().hex.encode())
    return path.read_text().strip()
