"""The journal in PostgreSQL alone: several processes, places, settings, rights, and how it asks."""

import subprocess
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from sojourn.store import postgres_messages as messages
from sojourn.store import postgres_writing as writing
from sojourn.store.adbc import connect
from sojourn.store.journals import Standing
from sojourn.store.postgres_journal import PostgresJournal
from sojourn.store.postgres_messages import PostgresJournalReader
from sojourn.store.postgres_writing import Writer
from tests.postgres import Server, execute, name_of, rows
from tests.store.journals import (
    InPostgres,
    Killed,
    everything,
    message,
    put,
    put_soon,
    put_unclaimed,
    raises,
    said,
    submitting,
    tell,
)
from tests.store.places import until


@pytest.fixture
def other(where: InPostgres) -> PostgresJournal:
    """Another process's."""
    return where.open()


def asked(journal: PostgresJournal, sql: str) -> Any:
    """A value that the connection which writes gives."""

    async def ask() -> Any:
        async with journal._writer._transaction() as connection:
            return await connection.fetchval(sql)

    return journal._database.ask(ask())


def test_who_claims_is_who_writes(where: InPostgres, one: PostgresJournal) -> None:
    """The former holder is told at once, and refused in any case; it may claim the session again."""
    taken: list[str] = []
    first = where.open(taken=taken.append)
    assert put_unclaimed(first, message("a", 1)) == ["taken_over"], "nobody has claimed it"
    assert put(first, message("a", 1, "[1]", started_at=5), message("b", 1)) == ["stored"] * 2
    began = time.monotonic()
    assert one.claim("a") == Standing(1, b"[1]")
    until(lambda: taken == ["a"])
    assert time.monotonic() - began < 1
    assert put_unclaimed(first, message("a", 2), message("b", 2), message("a", 1)) == [
        "taken_over",
        "stored",
        "taken_over",
    ]
    assert put_unclaimed(one, message("a", 2)) == ["stored"]
    assert first.claim("a") == Standing(2, b"[1]")
    assert put_unclaimed(first, message("a", 3)) == ["stored"]
    assert put_unclaimed(one, message("a", 4)) == ["taken_over"]


def test_old_news_is_not_told(where: InPostgres, other: PostgresJournal) -> None:
    """Who hears of another's claim after having claimed the session again, has it."""
    taken: list[str] = []
    journal = where.open(taken=taken.append)
    for session_id in ("a", "b"):
        journal.claim(session_id)
    other.claim("b")
    until(lambda: taken == ["b"])
    for session_id in ("a", "b"):
        journal._database.loop.call_soon_threadsafe(journal._hear, None, 0, "", session_id)
    until(lambda: taken == ["b", "b"])
    time.sleep(0.1)
    assert taken == ["b", "b"]


def test_what_was_on_its_way_is_fenced(where: InPostgres, one: PostgresJournal, other: PostgresJournal) -> None:
    """Of what a process submitted before another claimed, all is stored before the claim or refused."""
    one.claim("a")
    with ThreadPoolExecutor() as threads:
        with where.held():
            futures = put_soon(one, *(message("a", seq) for seq in range(1, 50)))
            claimed = threads.submit(other.claim, "a")
            time.sleep(0.1)
            futures += put_soon(one, *(message("a", seq) for seq in range(50, 100)))
            assert not any(future.done() for future in futures)
        last = claimed.result().last
    told = [said(future.result(20)) for future in futures]
    assert told == ["stored"] * last + ["taken_over"] * (99 - last)
    assert one.standing("a").last == last


def test_many_claims_are_few_transactions(one: PostgresJournal, monkeypatch: pytest.MonkeyPatch) -> None:
    """A thousand connections within a second wait for each other's transactions, not for one each."""
    counts: list[int] = []
    claim = Writer.claim

    async def counting(self: Writer, session_ids: Any) -> dict[str, Standing]:
        counts.append(len(session_ids))
        return await claim(self, session_ids)

    monkeypatch.setattr(Writer, "claim", counting)
    with ThreadPoolExecutor(40) as threads:
        found = list(threads.map(one.claim, [f"s{number}" for number in range(1000)]))
    assert found == [Standing()] * 1000
    assert sum(counts) == 1000
    assert len(counts) < 300


def test_places_in_the_order_of_commits(where: InPostgres, one: PostgresJournal) -> None:
    """A place is given to nobody while another's is not committed: a reader who is past it has missed nothing."""
    one.claim("a")
    with connect(where.url) as slow:
        slow.execute(messages.BEGIN)
        slow.execute(
            "insert into sojourn.live_messages (session_id, seq, content, digest, received_at, events) "
            "values ('slow', 1, '', '', 0, 0)"
        )
        future = put_soon(one, message("a", 1))[0]
        time.sleep(0.3)
        assert not future.done()
        slow.execute("commit")
    assert said(future.result(20)) == "stored"
    found = rows(where.url, "select session_id as id from sojourn.live_messages order by place")
    assert [row["id"] for row in found] == ["slow", "a"]


def test_a_reader_follows_two_processes(where: InPostgres, tmp_path: Path) -> None:
    """While two processes write and take sessions from each other, who reads on from the last place misses nothing."""
    reader_done, seen = threading.Event(), []

    def follow() -> None:
        reader, place = where.read(), 0
        while not (reader_done.is_set() and not reader.since(place)):
            for found in reader.since(place, 200_000):
                seen.append((found.session_id, found.seq))
                place = found.place
        reader.close()

    where.open()
    follower = threading.Thread(target=follow)
    follower.start()
    killed = Killed(tmp_path, place=where, told=("taken_over", "gap"))
    killed.round(1.0, processes=2)
    reader_done.set()
    follower.join()
    assert killed.breaks == []
    assert len(seen) == len(set(seen))
    assert set(seen) == set(everything(where.opened[0]))
    assert len(killed.acknowledged) > 100


def test_many_begin_at_once(database: str, server: Server) -> None:
    """On an empty database, also where its schema is made meanwhile: all have the same tables, nobody fails."""
    command = submitting(database, 1, 0, 1)
    runs = [subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) for _ in range(4)]
    told = [run.communicate(timeout=60) for run in runs]
    assert [run.returncode for run in runs] == [0] * 4, told
    assert rows(database, "select format from sojourn.live_format") == [{"format": messages.FORMAT}]


def test_settings_of_the_role_do_not_weaken_commits(database: str, server: Server) -> None:
    """Whatever a role is set up to, a commit waits until it is durable, and transactions see what ended before."""
    for setting in (
        "synchronous_commit = off", "statement_timeout = 1", "default_transaction_read_only = on",
        "default_transaction_isolation = serializable", "search_path = nowhere", "lock_timeout = 1",
    ):  # fmt: skip
        execute(server.url("postgres"), f"alter role {name_of(database)} set {setting}")
    place = InPostgres(database)
    journal = place.open()
    assert put(journal, message("a", 1), message("a", 2)) == ["stored"] * 2
    assert [one.seq for one in journal.messages("a")] == [1, 2]
    assert asked(journal, "show synchronous_commit") == "on"
    assert asked(journal, "show transaction_isolation") == "read committed"
    assert asked(journal, "show idle_in_transaction_session_timeout") == "5s"
    journal.close()


def test_without_fsync_is_told(one: PostgresJournal, caplog: pytest.LogCaptureFixture) -> None:
    """A database that does not wait for its disk (this one, for tests) keeps no promise over a power failure."""
    PostgresJournal(one._database._url, tell, taken=print).close()
    assert "fsync = off" in caplog.text


def test_no_journal_and_a_newer_one(database: str) -> None:
    """Reading where nothing was received, a schema that was dropped while in use, and tables of a newer version."""
    with raises("no_journal"):
        PostgresJournalReader(database)
    place = InPostgres(database)
    journal = place.open()
    execute(database, f"update sojourn.live_format set format = {messages.FORMAT + 1}")
    for opening in (place.open, place.read):
        with raises("newer_format"):
            opening()
    journal.claim("a")
    execute(database, "drop schema sojourn cascade")
    assert put_unclaimed(journal, message("a", 1)) == ["no_journal"]
    with raises("no_journal"):
        journal.check()
    journal.close()


def test_rights(server: Server, database: str) -> None:
    """A role that may not create is told so; where the schema was made for it, it needs no more; others may read."""
    name, admin = name_of(database), server.url(name_of(database))
    execute(admin, f"alter database {name} owner to postgres")
    place = InPostgres(database)
    with raises("journal_unusable"):
        place.open()
    execute(admin, f"create schema sojourn authorization {name}")
    journal = place.open()
    put(journal, message("a", 1))
    execute(admin, f"create role reads_{name} login; grant usage on schema sojourn to reads_{name}")
    execute(database, f"grant select on all tables in schema sojourn to reads_{name}")
    reader = InPostgres(server.url(name, f"reads_{name}")).read()
    assert reader.standing("a").last == 1
    reader.close()
    journal.close()


def test_another_encoding_is_refused(server: Server) -> None:
    """A database that cannot hold every text is refused before anything is written."""
    execute(server.url("postgres"), "create database latin_live encoding 'LATIN1' locale 'C' template template0")
    with raises("bad_encoding"):
        InPostgres(server.url("latin_live")).open()


def test_what_cannot_be_written_harms_one_commit(one: PostgresJournal) -> None:
    """Text and numbers that PostgreSQL does not take do not end the writer, and are not repeated by errors."""
    for bad in (message("a", 1, received_at=1 << 70), message("a", 1, key="x\0"), message("a", 1, key="\ud800")):
        assert put(one, bad) == ["journal_unusable"]
    future = put_soon(one, message("a", 1, '["a secret"]', received_at=1 << 70))[0]
    assert "secret" not in str(future.result(20).error)
    assert put(one, message("a", 1, key="ä € 𝄞")) == ["stored"]
    assert one.keyed("a", "ä € 𝄞") == 1


@pytest.mark.parametrize(
    ("sql", "values"),
    [
        (messages._SESSIONS, (0, "", None, None, 9)),
        (messages.STANDINGS, (["a", "b"],)),
        (messages._SINCE, (0, 1000)),
        (writing._STATES, (["a", "b"],)),
        (writing._DIGESTS, (["a", "b"], [1, 2])),
    ],
)
def test_every_question_has_its_index(one: PostgresJournal, sql: str, values: tuple[Any, ...]) -> None:
    """Nothing is answered by reading a whole table, or by sorting it, however small it was when first asked."""
    put(one, message("a", 1, started_at=1))
    plan = "\n".join(row[0] for row in one._rows(f"explain {sql}", *values))
    assert "Seq Scan" not in plan
    assert "Sort" not in plan
    assert "Hash" not in plan
