"""What a run published is looked at before a person asks for it."""

import asyncio
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pyarrow as pa
import pytest

from sojourn.store.readings import Reading
from sojourn.web.dashboard import figures, warming
from sojourn.web.dashboard.asked import Remembered, asked
from sojourn.web.dashboard.views import VIEWS
from sojourn.web.service import Service
from tests.charts.publishing import publish, sessions
from tests.store.places import Place


def table(count: int) -> dict[str, str]:
    """A table of sessions, with what views list beside what charts read."""
    return {"sessions": f"select *, started_at::varchar as session_id, 1::bigint as events from ({sessions(count)})"}


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> list[object]:
    """What is drawn from now on."""
    specs: list[object] = []

    class Drawer:
        def svg(self, spec: object) -> bytes:
            specs.append(spec)
            return b"<svg/>"

    monkeypatch.setattr(figures, "_drawer", Drawer)
    return specs


@pytest.fixture
def service(tmp_path: Path) -> Service:
    """A service over a webshop's sessions."""
    store = Place(tmp_path / "home").open()
    publish(store, "webshop", table(50))
    return Service(store)


def run_for(service: Service, drawn: list[object], least: int) -> None:
    """Warm until so many pictures are drawn."""

    async def work() -> None:
        task = asyncio.ensure_future(warming.warm_always(service))
        deadline = time.monotonic() + 20
        while len(drawn) < least and time.monotonic() < deadline:
            await asyncio.sleep(0.01)
        service.is_going_down = True
        task.cancel()

    asyncio.run(work())


def test_every_picture_is_there_before_it_is_asked_for(service: Service, drawn: list[object]) -> None:
    """Each of the two views of sessions, and once."""
    warming.look(service)
    assert len(drawn) >= 7
    before = list(drawn)
    with asked(service.store, VIEWS["sessions"].scope, {}) as found:
        for figure in VIEWS["sessions"].content(found)["figures"]:
            assert figures.svg(found, figure.name) == b"<svg/>"
    assert drawn == before


def test_a_new_run_is_looked_at(service: Service, drawn: list[object]) -> None:
    """Once more, as soon as it is noticed."""
    warming.look(service)
    known = len(drawn)
    publish(service.store, "webshop", table(60))
    run_for(service, drawn, 2 * known)
    assert len(drawn) == 2 * known


def test_where_nothing_is_published_nothing_is_drawn(tmp_path: Path, drawn: list[object]) -> None:
    """A service that only takes messages in needs no process that draws."""
    service = Service(Place(tmp_path / "home").open())
    warming.look(service)
    assert drawn == []


def test_nothing_more_is_asked_when_the_service_goes_down(service: Service, drawn: list[object]) -> None:
    """Its end waits for one query at most."""
    asked_for: list[str] = []
    real = service.store.reading

    @contextmanager
    def reading(pipeline: str | None = None) -> Iterator[Reading]:
        with real(pipeline) as found:
            query = found.query

            def noted(sql: str) -> pa.RecordBatchReader:
                asked_for.append(sql)
                return query(sql)

            found.query = noted  # type: ignore[method-assign]
            service.is_going_down = pipeline is not None
            yield found

    service.store.reading = reading  # type: ignore[method-assign]
    warming.look(service)
    assert drawn == []
    assert not [sql for sql in asked_for if "duration_seconds" in sql]


def test_who_asks_for_what_is_being_made_waits_for_it() -> None:
    """It is made once; who fails leaves it to the next."""
    remembered = Remembered(2)
    begun, go_on, made = threading.Event(), threading.Event(), []

    def make() -> str:
        begun.set()
        go_on.wait(10)
        made.append(1)
        return "answer"

    threads = [threading.Thread(target=remembered.get, args=("key", make)) for _ in range(3)]
    for thread in threads:
        thread.start()
    begun.wait(10)
    go_on.set()
    for thread in threads:
        thread.join(10)
    assert made == [1]
    with pytest.raises(ZeroDivisionError):
        remembered.get("other", lambda: 1 // 0)
    assert remembered.get("other", lambda: 2) == 2
