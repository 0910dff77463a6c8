"""Entries of live messages: what is asked of them on every road, live or from a file."""

import json
import re
from typing import Any, Literal

import msgspec
import xxhash

from sojourn import times
from sojourn.reading.judge import Number, Reject, as_text, first_reason

Kind = Literal["SESSION_START", "EVENT", "SESSION_END"]
KINDS = ("SESSION_START", "EVENT", "SESSION_END")

LAST_SEQ = (1 << 63) - 1
"""The highest number of a message."""

USUAL_TIME = re.compile(rb"(?:0|[1-9][0-9]{0,9})(?:\.[0-9]{1,6})?")
"""A timestamp as clients write it, in plain decimals; every other number is looked at exactly."""

_VALUES = json.JSONDecoder(parse_int=Number, parse_float=Number)
_SEQ = re.compile(r"[1-9][0-9]{0,18}", re.ASCII)
_SESSION_ID = re.compile(r"[A-Za-z0-9._~-]{1,128}", re.ASCII)
_FAR = re.compile(r"[eE][+-]?0*[1-9][0-9]{3,}", re.ASCII)


def is_session_id(text: str) -> bool:
    """Whether *text* can name a session."""
    return _SESSION_ID.fullmatch(text) is not None


def is_seq(digits: str) -> bool:
    """Whether a JSON number is that of a message: 1, 2, 3, ..."""
    return _SEQ.fullmatch(digits) is not None and int(digits) <= LAST_SEQ


def is_time(digits: str) -> bool:
    """Whether a JSON number is an instant of the calendar in epoch seconds, of at most 6 decimal places as written.

    An exponent moves the point: ``1.569972082E9`` has none.
    """
    in_calendar = _FAR.search(digits) is None and times.parse_epoch(digits, "epoch_s") is not None
    return in_calendar and _scaled(digits)[1] >= -6


def usual_time(digits: bytes | msgspec.Raw) -> int | None:
    """Epoch microseconds of a usual time; None for every other number."""
    if USUAL_TIME.fullmatch(digits) is None:
        return None
    seconds, _, fraction = bytes(digits).partition(b".")
    return int(seconds) * 1_000_000 + int(fraction.ljust(6, b"0"))


def message_fault(document: dict[str, Any]) -> Reject | None:
    """Why a line's object is no message, if so: it has a session, a number, and at least one entry."""
    verdict = first_reason([_session_id(document), _seq(document), _entries(document)])
    return verdict if isinstance(verdict, Reject) else None


def text_of(document: dict[str, Any], key: str, root: str) -> str | Reject:
    """Required text; a number is none, not even under a lax contract: live sessions take none either."""
    found = document.get(key)
    if found is None:
        return Reject("missing_field", f"{root}.{key}", None)
    return found if type(found) is str else Reject("bad_type", f"{root}.{key}", as_text(found))


def kind_of(entry: dict[str, Any], root: str) -> str | Reject:
    """What sort of entry it is."""
    found = text_of(entry, "type", root)
    is_fine = isinstance(found, Reject) or found in KINDS
    return found if is_fine else Reject("unknown_value", f"{root}.type", as_text(found))


def time_of(entry: dict[str, Any], root: str) -> int | Reject | None:
    """When it was, in epoch microseconds."""
    path, found = f"{root}.timestamp", entry.get("timestamp")
    if found is None:
        return Reject("missing_field", path, None)
    if not isinstance(found, Number):
        return Reject("bad_type", path, as_text(found))
    return times.parse_epoch(found, "epoch_s") if is_time(found) else Reject("bad_time", path, as_text(found))


def session_of(marker: dict[str, Any], session_id: str, root: str) -> str | Reject:
    """The session that a marker names: that of its message."""
    found = text_of(marker, "session_id", root)
    is_fine = isinstance(found, Reject) or found == session_id
    return found if is_fine else Reject("unknown_value", f"{root}.session_id", as_text(found))


def fingerprint(content: bytes) -> bytes:
    """16 bytes, equal for JSON of equal content: keys in any order, numbers by value, any white space."""
    value = _canonical(_VALUES.decode(content.decode()))
    return xxhash.xxh3_128_digest(json.dumps(value, sort_keys=True).encode())


def _session_id(document: dict[str, Any]) -> str | Reject:
    found = text_of(document, "session_id", "$")
    is_fine = isinstance(found, Reject) or is_session_id(found)
    return found if is_fine else Reject("bad_type", "$.session_id", as_text(found))


def _seq(document: dict[str, Any]) -> str | Reject:
    found = document.get("seq")
    if found is None:
        return Reject("missing_field", "$.seq", None)
    is_fine = isinstance(found, Number) and is_seq(found)
    return str(found) if is_fine else Reject("bad_type", "$.seq", as_text(found))


def _entries(document: dict[str, Any]) -> Reject | None:
    """Whether there is at least one entry."""
    found = document.get("events")
    if found is None:
        return Reject("missing_field", "$.events", None)
    if not isinstance(found, list):
        return Reject("bad_type", "$.events", as_text(found))
    return None if found else Reject("missing_field", "$.events[0]", None)


def _canonical(value: Any) -> Any:
    """The value with its numbers by value, and texts that cannot be taken for them."""
    if isinstance(value, Number):
        digits, power = _scaled(value.removeprefix("-"))
        significant = digits.strip("0")
        power += len(digits) - len(digits.rstrip("0"))
        return f"{'-' * value.startswith('-')}{significant}e{power}" if significant else "0"
    if isinstance(value, dict):
        return {key: _canonical(part) for key, part in value.items()}
    if isinstance(value, list):
        return [_canonical(part) for part in value]
    return f'"{value}' if isinstance(value, str) else value


def _scaled(number: str) -> tuple[str, int]:
    """The digits of a JSON number, and the power of ten that they count."""
    mantissa, _, exponent = number.lower().partition("e")
    whole, _, fraction = mantissa.partition(".")
    return whole + fraction, int(exponent[:99] or 0) - len(fraction)  # longer ones are too long for an `int`
