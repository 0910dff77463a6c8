"""The live service, killed many times over, and with thousands of clients that say nothing."""

import resource
from collections.abc import Callable
from pathlib import Path
from random import Random

import pytest

from tests.service.live.crowds import per_connection
from tests.service.live.killing import Killed
from tests.service.live.process import STARTED, serving
from tests.store.places import Place, end

ROUNDS = 40
CLIENTS = 5_000


@pytest.fixture(autouse=True)
def no_service_stays_behind():
    """Whatever a run began ends with it, also when it fails."""
    yield
    while STARTED:
        end(STARTED.pop())


@pytest.mark.parametrize("journal", ["embedded", "postgres"])
def test_services_killed_under_load(
    journal: str, tmp_path: Path, request: pytest.FixtureRequest, note: Callable[[str], None]
) -> None:
    """At random moments, while five clients stream; each goes on with its session, and sends some of it again."""
    url = request.getfixturevalue("server").database() if journal == "postgres" else None
    chance, killed = Random(78), Killed(Place(tmp_path / "home", url))
    for _ in range(ROUNDS):
        killed.round(0.05 + chance.random() ** 2 * 1.5)
    killed.look()
    acknowledged = sum(killed.acknowledged.values())
    note(
        f"{journal} journal: {ROUNDS} services killed with SIGKILL under load; {acknowledged} messages acknowledged "
        f"over WebSockets: {len(killed.breaks)} lost, doubled or altered"
    )
    assert killed.breaks == []
    assert acknowledged > 1_000


def test_a_service_that_acknowledges_early_is_noticed(tmp_path: Path, note: Callable[[str], None]) -> None:
    """The control: the same clients see that messages are lost."""
    killed, noticed, rounds = Killed(Place(tmp_path / "home"), "early"), 0, 20
    for _ in range(rounds):
        before = len(killed.breaks)
        killed.round(0.3)
        killed.look()
        noticed += len(killed.breaks) > before
    note(f"embedded journal, acknowledging before the commit (control): noticed in {noticed} of {rounds} rounds")
    assert noticed >= rounds // 2


def test_thousands_of_idle_connections(tmp_path: Path, note: Callable[[str], None]) -> None:
    """Each takes at most 40 KiB of memory."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    clients = min(CLIENTS, hard - 500)
    with serving(Place(tmp_path / "home")) as service:
        found = per_connection(service, clients)
    note(f"{clients} idle WebSockets at once: {found / 1024:.1f} KiB of the server's memory for each")
    assert found <= 40 << 10
