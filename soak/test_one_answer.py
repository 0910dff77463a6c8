"""One answer, many times over: builds that go on from each other, and everything that can happen to a home."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis.stateful import run_state_machine_as_test

from tests.laws.one_answer import PIPELINES, forgetting_an_actor
from tests.laws.one_answer_engine import in_one_thread
from tests.laws.one_answer_histories import histories as machine_of
from tests.laws.one_answer_shops import TRADES
from tests.laws.one_answer_steps import Step, histories, try_steps
from tests.postgres import Server
from tests.store.places import Place

Note = Callable[[str], None]

HISTORIES = 60
HOMES = {"embedded": 12, "postgres": 4}
STEPS = 25


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """No other process or thread beside this one, but for the runs that are killed."""
    in_one_thread(monkeypatch)


def _many(count: int) -> settings:
    """Examples that are others each time."""
    unbothered = [HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.function_scoped_fixture]
    phases = [Phase.generate, Phase.shrink]
    return settings(max_examples=count, phases=phases, deadline=None, database=None, suppress_health_check=unbothered)


@pytest.mark.parametrize("name", PIPELINES)
def test_builds_upon_builds_give_what_one_build_gives(name: str, tmp_path: Path, note: Note) -> None:
    """Files of records come and go; after every step the tables are the reference's, in the end those of one build."""
    pipeline, seen = PIPELINES[name], Counter[str]()

    @_many(HISTORIES)
    @given(steps=histories(pipeline, losing=True))
    def hold(steps: list[Step]) -> None:
        seen.update(try_steps(tmp_path, pipeline, steps))

    hold()
    note(
        f"{HISTORIES} histories, {seen.total()} builds, {seen['extended']} of them upon the one before: all tables "
        "those of the reference and of one build"
    )
    assert seen["extended"] > HISTORIES


def test_an_increment_that_forgets_an_actor_is_noticed(tmp_path: Path, note: Note) -> None:
    """The control: where one of the actors that a run touches keeps the rows of before, the comparison fails."""
    tried, noticed = 0, 0

    @settings(_many(30), phases=[Phase.generate])
    @given(steps=histories(PIPELINES["webshop"], losing=False))
    def hold(steps: list[Step]) -> None:
        nonlocal tried, noticed
        tried += 1
        try:
            try_steps(tmp_path, PIPELINES["webshop"], steps)
        except AssertionError:
            noticed += 1

    with forgetting_an_actor():
        hold()
    note(f"an increment that forgets one touched actor (control): noticed in {noticed} of {tried} histories")
    assert noticed > tried / 2


@pytest.mark.parametrize("kind", HOMES)
@pytest.mark.parametrize("trade", TRADES)
def test_a_home_holds_what_counts(
    trade: str, kind: str, tmp_path: Path, request: pytest.FixtureRequest, note: Note
) -> None:
    """Files that come, grow and change, streams, replacing, rules, contracts, rebuilds, replays, rollbacks, old runs
    let go, actors forgotten, runs killed with SIGKILL at random moments and made again."""
    server: Server | None = request.getfixturevalue("server") if kind == "postgres" else None
    numbers = itertools.count()

    def place() -> Place:
        return Place(tmp_path / str(next(numbers)) / "home", server.database() if server is not None else None)

    machine = machine_of(trade, place, is_killing=True)
    run_state_machine_as_test(machine, settings=settings(_many(HOMES[kind]), stateful_step_count=STEPS))
    seen = machine.seen
    note(
        f"{kind}: {next(numbers)} homes, {seen['looks']} times compared with the reference, {seen['extended']} runs "
        f"upon the one before, {seen['killed']} killed with SIGKILL ({seen['killed after publishing']} of them had "
        "just published): always the tables of the records that count"
    )
    assert seen["extended"] > HOMES[kind]
    assert seen["killed"] > 0
