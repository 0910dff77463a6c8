"""The journal in PostgreSQL when something breaks: its process or its database killed, cut off, or not there at all."""

import asyncio
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from random import Random
from typing import Any

import pytest

from sojourn.errors import SojournError
from sojourn.store import connections
from sojourn.store import postgres_journal as module
from sojourn.store.adbc import connect
from sojourn.store.opening import open_journal, open_journal_reader
from sojourn.store.postgres_journal import PostgresJournal
from tests.postgres import PASSWORD, Server, execute, name_of
from tests.store.journals import (
    InPostgres,
    Killed,
    message,
    put,
    put_unclaimed,
    raises,
    tell,
)
from tests.store.places import until

ROUNDS = 10  # the long form is in soak/
AWAY = ("unreachable", "journal_unusable", "outcome_unknown", "gap")
"""What may be told while the database is away."""


def test_who_stands_still_is_left_behind(where: InPostgres, monkeypatch: pytest.MonkeyPatch) -> None:
    """A process that stops within its transaction keeps others waiting for a while only."""
    monkeypatch.setitem(connections._SETTINGS, "idle_in_transaction_session_timeout", "300ms")
    still, other = where.open(), where.open()

    async def stand_still() -> None:
        async with still._writer._transaction():
            await asyncio.sleep(1)

    with ThreadPoolExecutor() as threads:
        asleep = threads.submit(lambda: still._database.ask(stand_still()))
        time.sleep(0.1)
        assert put(other, message("a", 1)) == ["stored"]
        with pytest.raises(SojournError) as caught:
            asleep.result()
    assert caught.value.code in ("outcome_unknown", "journal_unusable")
    assert put(still, message("b", 1)) == ["stored"]


def test_a_commit_without_an_answer(one: PostgresJournal, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the connection breaks during the commit, nothing is acknowledged; sent again, the message is known."""
    put(one, message("a", 1))
    execute_ = type(one._writer._connection).execute

    async def committing(self: Any, sql: str, *values: object, **how: Any) -> Any:
        done = await execute_(self, sql, *values, **how)
        if sql == "commit":
            raise ConnectionResetError("cut")
        return done

    with monkeypatch.context() as patched:
        patched.setattr(type(one._writer._connection), "execute", committing)
        assert put_unclaimed(one, message("a", 2)) == ["outcome_unknown"]
    assert one.claim("a").last == 2
    assert put(one, message("a", 2), message("a", 3)) == ["known", "stored"]


def test_a_database_that_is_away(one: PostgresJournal, server: Server) -> None:
    """Nothing is acknowledged, everything says so soon; when it is back all goes on by itself."""
    reader = open_journal_reader(None, one._database._url)
    put(one, message("a", 1))
    for stop in (server.crash, server.kill):
        last = one.standing("a").last
        stop()
        try:
            began = time.monotonic()
            assert put_unclaimed(one, message("a", last + 1))[0] in ("unreachable", "journal_unusable")
            for ask in (one.check, lambda: one.standing("a"), lambda: one.claim("a"), lambda: reader.since(0)):
                with pytest.raises(SojournError) as caught:
                    ask()
                assert caught.value.code in ("unreachable", "journal_unusable")
                assert PASSWORD not in str(caught.value)
            assert time.monotonic() - began < 5
        finally:
            server.start()
        one.check()
        assert put_unclaimed(one, message("a", last + 1)) == ["stored"], "a holder stays the holder"
        assert reader.standing("a").last == last + 1
    reader.close()


@pytest.mark.parametrize(
    "address",
    [
        "postgresql://u:{}@127.0.0.1:1/db",
        "postgresql://u:{}@127.0.0.1:1/db?sslmode=require&connect_timeout=3",
        "postgresql://u:{}@nosuch.invalid/db",
        "postgresql://u:{}@/nosuch?host=SOCKET",
        "postgresql://postgres@/nosuch?host=SOCKET&password={}",
        "postgresql://postgres@/postgres?host=SOCKET&password={}&nonsense={}",
        "postgresql://u:{}%zz@127.0.0.1:1/db",
        "postgresql://u:{}@{}@127.0.0.1:1/db",
        "postgresql://u:{}@127.0.0.1:{}/db",
        "postgresql://u:{}@[::1/db",
    ],
)
def test_a_database_that_is_not_there(address: str, server: Server) -> None:
    """Unreachable, refused or misspelt: one sentence, never the password."""
    socket = server.url("x").partition("host=")[2]
    url = address.replace("SOCKET", socket).replace("{}", PASSWORD)
    openings: list[Callable[[], object]] = [
        lambda: open_journal_reader(None, url),
        lambda: open_journal(None, url, tell, print),
    ]
    for opening in openings:
        with pytest.raises(SojournError) as caught:
            opening()
        assert (caught.value.code, "\n" in str(caught.value)) == ("unreachable", False)
        assert PASSWORD not in str(caught.value)
    with raises("bad_store"):
        open_journal_reader(None, "mysql://u@127.0.0.1/db")


def test_words_for_another_driver_are_left_out(database: str) -> None:
    """An address with words that only libpq knows works as it does for tables."""
    place = InPostgres(f"{database}&connect_timeout=5&keepalives=1&channel_binding=prefer")
    journal = place.open()
    assert put(journal, message("a", 1)) == ["stored"]
    journal.close()


def test_a_lost_listener_listens_again(
    where: InPostgres, one: PostgresJournal, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the connection that hears of claims is cut, another one takes its place."""
    monkeypatch.setattr(module, "PULSE", 0.05)
    taken: list[str] = []
    put(where.open(taken=taken.append), message("a", 1), message("b", 1))
    kill = "select pg_terminate_backend(pid) from pg_stat_activity where pid <> pg_backend_pid() and datname = '{}'"
    listening = "select pid from pg_stat_activity where query ilike 'listen%' or query = 'select 1'"
    execute(server.url("postgres"), kill.format(name_of(where.url)))
    with connect(where.url) as session:
        until(lambda: len(session.rows(listening)) >= 2)
    one.claim("a")
    until(lambda: taken == ["a"])


def test_killed_while_submitting(where: InPostgres, tmp_path: Path) -> None:
    """`kill -9` of the process, ten times: what was acknowledged is there, once, with its content."""
    chance, killed = Random(31), Killed(tmp_path, place=where)
    for _ in range(ROUNDS):
        killed.round(chance.random() * 0.15)
    assert killed.breaks == []
    assert len(killed.acknowledged) > 100


def test_acknowledging_early_is_noticed(where: InPostgres, tmp_path: Path) -> None:
    """The control: a journal that acknowledges before its commit fails the test above."""
    killed = Killed(tmp_path, "early", place=where)
    for _ in range(ROUNDS):
        killed.round(0.05)
        if killed.breaks:
            break
    assert killed.breaks != []
    assert all("is lost" in one for one in killed.breaks)


def away(server: Server, chance: Random) -> Callable[[float], None]:
    """Kills the database after a while, and starts it again."""

    def kill(seconds: float) -> None:
        time.sleep(seconds)
        server.kill()
        time.sleep(chance.random() * 0.1)
        server.start()
        time.sleep(0.1)

    return kill


def test_the_database_is_killed(where: InPostgres, server: Server, tmp_path: Path) -> None:
    """`kill -9` of every process of the database, ten times, while ours goes on: the same promise."""
    chance, killed = Random(32), Killed(tmp_path, place=where, told=AWAY)
    for _ in range(ROUNDS):
        killed.round(chance.random() * 0.1, away(server, chance))
    assert killed.breaks == []
    assert len(killed.acknowledged) > 100


def test_commits_that_do_not_wait_are_noticed(where: InPostgres, server: Server, tmp_path: Path) -> None:
    """The control: with `synchronous_commit = off` what was acknowledged is lost with the database."""
    chance, killed = Random(33), Killed(tmp_path, "unsynced", place=where, told=AWAY)
    for _ in range(ROUNDS):
        killed.round(0.1, away(server, chance))
        if killed.breaks:
            break
    assert killed.breaks != []
    assert all("lost" in one for one in killed.breaks)
