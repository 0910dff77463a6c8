"""A live session without a service: messages are read, judged and kept in a list."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from sojourn.live import assemble
from sojourn.live.protocol import Incoming, Known, New, State, read, take
from sojourn.reading.entries import fingerprint

if TYPE_CHECKING:
    from sojourn.live.refusals import Refusal

ID = "visit-1"
START = '{"timestamp":1569972082,"type":"SESSION_START","session_id":"visit-1"}'
END = '{"timestamp":1569972182,"type":"SESSION_END","session_id":"visit-1"}'


def event(timestamp: str, name: str = "cart_load", more: str = "") -> str:
    """An event's text, its timestamp by its digits."""
    return f'{{"timestamp":{timestamp},"type":"EVENT","name":"{name}"{more}}}'


def array(*entries: str) -> str:
    """A message without a number."""
    return f"[{','.join(entries)}]"


def numbered(seq: int, *entries: str) -> str:
    """A message with its number."""
    return f'{{"seq":{seq},"events":{array(*entries)}}}'


def reading(message: bytes | str, max_bytes: int = 1 << 20, max_entries: int = 1000) -> Incoming | Refusal:
    """The message to the session `ID`, or why it cannot be one."""
    return read(message, ID, max_bytes=max_bytes, max_entries=max_entries)


def exactly(text: bytes | str) -> Any:
    """The value of JSON, its numbers exact."""
    return json.loads(text, parse_float=Decimal, parse_int=Decimal)


class Stream:
    """One session and what it stored."""

    def __init__(self, *messages: bytes | str) -> None:
        self.state = State()
        self.stored: list[bytes] = []
        for message in messages:
            assert isinstance(self.send(message), New), message

    def send(self, message: bytes | str) -> New | Known | Refusal:
        """What becomes of *message*; what is to be stored is stored."""
        found = reading(message)
        if not isinstance(found, Incoming):
            return found
        outcome = take(self.state, found, lambda number: fingerprint(self.stored[number - 1]))
        if isinstance(outcome, New):
            self.stored.append(found.entries)
            self.state = outcome.state
            assert outcome.number == len(self.stored)
        return outcome

    @property
    def text(self) -> bytes:
        """The document as it is given out."""
        return assemble.document(self.stored)

    @property
    def document(self) -> Any:
        """The document, its numbers exact."""
        return exactly(self.text)
