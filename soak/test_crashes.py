"""Runs killed at random moments, many times over: readers always find one run's tables, whole."""

import random
from collections.abc import Callable
from pathlib import Path

import pytest

from tests import postgres
from tests.store.crash import Trial
from tests.store.places import Place, Tables

HOMES = 6


@pytest.mark.parametrize("kind", ["embedded", "postgres"])
def test_killed_at_random_moments(
    kind: str,
    server: postgres.Server,
    files: list[Path],
    expected: list[Tables],
    tmp_path: Path,
    note: Callable[[str], None],
) -> None:
    """Ten files into one place, each run killed by the clock and begun again; then the same with other moments."""
    chance = random.Random(99)
    killed, breaks = 0, []
    for number in range(HOMES):
        folder = tmp_path / f"home-{number}"
        folder.mkdir()
        place = Place(folder / "home", server.database() if kind == "postgres" else None)
        trial = Trial(place, files, expected, folder)
        for file in files:
            trial.kill_at_random(file, chance, longest=1.2)
        killed += trial.tally.killed
        breaks += trial.tally.breaks
    note(f"{kind}: {killed} runs killed with SIGKILL at random moments, {len(breaks)} broken tables seen")
    assert breaks == []
    assert killed >= 50
