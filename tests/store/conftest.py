from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from sojourn import samples
from sojourn.store.postgres_journal import PostgresJournal
from tests import postgres
from tests.store.journals import InPostgres
from tests.store.places import STARTED, Place, Tables, end, expectations, sources


@pytest.fixture(autouse=True)
def nothing_stays_behind() -> Iterator[None]:
    """Whatever a test began ends with it, also when it fails."""
    yield
    while STARTED:
        end(STARTED.pop())


@pytest.fixture(scope="session")
def server() -> Iterator[postgres.Server]:
    """A PostgreSQL server."""
    with postgres.running() as started:
        yield started


@pytest.fixture
def database(server: postgres.Server) -> str:
    """The address of a fresh database, for the ordinary role that owns it."""
    return server.database()


@pytest.fixture
def embedded(tmp_path: Path) -> Place:
    """A home with the embedded store."""
    return Place(tmp_path / "home")


@pytest.fixture
def in_postgres(tmp_path: Path, database: str) -> Place:
    """A home with a store in PostgreSQL."""
    return Place(tmp_path / "home", database)


@pytest.fixture(params=["embedded", "in_postgres"])
def place(request: pytest.FixtureRequest) -> Place:
    """A home with each kind of store in turn."""
    found: Place = request.getfixturevalue(request.param)
    return found


@pytest.fixture(scope="session")
def files(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Ten files of webshop events."""
    return sources(tmp_path_factory.mktemp("files"), 10)


@pytest.fixture(scope="session")
def large(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file that takes several processes a while to read."""
    path = tmp_path_factory.mktemp("large") / "large.jsonl"
    samples.write("webshop", path, lines=60_000, seed=99)
    path.write_bytes(path.read_bytes() * 5)
    return path


@pytest.fixture(scope="session")
def expected(tmp_path_factory: pytest.TempPathFactory, files: list[Path]) -> list[Tables]:
    """The tables after none, one, two ... of the `files`."""
    return expectations(tmp_path_factory.mktemp("expected"), files)


@pytest.fixture
def tables(place: Place, tmp_path: Path) -> Callable[[], Tables]:
    """What the place publishes now, as CSV."""
    return lambda: place.tables(tmp_path / "tables")


@pytest.fixture
def where(database: str) -> Iterator[InPostgres]:
    """A fresh database for journals."""
    place = InPostgres(database)
    yield place
    for journal in place.opened:
        journal.close()


@pytest.fixture
def one(where: InPostgres) -> PostgresJournal:
    """A process's journal; processes share nothing but the database, so objects stand for them here."""
    return where.open()
