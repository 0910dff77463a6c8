"""Filters of a table's rows in a query string: `column=value`, `column.gte=value` ..., as an SQL condition."""

import math
import re
from collections.abc import Iterable
from datetime import UTC, date, datetime, timedelta

import pyarrow as pa

from sojourn.engines.duckdb import identifier, quote
from sojourn.pipeline import did_you_mean
from sojourn.times import parse_iso, zone_named
from sojourn.web.errors import Refused, refused

_OPERATORS = {"": "=", "ne": "<>", "gt": ">", "gte": ">=", "lt": "<", "lte": "<="}
_BOOLEANS = {"true": "true", "t": "true", "1": "true", "false": "false", "f": "false", "0": "false"}
_NUMBER = re.compile(r"-?[0-9]+(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?")
_INTEGER = re.compile(r"-?[0-9]{1,19}")
_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
HOW = "a day, or a date and time such as 2024-05-31T23:59:59Z (a + in it as %2B)"
"""How an instant is written."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def condition(asked: Iterable[tuple[str, str]], columns: pa.Schema) -> str:
    """The SQL condition that all *asked* filters hold; refused where one names no column or has no such value.

    Values stand in it as SQL strings, which both stores read as the column's own type.
    """
    return " and ".join(_condition(name, text, columns) for name, text in asked) or "true"


def _condition(name: str, text: str, columns: pa.Schema) -> str:
    column, _, operator = name.partition(".")
    if column not in columns.names:
        said = f"there is no column {column}{did_you_mean(column, columns.names)} there are {', '.join(columns.names)}"
        raise refused("unknown_column", said, f"$.query.{name}")
    if operator == "null":
        if text not in _BOOLEANS:
            raise _bad(name, text, "say true or false")
        return f"{identifier(column)} is {'' if _BOOLEANS[text] == 'true' else 'not '}null"
    if operator not in _OPERATORS or name.endswith("."):
        said = f"{name}: after the column comes .null or one of {', '.join(f'.{word}' for word in _OPERATORS if word)}"
        raise refused("bad_filter", said, f"$.query.{name}")
    return f"{identifier(column)} {_OPERATORS[operator]} {quote(_value(name, text, columns.field(column).type))}"


def _value(name: str, text: str, kind: pa.DataType) -> str:
    """*text* as the stores write a value of *kind*."""
    if pa.types.is_integer(kind):
        if not _INTEGER.fullmatch(text) or not -(1 << 63) <= int(text) < 1 << 63:
            raise _bad(name, text, "write an integer of 64 bits")
        return text
    if pa.types.is_floating(kind):
        if not _NUMBER.fullmatch(text) or not math.isfinite(float(text)):
            raise _bad(name, text, "write a number such as 12.5")
        return repr(float(text))
    if pa.types.is_boolean(kind):
        if text not in _BOOLEANS:
            raise _bad(name, text, "say true or false")
        return _BOOLEANS[text]
    if pa.types.is_date(kind):
        return _day(name, text).isoformat()
    if pa.types.is_timestamp(kind):
        return _instant(name, text)
    if "\0" in text:
        raise _bad(name, text, "no text here holds a NUL")
    return text


def instant_of(text: str) -> int | None:
    """The instant in epoch microseconds that *text* says, a day its first one; None where it says none."""
    return parse_iso(f"{text}T00:00:00Z" if _DAY.fullmatch(text) else text, zone_named("UTC"))


def _instant(name: str, text: str) -> str:
    """An instant as text with microseconds and Z."""
    since = instant_of(text)
    try:
        if since is None:
            raise OverflowError
        instant = _EPOCH + timedelta(microseconds=since)
    except OverflowError:
        raise _bad(name, text, f"write {HOW}") from None
    return f"{instant.replace(tzinfo=None).isoformat(timespec='microseconds')}Z"


def _day(name: str, text: str) -> date:
    try:
        if not _DAY.fullmatch(text):
            raise ValueError(text)
        return date.fromisoformat(text)
    except ValueError:
        raise _bad(name, text, "write a day such as 2024-05-31") from None


def _bad(name: str, text: str, instead: str) -> Refused:
    return refused("bad_filter", f"{name}: {text[:80]!r} fits no value of this column; {instead}", f"$.query.{name}")
