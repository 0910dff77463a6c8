"""Services of tests: one that many ask, or those of one test; with each journal in turn."""

import itertools
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.service.live.process import STARTED, Service, start
from tests.store.places import Place, end

JOURNALS = ["embedded", "postgres"]

Start = Callable[..., Service]

_names = itertools.count(1)


@pytest.fixture(scope="session", autouse=True)
def nothing_stays_behind() -> Iterator[None]:
    """Whatever tests began ends with them, also when they fail."""
    yield
    while STARTED:
        end(STARTED.pop())


@pytest.fixture(scope="module", params=JOURNALS)
def new_place(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Callable[[], Place]:
    """Makes places for services, with each kind of journal in turn."""

    def makes() -> Place:
        url = request.getfixturevalue("server").database() if request.param == "postgres" else None
        return Place(tmp_path_factory.mktemp("service") / "home", url)

    return makes


@pytest.fixture
def place(new_place: Callable[[], Place]) -> Place:
    """A fresh place."""
    return new_place()


@pytest.fixture(scope="module")
def service(new_place: Callable[[], Place]) -> Iterator[Service]:
    """A service that the tests of a module share; each has sessions of its own."""
    started = start(new_place())
    yield started
    assert started.stop() == 0
    assert started.said == []


@pytest.fixture
def starting(place: Place) -> Iterator[Start]:
    """Begins services at the test's place."""
    started: list[Service] = []

    def starts(*options: object, **how: Any) -> Service:
        started.append(start(place, *options, **how))
        return started[-1]

    yield starts
    for one in started:
        end(one.run)


@pytest.fixture
def name() -> str:
    """The id of a session that nobody else streams."""
    return f"s{next(_names)}"
