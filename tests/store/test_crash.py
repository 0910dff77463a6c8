"""A run that is killed leaves the tables of the run before it, or its own, whole; the next one cleans up."""

import os
import random
from itertools import count
from pathlib import Path

import pytest

from tests.store.crash import Trial, at_every_step
from tests.store.places import Place, Tables

ROUNDS = 5  # the long form is in soak/


@pytest.fixture
def trial(place: Place, files: list[Path], expected: list[Tables], tmp_path: Path) -> Trial:
    """The place, ready for runs to be killed there."""
    return Trial(place, files, expected, tmp_path)


def test_killed_at_every_step(trial: Trial) -> None:
    """Before each change that a run makes, a kill leaves one run's tables; the next run cleans up after all of them.

    In PostgreSQL, which is slower, every third is enough; without `make soak` every second in a home. soak/ has all.
    """
    trial.let_through(trial.files[0])
    stride = 3 if trial.place.url else 1 if os.environ.get("SOJOURN_LONG") else 2
    steps = at_every_step(trial, steps=count(1, stride))
    assert trial.tally.breaks == []
    assert steps > 20
    assert trial.published == 2
    trial.let_through(trial.files[2])
    assert trial.tally.breaks == []
    assert "killed" in trial.place.statuses()


@pytest.mark.parametrize(
    ("double", "kind"),
    [
        ("catalog_in_pieces", "embedded"),
        ("catalog_before_snapshot", "embedded"),
        ("table_by_table", "in_postgres"),
        ("listed_apart", "in_postgres"),
    ],
)
def test_a_store_that_tears_is_noticed(
    double: str, kind: str, request: pytest.FixtureRequest, files: list[Path], expected: list[Tables], tmp_path: Path
) -> None:
    """The control: publishing in two steps, with a kill between them, fails the test above."""
    trial = Trial(request.getfixturevalue(kind), files, expected, tmp_path)
    trial.let_through(files[0])
    at_every_step(trial, double, [1_000_000])
    if not trial.tally.breaks:
        trial.let_through(files[1])
    assert trial.tally.breaks != []


def test_killed_at_random_moments(trial: Trial) -> None:
    """The same with whole processes, killed by the clock; those that they began end with them."""
    chance = random.Random(4711)
    for file in trial.files[:ROUNDS]:
        trial.kill_at_random(file, chance, longest=1.2)
    assert trial.tally.breaks == []
    assert trial.tally.killed > 0
