from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests import postgres
from tests.service.serving import serving
from tests.service.shops import publish_samples, publish_visits
from tests.store.places import Place


@pytest.fixture(scope="session")
def server() -> Iterator[postgres.Server]:
    """A PostgreSQL server."""
    with postgres.running() as started:
        yield started


@pytest.fixture(scope="session", params=["embedded", "postgres"])
def published(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Place:
    """A home with each kind of store in turn, where every ready pipeline has published; nobody writes there."""
    folder = tmp_path_factory.mktemp("published")
    url = request.getfixturevalue("server").database() if request.param == "postgres" else None
    place = Place(folder / "home", url)
    publish_visits(place, folder)
    publish_samples(place, folder)
    return place


@pytest.fixture(scope="session")
def client(published: Place) -> Iterator[httpx.Client]:
    """A client of a service over what is `published`."""
    with serving(published.open()) as found:
        yield found


@pytest.fixture(params=["embedded", "postgres"])
def fresh(request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    """A home with each kind of store in turn, in which nothing has run."""
    url = request.getfixturevalue("server").database() if request.param == "postgres" else None
    return Place(tmp_path / "home", url)
