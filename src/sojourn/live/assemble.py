"""From the stored messages of a session to its document (semantics, 8.1 and 8.6)."""

from collections.abc import Iterable
from decimal import Decimal
from typing import Any

import msgspec

from sojourn.live.exact import Kind

Entry = dict[str, msgspec.Raw]
_ENTRIES = msgspec.json.Decoder(list[Entry])
_KIND = msgspec.json.Decoder(Kind)


class _Parts(msgspec.Struct):
    """The first start, the first end and the events of a session, in the order they came."""

    start: msgspec.Raw
    end: msgspec.Raw | None
    events: list[Entry]


def document(messages: Iterable[bytes]) -> bytes:
    """The session as one JSON object; *messages* are the stored arrays of entries in the order of their numbers.

    Raises `ValueError` when they do not begin with a ``SESSION_START``.
    """
    parts = _parts(messages)
    events = sorted(parts.events, key=lambda event: _moment(event["timestamp"]))
    whole: dict[str, Any] = {"type": "SESSION", "start": parts.start, "end": parts.end}
    whole["children"] = [
        {"type": "EVENT", "timestamp": event["timestamp"], "name": event["name"]} | event for event in events
    ]
    warnings = _warnings(parts, events)
    return msgspec.json.encode(whole | {"warnings": warnings} if warnings else whole)


def _parts(messages: Iterable[bytes]) -> _Parts:
    entries = [(_KIND.decode(entry["type"]), entry) for message in messages for entry in _ENTRIES.decode(message)]
    if not entries or entries[0][0] != "SESSION_START":
        raise ValueError("a session begins with its SESSION_START")
    ends = [entry["timestamp"] for kind, entry in entries if kind == "SESSION_END"]
    events = [entry for kind, entry in entries if kind == "EVENT"]
    return _Parts(entries[0][1]["timestamp"], ends[0] if ends else None, events)


def _moment(number: msgspec.Raw) -> Decimal:
    return Decimal(bytes(number).decode())


def _warnings(parts: _Parts, events: list[Entry]) -> list[dict[str, str]]:
    """Each event that lies outside of its session in time, by its place among the children."""
    start, end = _moment(parts.start), None if parts.end is None else _moment(parts.end)
    found = []
    for at, event in enumerate(events):
        moment = _moment(event["timestamp"])
        if moment < start:
            found.append(_warning(at, "before_start", f"{start - moment:f} s before the session's start"))
        if end is not None and moment > end:
            found.append(_warning(at, "after_end", f"{moment - end:f} s after the session's end"))
    return found


def _warning(at: int, code: str, message: str) -> dict[str, str]:
    return {"code": code, "path": f"$.children[{at}]", "message": message}
