"""A part of the service that does not answer: that is told in time, and does not keep the service from ending."""

import asyncio
import threading
import time
from typing import Any, cast

import pytest

from sojourn.store.base import Store
from sojourn.web import service as running
from sojourn.web.service import Service
from tests.service.live.client import Client, begin
from tests.service.live.conftest import Start


class Stuck:
    """A store that says nothing until it is let go."""

    def __init__(self) -> None:
        self.asked, self.let_go = 0, threading.Event()

    def published(self) -> Any:
        """Wait."""
        self.asked += 1
        self.let_go.wait(20)


def test_who_does_not_answer_is_asked_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Not again by everybody who looks; when it answers, it is well at the next look."""
    monkeypatch.setattr(running, "_PATIENCE", 0.05)
    monkeypatch.setattr(running, "_FRESH", 0.0)

    async def look(store: Stuck) -> list[Any]:
        service = Service(cast("Store", store))
        found: list[Any] = [(await service.faults())["warehouse"] for _ in range(10)]
        assert store.asked == 1
        store.let_go.set()
        while (last := (await service.faults())["warehouse"]) is not None:
            found.append(last)
            await asyncio.sleep(0.01)
        return found

    found = asyncio.run(look(Stuck()))
    assert {(fault.code, fault.message) for fault in found} == {("no_answer", "no answer within 0.05 s")}


@pytest.mark.parametrize("new_place", ["embedded"], indirect=True)
def test_tables_that_never_answer(starting: Start) -> None:
    """Live sessions go on, and the service ends when it is told to."""
    service = starting(double="silent")
    found = service.get("/health/ready")
    assert (found.status, found.json["parts"]["journal"]) == (503, "ok")
    assert found.json["parts"]["warehouse"]["code"] == "no_answer"
    with Client(service, "a") as client:
        assert client.put([begin("a")]) == {"type": "ack", "seq": 1}
    began = time.monotonic()
    assert service.stop() == 0
    assert time.monotonic() - began < 10
