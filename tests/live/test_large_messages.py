"""Large messages, which take long to be compared, hold up nobody else."""

import asyncio
import json
import threading
from typing import cast

import pytest

from sojourn.live import ingest as streaming
from sojourn.live import protocol
from sojourn.live.ingest import Ingest, Limits
from sojourn.live.protocol import Incoming, Known, read
from sojourn.reading.entries import fingerprint
from sojourn.store.journals import Journal, Standing, Stored

START = [{"type": "SESSION_START", "timestamp": 1, "session_id": "a", "more": 1.5}]


class Holding:
    """A journal that holds the message."""

    def claim(self, _: str) -> Standing:
        """It is the first and last one."""
        return Standing(1, json.dumps(START).encode())

    def message(self, session_id: str, seq: int) -> Stored:
        """The same, written in another way."""
        return Stored(1, session_id, seq, json.dumps(START, indent=1).encode(), 0)


def test_a_message_that_comes_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is compared, and a session's first one looked at, where nobody waits for the event loop."""
    message = read(json.dumps({"seq": 1, "events": START}), "a", max_bytes=1000, max_entries=10)
    assert isinstance(message, Incoming)
    compared: list[bool] = []

    def noted(content: bytes) -> bytes:
        compared.append(threading.current_thread() is threading.main_thread())
        return fingerprint(content)

    for module in (protocol, streaming):
        monkeypatch.setattr(module, "fingerprint", noted)

    async def come() -> None:
        ingest = Ingest(cast("Journal", Holding()), Limits())
        async with ingest.turn("a") as held:
            assert await ingest.again(held, message) == Known(1)

    asyncio.run(come())
    assert compared == [False] * 3
