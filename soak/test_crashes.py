"""Runs and servers that end at random moments, many times over: what is published is always one run's, whole."""

import random
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests import postgres
from tests.store.crash import Trial, at_every_step
from tests.store.places import Place, Tables, reader

HOMES = 6
KINDS = pytest.mark.parametrize("kind", ["embedded", "postgres"])
Note = Callable[[str], None]


def _place(kind: str, server: postgres.Server, folder: Path) -> Place:
    folder.mkdir(exist_ok=True)
    return Place(folder / "home", server.database() if kind == "postgres" else None)


@KINDS
def test_killed_at_random_moments(
    kind: str, server: postgres.Server, files: list[Path], expected: list[Tables], tmp_path: Path, note: Note
) -> None:
    """Ten files into one place, each run killed by the clock and begun again; then the same with other moments."""
    chance = random.Random(99)
    killed, published, breaks = 0, 0, []
    for number in range(HOMES):
        trial = Trial(_place(kind, server, tmp_path / f"{number}"), files, expected, tmp_path / f"{number}")
        for file in files:
            trial.kill_at_random(file, chance, longest=1.2)
        killed += trial.tally.killed
        published += trial.tally.published
        breaks += trial.tally.breaks
    note(
        f"{kind}: {killed} runs killed with SIGKILL at random moments ({published} of them had just published): "
        f"{len(breaks)} broken tables, failed next runs or leftovers"
    )
    assert breaks == []
    assert killed >= 50


@KINDS
def test_killed_at_every_step(
    kind: str, server: postgres.Server, files: list[Path], expected: list[Tables], tmp_path: Path, note: Note
) -> None:
    """Before every single change to the home or the database."""
    trial = Trial(_place(kind, server, tmp_path), files, expected, tmp_path)
    trial.let_through(files[0])
    steps = at_every_step(trial)
    trial.let_through(files[2])
    note(f"{kind}: runs killed before each of {steps - 1} steps: {len(trial.tally.breaks)} breaks")
    assert trial.tally.breaks == []


@KINDS
def test_a_reader_beside_many_runs(
    kind: str, server: postgres.Server, files: list[Path], tmp_path: Path, note: Note
) -> None:
    """A reader in another process looks without a pause while a hundred runs publish."""
    place = _place(kind, server, tmp_path)
    place.run("webshop", files[0])
    with reader(place) as (_, told):
        for number in range(100):
            place.run("webshop", files[number % 2], "--mode", "replace")
    note(f"{kind}: a reader looked {told['looks']} times during 100 runs: {len(told['faults'])} errors or mixtures")
    assert told["faults"] == []


def test_a_server_that_crashes_at_random_moments(
    server: postgres.Server, files: list[Path], expected: list[Tables], tmp_path: Path, note: Note
) -> None:
    """PostgreSQL itself ends without a word during a run: one sentence, and after its recovery one run's tables."""
    chance, crashes, failed = random.Random(5), 0, 0
    breaks: list[str] = []
    for number in range(3):
        trial = Trial(_place("postgres", server, tmp_path / f"{number}"), files, expected, tmp_path / f"{number}")
        trial.let_through(files[0])
        for file in files[1:]:
            run = trial.place.start("run", "webshop", file)
            time.sleep(0.3 + chance.random())
            server.crash()
            try:
                _, err = run.communicate(timeout=60)
            finally:
                server.start()
            crashes += 1
            failed += run.returncode != 0
            said = [line for line in err.decode().splitlines() if not line.startswith("WARNING: ")]  # PostgreSQL's own
            if run.returncode not in (0, 1) or len(said) != run.returncode:
                trial.tally.breaks.append(f"exit {run.returncode}: {said}")
            trial.look()
            trial.let_through(file)
        breaks += trial.tally.breaks
    note(f"postgres: {crashes} crashes of the server at random moments, {failed} within a run: {len(breaks)} breaks")
    assert breaks == []
    assert failed >= 10
