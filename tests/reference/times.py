"""Instants (semantics 2.1) as epoch microseconds; every reader gives None for what it cannot read."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from tests.reference.jsontext import is_number

MICROSECOND = timedelta(microseconds=1)
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
FIRST = (datetime.min.replace(tzinfo=UTC) - EPOCH) // MICROSECOND  # 0001-01-01T00:00:00
LAST = (datetime.max.replace(tzinfo=UTC) - EPOCH) // MICROSECOND  # 9999-12-31T23:59:59.999999

# How many decimal places a unit stands above the microsecond.
UNITS = {"epoch_s": 6, "epoch_ms": 3, "epoch_us": 0, "epoch_ns": -3}

_OFFSET = r"Z|[+-][0-9]{2}(?::?[0-9]{2})?"
_ISO = re.compile(
    r"(?P<Y>[0-9]{4})-(?P<m>[0-9]{2})-(?P<d>[0-9]{2})[T ]"
    r"(?P<H>[0-9]{2}):(?P<M>[0-9]{2}):(?P<S>[0-9]{2})(?:\.(?P<f>[0-9]{1,9}))?"
    rf"(?P<z>{_OFFSET})?"
)
_DIRECTIVES = {
    "%Y": r"(?P<Y>[0-9]{4})",
    "%y": r"(?P<y>[0-9]{2})",
    "%m": r"(?P<m>[0-9]{2})",
    "%d": r"(?P<d>[0-9]{2})",
    "%H": r"(?P<H>[0-9]{2})",
    "%M": r"(?P<M>[0-9]{2})",
    "%S": r"(?P<S>[0-9]{2})",
    "%f": r"(?P<f>[0-9]{1,9})",
    "%z": rf"(?P<z>{_OFFSET})",
    "%%": "%",
}


def read_iso(text: str, zone: str) -> int | None:
    """ISO 8601 date and time; without an offset it is local time in *zone*."""
    found = _ISO.fullmatch(text)
    return None if found is None else _instant(found.groupdict(), zone)


def read_pattern(text: str, pattern: str, zone: str) -> int | None:
    """A strptime pattern; a part of the time that it does not name is zero.

    A part of two digits may have one where the pattern has none of its digits beside it.
    """
    found = re.fullmatch(_expression(pattern), text)
    return None if found is None else _instant(found.groupdict(), zone)


def read_epoch(number: str, unit: str) -> int | None:
    """A number in JSON's form, of seconds ... nanoseconds; digits below the microsecond are cut off.

    Worked on the digits as written, so that neither a float nor a huge exponent comes in between.
    """
    assert is_number(number)
    mantissa, _, exponent = number.lower().removeprefix("-").partition("e")
    whole, _, decimals = mantissa.partition(".")
    digits = (whole + decimals).lstrip("0")
    if not digits:
        return 0
    sign = "-" if exponent.startswith("-") else ""
    power = int(sign + (exponent.lstrip("+-").lstrip("0")[:18] or "0"))
    # The value in microseconds is 0.DIGITS times ten to this place.
    place = len(digits) - len(decimals) + power + UNITS[unit]
    if place > 20:
        return None
    size = int(digits[:place].ljust(place, "0")) if place > 0 else 0
    return _in_range(-size if number.startswith("-") else size)


def local_time(instant: int, zone: str) -> datetime:
    """The calendar time of an instant in *zone* (OverflowError outside the years 1 to 9999)."""
    return (EPOCH + instant * MICROSECOND).astimezone(ZoneInfo(zone))


def _expression(pattern: str) -> str:
    tokens = re.findall(r"%.|.", pattern, re.DOTALL)
    expression = ""
    for at, token in enumerate(tokens):
        part = _DIRECTIVES.get(token, re.escape(token))
        if len(token) == 2 and token not in _DIRECTIVES:
            raise ValueError(f"{token} in {pattern!r} is not read here")
        neighbours = tokens[max(at - 1, 0) : at] + tokens[at + 1 : at + 2]
        if token in ("%m", "%d", "%H", "%M", "%S") and not any(map(_has_digits, neighbours)):
            part = part.replace("{2}", "{1,2}")
        expression += part
    return expression


def _has_digits(token: str) -> bool:
    return (token in _DIRECTIVES and token != "%%") or token.isdigit()


def _instant(parts: dict[str, str | None], zone: str) -> int | None:
    year = int(parts.get("Y") or 0)
    if parts.get("y"):
        short = int(parts["y"] or 0)
        year = 2000 + short if short < 69 else 1900 + short  # as POSIX has it
    fraction = (parts.get("f") or "")[:6].ljust(6, "0")
    try:
        as_if_utc = datetime(
            year,
            int(parts["m"] or 0),
            int(parts["d"] or 0),
            int(parts.get("H") or 0),
            int(parts.get("M") or 0),
            int(parts.get("S") or 0),
            int(fraction),
            tzinfo=UTC,
        )
    except ValueError:  # no such day, hour 24, second 60
        return None
    offset = parts.get("z")
    shift = _zone_shift(as_if_utc, zone) if offset is None else _offset_shift(offset)
    return None if shift is None else _in_range((as_if_utc - EPOCH - shift) // MICROSECOND)


def _zone_shift(clock: datetime, zone: str) -> timedelta:
    """fold=0: of two instants the earlier; in a gap the offset before it, which shifts forward."""
    shift = clock.replace(tzinfo=ZoneInfo(zone), fold=0).utcoffset()
    assert shift is not None
    return shift


def _offset_shift(offset: str) -> timedelta | None:
    if offset == "Z":
        return timedelta(0)
    digits = offset[1:].replace(":", "")
    hours, minutes = int(digits[:2]), int(digits[2:] or 0)
    if hours > 23 or minutes > 59:
        return None
    shift = timedelta(hours=hours, minutes=minutes)
    return -shift if offset[0] == "-" else shift


def _in_range(instant: int) -> int | None:
    return instant if FIRST <= instant <= LAST else None
