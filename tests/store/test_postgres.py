"""PostgreSQL alone: who waits for whom, rights, whose home it is, and a database that is not there."""

import os
import shutil
import signal
import subprocess
import sys
import time
from contextlib import ExitStack
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from sojourn.errors import SojournError
from sojourn.store import relations
from sojourn.store.adbc import DatabaseError, Session, connect
from tests.postgres import PASSWORD, Server, execute, name_of, rows
from tests.store.places import Place, Tables, until


@pytest.fixture
def place(in_postgres: Place) -> Place:
    """A home with a store in PostgreSQL."""
    return in_postgres


@pytest.fixture
def url(place: Place) -> str:
    """The address of its database, for the role that owns it."""
    assert place.url is not None
    return place.url


@pytest.fixture
def used(place: Place, files: list[Path]) -> Place:
    """The same after a run."""
    place.run("webshop", files[0])
    return place


def test_instants_carry_their_zone(used: Place, url: str) -> None:
    """Instants are `timestamptz`, also for a reader in another zone; text sorts by its bytes."""
    kinds = rows(
        url,
        "select column_name::text as name, data_type::text as kind, collation_name::text as collation "
        "from information_schema.columns where table_schema = 'webshop' and table_name = 'sessions'",
    )
    known = {row["name"]: (row["kind"], row["collation"]) for row in kinds}
    assert known["started_at"] == known["ended_at"] == ("timestamp with time zone", None)
    assert known["duration_seconds"] == ("double precision", None)
    assert known["converted"] == ("boolean", None)
    assert known["actor"] == ("text", "C")
    own = "select data_type::text as kind from information_schema.columns where column_name = 'started_at'"
    assert rows(url, f"{own} and table_name = 'runs'") == [{"kind": "timestamp with time zone"}]
    first = "select min(started_at) at time zone 'Asia/Tokyo' - min(started_at) at time zone 'UTC' as ahead"
    assert "32400000000000" in str(used.rows(f"{first} from webshop.sessions")[0]["ahead"])


def test_sums_and_means_are_numbers(used: Place) -> None:
    """What PostgreSQL calls `numeric` comes out as a number, as it does from the embedded store."""
    found = used.call("sql", "select sum(events) as s, avg(events) as m, 1.5 as c from webshop.sessions", "--json").json
    assert found[0]["s"] > 0
    assert found[0]["c"] == 1.5
    assert all(isinstance(value, float) for value in found[0].values())


def test_views_and_grants_outlive_runs(used: Place, server: Server, url: str, files: list[Path]) -> None:
    """A reader who was given the tables keeps them, and views on them show the new run."""
    analyst = f"analyst_of_{name_of(url)}"
    with connect(server.url("postgres")) as session:
        session.execute(f"create role {analyst} login password '{PASSWORD}'")
    execute(
        url,
        f"create view public.buyers as select * from webshop.sessions where orders > 0; "
        f"grant usage on schema webshop, sojourn to {analyst}; "
        f"grant select on all tables in schema webshop, sojourn to {analyst}; grant select on buyers to {analyst}",
    )
    reader = Place(used.home.parent / "elsewhere", server.url(name_of(url), analyst))
    before = reader.rows("select count(*) as n from public.buyers")
    used.run("webshop", files[1])
    after = reader.rows("select count(*) as n from public.buyers")
    assert after[0]["n"] > before[0]["n"]
    assert reader.rows("select count(*) as n from webshop.sessions where orders > 0") == after
    assert reader.call("metrics", "orders").status == 0
    assert reader.call("export", "webshop", "--out", reader.home.parent / "out").status == 0
    assert reader.call("quarantine", "list").status == 0
    refused = reader.call("run", "webshop", files[2])
    assert (refused.status, refused.err.count("\n")) == (2, 1), refused.err
    assert "belongs to another home" in refused.err


def test_rights_that_are_missing_are_told(server: Server, place: Place, url: str, files: list[Path]) -> None:
    """A role that may not create schemas is told so; where they were made for it, it needs no more."""
    name = name_of(url)
    admin = server.url(name)
    execute(admin, f"alter database {name} owner to postgres")
    told = place.call("run", "webshop", files[0])
    assert (told.status, told.err) == (
        1, f"error: the database refused: permission denied for database {name} [database]\n"
    )  # fmt: skip
    execute(admin, f"create schema sojourn authorization {name}; create schema webshop authorization {name}")
    place.run("webshop", files[0])
    place.run("webshop", files[1])


def test_settings_of_a_role_do_not_stop_runs(place: Place, url: str, server: Server, files: list[Path]) -> None:
    """Time-outs and isolation that an administrator set for interactive work are not for runs."""
    name = name_of(url)
    for setting in (
        "statement_timeout = '300ms'",
        "lock_timeout = '300ms'",
        "idle_session_timeout = '300ms'",
        "timezone = 'Asia/Tokyo'",
        "default_transaction_isolation = 'serializable'",
        "datestyle = 'German'",
    ):
        execute(server.url("postgres"), f"alter role {name} set {setting}")
    done = place.process("run", "webshop", files[0], "--json")
    assert (done.status, done.err) == (0, "")


def test_a_superuser_reads_no_files(used: Place, server: Server, url: str) -> None:
    """`sojourn sql` gives up a superuser's rights: it sees the tables, not the server's files."""
    name = name_of(url)
    mighty = Place(used.home, server.url(name))
    assert mighty.call("metrics", "orders").status == 0
    told = mighty.call("sql", "select pg_read_file('/etc/passwd')")
    assert (told.status, told.err.count("\n")) == (2, 1)
    assert "permission denied" in told.err


def test_a_store_knows_its_home(used: Place, url: str, files: list[Path], tmp_path: Path) -> None:
    """Another home may read, but not publish there; a home may have several databases."""
    other = Place(tmp_path / "other", url)
    assert other.call("tables", "--json").json == used.call("tables", "--json").json
    assert not other.home.exists()
    refused = other.call("run", "webshop", files[1])
    assert (refused.status, refused.err.count("\n")) == (2, 1)
    assert "belongs to another home" in refused.err
    assert used.statuses() == ["done"]


def test_a_home_serves_both_stores(
    used: Place, server: Server, files: list[Path], expected: list[Tables], tmp_path: Path
) -> None:
    """The embedded store and two databases at one home keep their own events and tables."""
    others = [Place(used.home), Place(used.home, server.database())]
    for place in others:
        place.run("webshop", files[1])
        place.run("webshop", files[0])
    assert [place.tables(tmp_path / "out") for place in others] == [expected[2]] * 2
    assert used.tables(tmp_path / "out") == expected[1]


def test_a_copied_home_waits_for_the_database(used: Place, url: str, files: list[Path], tmp_path: Path) -> None:
    """Copies of a home have files of their own to lock; the database's lock keeps them apart."""
    shutil.copytree(used.home, tmp_path / "copy")
    with used.open().writing():
        run = Place(tmp_path / "copy", url).start("run", "webshop", files[1])
        assert run.stderr is not None
        told = run.stderr.readline().decode()
        assert told == "another run is writing to the database; waiting for it to end\n"
        assert run.poll() is None
    assert run.wait(60) == 0
    run.communicate()


def test_nothing_of_a_run_stays_in_the_server(used: Place, url: str) -> None:
    """After a run there is no session, no lock and no temporary table of ours."""
    mine = "datname = current_database()"
    sessions = (
        f"select pid from pg_stat_activity where application_name = 'sojourn' and {mine} and pid <> pg_backend_pid()"
    )
    locks = f"select pid from pg_locks join pg_database on oid = database where locktype = 'advisory' and {mine}"
    with connect(url) as session:
        until(lambda: not session.rows(sessions))
        assert session.rows(locks) == []


def test_readers_wait_only_at_the_very_end(
    used: Place, url: str, files: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """While a run loads and lists, the tables can be read; all of it is one transaction, seen by nobody yet."""
    looks: list[Any] = []
    record_run = relations.record_run

    def recording(session: Session, *rest: Any) -> None:
        record_run(session, *rest)
        with connect(url) as reader:
            reader.execute("set lock_timeout = '1s'")
            looks.append(reader.rows("select count(*) as n from webshop.sessions")[0]["n"])
            looks.append(reader.rows("select count(*) as n from sojourn.runs")[0]["n"])

    before = used.rows("select count(*) as n from webshop.sessions")[0]["n"]
    monkeypatch.setattr(relations, "record_run", recording)
    used.run("webshop", files[1])
    assert looks == [before, 1]


def test_publishing_waits_for_open_transactions_but_keeps_nobody_waiting(
    used: Place, url: str, files: list[Path], expected: list[Tables], tmp_path: Path
) -> None:
    """A reader within a transaction holds a run up; other readers go on meanwhile; then the run is published."""
    with ExitStack() as stack:
        slow = stack.enter_context(connect(url))
        slow.execute("begin; select count(*) from webshop.session_durations_by_referrer")
        run = used.start("run", "webshop", files[1])
        quick = stack.enter_context(connect(url))
        until(lambda: quick.rows("select 1 as yes from pg_locks where not granted and mode like 'AccessEx%'"))
        longest = 0.0
        for _ in range(20):
            began = time.monotonic()
            quick.execute("select count(*) from webshop.sessions")
            longest = max(longest, time.monotonic() - began)
        assert run.poll() is None
        slow.execute("select count(*) from webshop.sessions; commit")
    assert run.wait(60) == 0
    run.communicate()
    assert longest < 2
    assert used.tables(tmp_path / "out") == expected[2]


def test_patience_with_open_transactions_ends(
    used: Place, url: str, files: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Somebody's forgotten transaction fails the run with a sentence that says what to look for."""
    monkeypatch.setattr(relations, "PATIENCE", 0.5)
    with connect(url) as slow:
        slow.execute("begin; select count(*) from webshop.sessions")
        told = used.call("run", "webshop", files[1])
    assert told.status == 1
    assert "pg_stat_activity" in told.err.splitlines()[-1]
    assert used.statuses() == ["done", "failed"]
    used.run("webshop", files[1])


def test_tables_of_others_are_left_alone(place: Place, url: str, files: list[Path]) -> None:
    """A person's table in the pipeline's schema stays; one with our name stops the run with a clear sentence."""
    execute(url, "create schema webshop; create table webshop.notes as select 'mine' as text")
    place.run("webshop", files[0])
    place.run("webshop", files[1])
    assert rows(url, "select text from webshop.notes") == [{"text": "mine"}]
    execute(url, "create schema activity; create table activity.user_activity (mine int)")
    told = place.call("run", "activity", files[0].with_name("none.jsonl"))
    assert told.status == 2
    (activity := files[0].with_name("activity.jsonl")).write_text(
        '{"event_id": "1", "action": "a", "timestamp": "01/01/2022 00:00:00"}\n'
    )
    told = place.call("run", "activity", activity)
    assert (told.status, told.err.count("\n")) == (2, 1)
    assert "the database has a table activity.user_activity that Sojourn did not make" in told.err
    assert place.statuses() == ["done", "done", "failed"]


def test_a_table_of_another_shape_is_replaced_unless_people_build_on_it(
    used: Place, url: str, files: list[Path]
) -> None:
    """Where a table's columns changed it is made anew; a view on it stops the run, and is not removed."""
    execute(
        url,
        "alter table webshop.sessions add column more text; create view public.v as select more from webshop.sessions",
    )
    told = used.call("run", "webshop", files[1])
    assert (told.status, told.err.count("\n")) == (1, 1)
    assert "cannot drop table webshop.sessions because other objects depend on it" in told.err
    execute(url, "drop view public.v")
    used.run("webshop", files[1])
    assert "more" not in used.call("sql", "select * from webshop.sessions limit 1", "--json").json[0]


@pytest.mark.parametrize(
    "address",
    [
        "postgresql://u:{}@127.0.0.1:1/db",
        "postgresql://u:{}@127.0.0.1:1/db?sslmode=require",
        "postgresql://u:{}@nosuch.invalid/db",
        "postgresql://u:{}@/nosuch?host=SOCKET",
        "postgresql://postgres@/nosuch?host=SOCKET&password={}",
        "postgresql://postgres@/nosuch?host=SOCKET&nonsense={}",
        "postgresql://u:{}%zz@127.0.0.1:1/db",
        "postgresql://u:{}@{}@127.0.0.1:1/db",
        "postgresql://u:{}@127.0.0.1:{}/db",
        "postgresql://u:{}@[::1/db",
        "mysql://u:{}@127.0.0.1/db",
    ],
)
def test_a_database_that_is_not_there(address: str, server: Server, tmp_path: Path, files: list[Path]) -> None:
    """Unreachable, refused or misspelt: one sentence, never the password, nothing published."""
    socket = server.url("x").partition("host=")[2]
    place = Place(tmp_path / "home", address.replace("SOCKET", socket).replace("{}", PASSWORD))
    for words in (["run", "webshop", files[0]], ["tables"], ["sql", "select 1"]):
        told = place.call(*words)
        assert told.status == (2 if address.startswith("mysql") else 1)
        assert (told.err.count("\n"), told.out) == (1, ""), told.err
        assert "Traceback" not in told.err
        assert PASSWORD not in told.err.replace("postgresql://user:password@", "")


def test_another_encoding_is_refused(server: Server, tmp_path: Path, files: list[Path]) -> None:
    """A database that cannot hold every text is refused before anything is written."""
    execute(server.url("postgres"), "create database latin encoding 'LATIN1' locale 'C' template template0")
    told = Place(tmp_path / "home", server.url("latin")).call("run", "webshop", files[0])
    assert (told.status, told.err.count("\n")) == (2, 1)
    assert "encoding is not UTF8" in told.err


@pytest.mark.parametrize(
    ("how", "when"),
    [
        ("crash", "load_tables"),
        ("crash", "exchange"),
        ("terminated", "load_tables"),
        ("terminated", "record_run"),
        ("terminated", "exchange"),
    ],
)
def test_a_database_that_goes_away_during_a_run(
    how: str, when: str, used: Place, url: str, server: Server, files: list[Path], expected: list[Tables],
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    """The server crashes, or an administrator ends the session: one sentence, and the tables of the run before."""
    step = getattr(relations, when)

    def breaking(session: Session, *rest: Any) -> Any:
        monkeypatch.undo()
        done = step(session, *rest)
        if how == "crash":
            server.crash()
        else:
            pid = session.rows("select pg_backend_pid() as pid")[0]["pid"]
            execute(server.url("postgres"), f"select pg_terminate_backend({pid})")
        return done

    monkeypatch.setattr(relations, when, breaking)
    told = used.call("run", "webshop", files[1])
    if how == "crash":
        server.start()
    assert (told.status, told.err.count("\n")) == (1, 1), told.err
    assert told.err.startswith("error: ")
    assert PASSWORD not in told.err
    assert used.tables(tmp_path / "out") == expected[1]
    if how == "terminated":  # the run can still be recorded
        assert used.statuses() == ["done", "failed"]
    used.run("webshop", files[1])
    assert used.tables(tmp_path / "out") == expected[2]
    assert used.garbage() == []


def test_an_answer_to_commit_that_got_lost(
    used: Place, files: list[Path], expected: list[Tables], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """When the commit went through but its answer did not arrive, the run says that it is published."""
    execute_ = Session.execute

    def committing(self: Session, sql: str, *parameters: str | int) -> None:
        execute_(self, sql, *parameters)
        if sql == "commit" and self.rows("select count(*) as n from sojourn.runs")[0]["n"] == 2:
            monkeypatch.undo()
            raise DatabaseError("database", "the database refused", OSError("gone"), "the connection broke")

    monkeypatch.setattr(Session, "execute", committing)
    told = used.call("run", "webshop", files[1])
    assert told.status == 1
    assert "was published, but broke off after that: the database refused: the connection broke" in told.err
    assert used.tables(tmp_path / "out") == expected[2]
    assert used.statuses() == ["done", "done"]
    used.run("webshop", files[2])
    assert used.tables(tmp_path / "out") == expected[3]
    assert used.garbage() == []


@pytest.mark.parametrize("query", ["select pg_sleep(60)", "select count(*) from generate_series(1, 1e12)"])
def test_a_long_query_can_be_interrupted(used: Place, url: str, query: str) -> None:
    """Ctrl-C ends `sojourn sql` at once, and what the server was doing for it."""
    asking = used.start("sql", query)
    with connect(url) as session:
        busy = (
            "select pid from pg_stat_activity where query like '%{}%' and pid <> pg_backend_pid() and state = 'active'"
        )
        busy = busy.format("pg_sleep(60)" if "sleep" in query else "1e12")
        until(lambda: session.rows(busy))
        os.kill(asking.pid, signal.SIGINT)
        _, err = asking.communicate(timeout=10)
        assert (asking.returncode, err) == (130, b"interrupted\n")
        until(lambda: not session.rows(busy))


def test_a_failure_among_the_rows_is_told_by_whoever_reads_them(used: Place) -> None:
    """DuckDB hides why a stream broke; the store still says it."""
    sql = "select 1 / (events - events) as x from webshop.sessions"
    code = (
        "import duckdb, sys; from sojourn.store.opening import open_store\n"
        f"with open_store('x', {used.url!r}).query({sql!r}) as given, duckdb.connect() as c:\n"
        "    c.register('g', given); c.sql('from g').fetchall()"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stderr.strip().splitlines()[-1].endswith("UsageError: the query does not run: division by zero")


def test_deadlocks_do_not_reach_readers(used: Place, url: str, files: list[Path]) -> None:
    """A reader that takes the tables one after the other, against the run's order, is never the one who gives way."""
    faults: list[str] = []
    stop: list[bool] = []

    def read() -> None:
        with connect(url) as session:
            while not stop:
                try:
                    with session.transaction():
                        session.execute("select count(*) from webshop.sessions")
                        time.sleep(0.01)
                        session.execute("select count(*) from webshop.session_durations_by_referrer")
                    time.sleep(0.02)
                except SojournError as error:
                    faults.append(error.message)

    readers = [Thread(target=read) for _ in range(2)]
    for reader in readers:
        reader.start()
    try:
        for file in files[1:3]:
            used.run("webshop", file)
    finally:
        stop.append(True)
        for reader in readers:
            reader.join()
    assert faults == []
