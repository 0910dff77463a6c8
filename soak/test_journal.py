"""Processes that submit live messages, killed many times over: nothing that was acknowledged is ever lost."""

import random
from collections.abc import Callable
from pathlib import Path

from tests.store.journals import Killed

ROUNDS = 200


def test_killed_while_submitting(tmp_path: Path, note: Callable[[str], None]) -> None:
    """At random moments, into ten journals: some young, some grown."""
    chance, acknowledged, breaks = random.Random(77), 0, []
    for number in range(10):
        (folder := tmp_path / f"{number}").mkdir()
        killed = Killed(folder)
        for _ in range(ROUNDS // 10):
            killed.round(chance.random() ** 2 * 0.5)
        acknowledged += len(killed.acknowledged)
        breaks += killed.breaks
    note(
        f"embedded journal: {ROUNDS} processes killed with SIGKILL while they submitted; {acknowledged} messages "
        f"acknowledged: {len(breaks)} lost, doubled or altered"
    )
    assert breaks == []
    assert acknowledged > 10_000


def test_acknowledging_early_is_noticed(tmp_path: Path, note: Callable[[str], None]) -> None:
    """The control: a journal that acknowledges before its commit loses messages, in every round but a few."""
    killed, noticed = Killed(tmp_path, "early"), 0
    for _ in range(20):
        before = len(killed.breaks)
        killed.round(0.05)
        noticed += len(killed.breaks) > before
    note(f"embedded journal, acknowledging before the commit (control): noticed in {noticed} of 20 rounds")
    assert noticed >= 10
