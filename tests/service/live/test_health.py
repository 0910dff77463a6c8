"""A part of the service that does not answer is told to be so, in time."""

import asyncio
import threading
from typing import Any, cast

import pytest

from sojourn.store.base import Store
from sojourn.web import service as running
from sojourn.web.service import Service


class Stuck:
    """A store that says nothing until it is let go."""

    def __init__(self) -> None:
        self.asked, self.let_go = 0, threading.Event()

    def published(self) -> Any:
        """Wait."""
        self.asked += 1
        self.let_go.wait(20)


def test_a_store_that_does_not_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is asked once, not again by everybody who looks; when it answers, it is well at the next look."""
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
