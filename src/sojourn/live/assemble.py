"""From the stored messages of a session to its document (semantics, 8.1 and 8.6)."""

from collections.abc import Iterable
from decimal import Decimal
from operator import itemgetter
from typing import Any

import msgspec

from sojourn.reading.entries import KINDS, Kind

Entry = dict[str, msgspec.Raw]
Event = tuple[int | Decimal, Entry]
"""When, and what."""


_ENTRIES = msgspec.json.Decoder(list[Entry])
_KIND = msgspec.json.Decoder(Kind)
_USUAL = {f'"{kind}"'.encode(): kind for kind in KINDS}  # others have escapes in them


def document(messages: Iterable[bytes]) -> bytes:
    """The session as one JSON object; *messages* are the stored arrays of entries in the order of their numbers.

    Raises `ValueError` when they do not begin with a ``SESSION_START``.
    """
    start: msgspec.Raw | None = None
    end: msgspec.Raw | None = None
    events: list[Event] = []
    for message in messages:
        for entry in _ENTRIES.decode(message):
            kind = _USUAL.get(bytes(entry["type"])) or _KIND.decode(entry["type"])
            if start is None and kind != "SESSION_START":
                break
            if kind == "EVENT":
                events.append((_moment(entry["timestamp"]), entry))
            elif kind == "SESSION_START":
                start = start or entry["timestamp"]
            else:
                end = end or entry["timestamp"]
    if start is None:
        raise ValueError("a session begins with its SESSION_START")
    events.sort(key=itemgetter(0))
    whole: dict[str, Any] = {"type": "SESSION", "start": start, "end": end}
    whole["children"] = [
        {"type": "EVENT", "timestamp": event["timestamp"], "name": event["name"]} | event for _, event in events
    ]
    warnings = _warnings(_moment(start), None if end is None else _moment(end), events)
    return msgspec.json.encode(whole | {"warnings": warnings} if warnings else whole)


def _moment(number: msgspec.Raw) -> int | Decimal:
    digits = bytes(number)
    return int(digits) if digits.isdigit() else Decimal(digits.decode())


def _warnings(start: int | Decimal, end: int | Decimal | None, events: list[Event]) -> list[dict[str, str]]:
    """Each event that lies outside of its session in time, by its place among the children."""
    found = []
    for at, (moment, _) in enumerate(events):
        if moment < start:
            found.append(_warning(at, "before_start", f"{Decimal(start - moment):f} s before the session's start"))
        if end is not None and moment > end:
            found.append(_warning(at, "after_end", f"{Decimal(moment - end):f} s after the session's end"))
    return found


def _warning(at: int, code: str, message: str) -> dict[str, str]:
    return {"code": code, "path": f"$.children[{at}]", "message": message}
