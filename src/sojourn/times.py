"""Reading instants exactly: text or number to epoch microseconds, in UTC.

The functions here define what a time is (docs/semantics.md, Time); `reading.columns` has a fast
form for whole columns that agrees with them and leaves every doubtful value to them.
"""

import re
from datetime import UTC, datetime, timedelta
from decimal import Context, Decimal
from functools import lru_cache
from zoneinfo import ZoneInfo

EPOCH_UNITS = {"epoch_s": 0, "epoch_ms": 3, "epoch_us": 6, "epoch_ns": 9}
"""Format name -> how many decimal places its unit lies below a second."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
FIRST = -62_135_596_800_000_000
LAST = 253_402_300_799_999_999
_MICROSECOND = timedelta(microseconds=1)
_ISO = re.compile(r"(\d{4})-(\d\d)-(\d\d)[T ](\d\d):(\d\d):(\d\d)(?:\.(\d{1,9}))?(Z|[+-]\d\d(?::?\d\d)?)?", re.ASCII)
_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?", re.ASCII)
_DIRECTIVES = {
    "Y": r"(?P<Y>\d{4})", "y": r"(?P<y>\d\d)", "m": r"(?P<m>\d\d)", "d": r"(?P<d>\d\d)",
    "H": r"(?P<H>\d\d)", "M": r"(?P<M>\d\d)", "S": r"(?P<S>\d\d)", "f": r"(?P<f>\d{1,9})",
    "z": r"(?P<z>Z|[+-]\d\d(?::?\d\d)?)", "%": "%",
}  # fmt: skip
_SHORTER = {_DIRECTIVES[name]: rf"(?P<{name}>\d\d?)" for name in "mdHMS"}
_DURATION = re.compile(r"(\d+(?:\.\d+)?)(us|ms|s|m|h|d)", re.ASCII)
_DURATION_UNITS = {"us": 1, "ms": 1_000, "s": 10**6, "m": 60 * 10**6, "h": 3_600 * 10**6, "d": 86_400 * 10**6}


def parse_duration(text: str) -> int:
    """Microseconds of a duration with a unit, such as ``30m``; `ValueError` without one."""
    found = _DURATION.fullmatch(text.strip())
    if found is None:
        raise ValueError(f"{text!r} is not a duration; write a number with a unit, such as 30m, 90s or 2h")
    duration = Decimal(found[1]) * _DURATION_UNITS[found[2]]
    if duration > LAST - FIRST:
        raise ValueError(f"{text[:40]!r} is longer than the calendar; write a number with a unit, such as 30m")
    return int(duration)


def parse_iso(text: str, zone: ZoneInfo) -> int | None:
    """Epoch microseconds of an ISO 8601 date and time, or None; *zone* serves text without an offset."""
    found = _ISO.fullmatch(text)
    if found is None:
        return None
    year, month, day, hour, minute, second, fraction, offset = found.groups()
    return _instant((year, month, day, hour, minute, second), fraction, offset, zone)


@lru_cache(maxsize=64)
def pattern_regex(pattern: str) -> re.Pattern[str]:
    """The regular expression of a strptime pattern; `ValueError` names what it cannot read.

    Month, day, hour, minute and second may have one digit where no other digit can stand beside them.
    """
    parts, rest = [], pattern
    while rest:
        if rest[0] != "%":
            parts.append(re.escape(rest[0]))
            rest = rest[1:]
            continue
        if rest[1:2] not in _DIRECTIVES:
            raise ValueError(f"{pattern!r}: %{rest[1:2]} is not supported; use %Y %y %m %d %H %M %S %f %z")
        parts.append(_DIRECTIVES[rest[1]])
        rest = rest[2:]
    around = zip(["", *parts], parts, [*parts[1:], ""], strict=False)
    parts = [_SHORTER.get(part, part) if _no_digit(before, after) else part for before, part, after in around]
    if not all(re.search(rf"\(\?P<[{names}]>", "".join(parts)) for names in ("Yy", "m", "d")):
        raise ValueError(f"{pattern!r} needs year, month and day (%Y or %y, %m, %d)")
    try:
        return re.compile("".join(parts), re.ASCII)
    except re.error as error:
        raise ValueError(f"{pattern!r} names a part twice") from error


def parse_pattern(text: str, pattern: str, zone: ZoneInfo) -> int | None:
    """Epoch microseconds of *text* under a strptime *pattern*, or None."""
    found = pattern_regex(pattern).fullmatch(text)
    if found is None:
        return None
    part = found.groupdict()
    year = part.get("Y") or _full_year(part["y"])
    clock = (part.get("H") or "0", part.get("M") or "0", part.get("S") or "0")
    fields = (year, part["m"], part["d"], *clock)
    return _instant(fields, part.get("f"), part.get("z"), zone)


def parse_epoch(digits: str, unit: str) -> int | None:
    """Epoch microseconds of a number given by its own *digits* in *unit*; further digits are cut off."""
    if _NUMBER.fullmatch(digits) is None or len(digits) > 64:
        return None
    mantissa, _, exponent = digits.lower().partition("e")
    if len(exponent.lstrip("+-0")) > 4:  # more than a Decimal takes, or will ever matter
        is_nothing = Decimal(mantissa).is_zero() or exponent.startswith("-")
        return 0 if is_nothing else None
    number = Decimal(digits)
    if number.is_zero():
        return 0
    if number.adjusted() > 40 or number.adjusted() < -40:
        return None if number.adjusted() > 0 else 0
    return _in_range(int(number.scaleb(6 - EPOCH_UNITS[unit], Context(prec=128))))


def is_number(text: str) -> bool:
    """Whether *text* has the form of a JSON number."""
    return _NUMBER.fullmatch(text) is not None


def to_iso(microseconds: int) -> str:
    """``2016-01-01T00:00:00.000000Z`` of epoch microseconds."""
    return (_EPOCH + microseconds * _MICROSECOND).strftime("%Y-%m-%dT%H:%M:%S.%fZ").rjust(27, "0")


def zone_named(name: str) -> ZoneInfo:
    """The time zone *name*; `ValueError` when there is none."""
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError) as error:
        raise ValueError(f"{name!r} is not a time zone; use a name such as UTC or Europe/Berlin") from error


def offset_seconds(offset: str) -> int | None:
    """Seconds east of UTC of ``Z``, ``+02``, ``+0200`` or ``+02:00``; None when out of range."""
    if offset == "Z":
        return 0
    hours, minutes = int(offset[1:3]), int(offset[-2:]) if len(offset) > 3 else 0
    if hours > 23 or minutes > 59:
        return None
    return (-1 if offset[0] == "-" else 1) * (hours * 3600 + minutes * 60)


def _no_digit(*expressions: str) -> bool:
    """Whether none of the *expressions*, each of a directive or a character, can be a digit."""
    return not any(one.startswith("(") or one[-1:].isdigit() for one in expressions)


def _full_year(two_digits: str) -> str:
    return ("19" if int(two_digits) >= 69 else "20") + two_digits  # as POSIX has it


def _instant(fields: tuple[str, ...], fraction: str | None, offset: str | None, zone: ZoneInfo) -> int | None:
    micro = int((fraction or "0")[:6].ljust(6, "0"))
    try:
        year, month, day, hour, minute, second = map(int, fields)
        local = datetime(year, month, day, hour, minute, second, micro, tzinfo=UTC)
    except ValueError:
        return None
    if offset is not None:
        east = offset_seconds(offset)
        if east is None:
            return None
        return _in_range((local - _EPOCH) // _MICROSECOND - east * 1_000_000)
    # fold=0 is the earlier of two instants, and shifts a local time that does not exist forward by the gap
    shift = local.replace(tzinfo=zone, fold=0).utcoffset() or timedelta(0)
    return _in_range((local - _EPOCH - shift) // _MICROSECOND)


def _in_range(microseconds: int) -> int | None:
    return microseconds if FIRST <= microseconds <= LAST else None
