"""Processes that submit live messages, and their database, killed many times: nothing acknowledged is ever lost."""

import random
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.postgres import Server
from tests.store.journals import Embedded, InPostgres, Killed
from tests.store.test_postgres_journal_broken import AWAY, away

ROUNDS = 200

Where = Callable[[str, Path], Embedded | InPostgres]


@pytest.fixture
def where(server: Server) -> Where:
    """Makes places for journals of either kind."""
    return lambda kind, folder: (
        Embedded(folder / "journal.sqlite") if kind == "embedded" else InPostgres(server.database())
    )


@pytest.mark.parametrize("kind", ["embedded", "postgres"])
def test_killed_while_submitting(kind: str, where: Where, tmp_path: Path, note: Callable[[str], None]) -> None:
    """At random moments, into ten journals: some young, some grown."""
    chance, acknowledged, breaks = random.Random(77), 0, []
    for number in range(10):
        (folder := tmp_path / f"{number}").mkdir()
        killed = Killed(folder, place=where(kind, folder))
        for _ in range(ROUNDS // 10):
            killed.round(chance.random() ** 2 * 0.5)
        acknowledged += len(killed.acknowledged)
        breaks += killed.breaks
    note(
        f"{kind} journal: {ROUNDS} processes killed with SIGKILL while they submitted; {acknowledged} messages "
        f"acknowledged: {len(breaks)} lost, doubled or altered"
    )
    assert breaks == []
    assert acknowledged > 10_000


@pytest.mark.parametrize("kind", ["embedded", "postgres"])
def test_acknowledging_early_is_noticed(kind: str, where: Where, tmp_path: Path, note: Callable[[str], None]) -> None:
    """The control: a journal that acknowledges before its commit loses messages, in every round but a few."""
    killed, noticed = Killed(tmp_path, "early", place=where(kind, tmp_path)), 0
    for _ in range(20):
        before = len(killed.breaks)
        killed.round(0.05)
        noticed += len(killed.breaks) > before
    note(f"{kind} journal, acknowledging before the commit (control): noticed in {noticed} of 20 rounds")
    assert noticed >= 10


def test_the_database_is_killed(server: Server, tmp_path: Path, note: Callable[[str], None]) -> None:
    """At random moments, with two processes that take sessions from each other meanwhile; then it is back."""
    chance, acknowledged, breaks = random.Random(78), 0, []
    for number in range(4):
        (folder := tmp_path / f"{number}").mkdir()
        killed = Killed(folder, place=InPostgres(server.database()), told=(*AWAY, "taken_over"))
        for round_ in range(10):
            killed.round(chance.random() * 0.3, away(server, chance), processes=1 + round_ % 2)
        acknowledged += len(killed.acknowledged)
        breaks += killed.breaks
    note(
        f"postgres journal: 40 times every process of the database killed with SIGKILL while one or two processes "
        f"submitted; {acknowledged} messages acknowledged: {len(breaks)} lost, doubled or altered"
    )
    assert breaks == []
    assert acknowledged > 10_000


def test_commits_that_do_not_wait_are_noticed(server: Server, tmp_path: Path, note: Callable[[str], None]) -> None:
    """The control: with `synchronous_commit = off` the database loses what was acknowledged, in most rounds."""
    chance, noticed = random.Random(79), 0
    killed = Killed(tmp_path, "unsynced", place=InPostgres(server.database()), told=AWAY)
    for _ in range(20):
        before = len(killed.breaks)
        killed.round(0.1, away(server, chance))
        noticed += len(killed.breaks) > before
    note(f"postgres journal, synchronous_commit = off (control): noticed in {noticed} of 20 killed databases")
    assert noticed >= 5
