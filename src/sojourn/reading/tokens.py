"""Every text that a record may hold, also a damaged one: whoever looks for an actor in it misses nothing.

What can be read as JSON, or as a line of CSV, holds its values and nothing else. Of all other text every piece counts
that some reading of it gives: between quotes and other marks, with its escapes and without. Too many are found rather
than too few.
"""

import json
import re
from collections.abc import Iterator
from typing import Any

from sojourn.reading.csv import split

_DEPTH = 4  # JSON within text of JSON

_UNESCAPED = re.compile(r'(?:[^"\\]|\\.)++', re.DOTALL)  # what lies between two quotes that no backslash precedes
_DOUBLED = re.compile(r'"((?:[^"]|"")*+)')
_DOUBLED_FIELD = re.compile(r'(?:^|(?<=[,;|\t\n]))"((?:[^"]|"")*+)')  # where the quotes before do not pair
_FIELDS = re.compile(r"[,;|\t\r\n]")
_WORDS = re.compile(r"""[\s\[\]{},;|"'`]+|(?<!\d):|:(?!\d)""")  # a clock's hours and minutes are one word
_ESCAPE = re.compile(r"\\(?:u([0-9a-fA-F]{4})|(.))", re.DOTALL)
_SHORT = {"b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t"}
_BYTES = re.compile(r"""b(['"])(.*)\1""", re.DOTALL)  # bytes in a column of Parquet, as they are shown
_WIDE = {"utf-16-le": 2, "utf-16-be": 2, "utf-32-le": 4, "utf-32-be": 4}

_JSON = json.JSONDecoder(object_pairs_hook=list, parse_int=str, parse_float=str, parse_constant=str, strict=False)


def of_reject(raw: bytes, value: str | None, delimiter: str | None = None) -> set[str]:
    """Every text in a quarantined record: in its *raw* bytes, and in the offending *value* that stands beside them.

    *delimiter*: that of the CSV file it comes from.
    """
    found = tokens(raw, delimiter)
    if value is not None:
        found |= {value, *(values(value) or ())}
    return found | {inner[2] for text in found if (inner := _BYTES.fullmatch(text))}


def tokens(raw: bytes, delimiter: str | None = None) -> set[str]:
    """Every text in *raw*, whose encoding may be another than the declared one, or broken."""
    found: set[str] = set()
    for text in _decoded(raw):
        found |= _of_text(text, delimiter, 0)
    return found


def values(text: str, *, with_keys: bool = True) -> set[str] | None:
    """Every string and number (by its digits) in *text* of JSON, and in such text within it; None for all other."""
    try:
        document = _JSON.decode(text)
    except (ValueError, RecursionError):
        return None
    return _walked(document, with_keys, 0)


def _walked(document: Any, with_keys: bool, depth: int) -> set[str]:
    found: set[str] = set()
    waiting = [document]
    while waiting:
        value = waiting.pop()
        if isinstance(value, str):
            found.add(value)
            if depth < _DEPTH and value.lstrip()[:1] in ("{", "["):
                found |= _nested(value, with_keys, depth + 1)
        elif isinstance(value, tuple):  # a key and its value
            waiting += value if with_keys else value[1:]
        elif isinstance(value, list):
            waiting += value
    return found


def _nested(text: str, with_keys: bool, depth: int) -> set[str]:
    try:
        return _walked(_JSON.decode(text), with_keys, depth)
    except (ValueError, RecursionError):
        return set()


def _decoded(raw: bytes) -> Iterator[str]:
    """The text of *raw* in each encoding that it may have."""
    yield raw.decode("utf-8", "surrogateescape").removeprefix("\ufeff")
    if not raw.isascii():
        yield raw.decode("latin-1")
    if b"\0" in raw:
        yield raw.replace(b"\0", b"").decode("utf-8", "surrogateescape")
        for codec, width in _WIDE.items():
            for shift in range(width):  # a line break of one byte cuts a character of two
                yield raw[shift:].decode(codec, "replace").removeprefix("\ufeff")


def _of_text(text: str, delimiter: str | None, depth: int) -> set[str]:
    if (found := values(text)) is not None:
        return found | {text.strip()}
    cells = split(text, delimiter) if delimiter is not None else None
    if cells is not None and len(cells) > 1:
        return _of_cells([cell for cell in cells if cell is not None], depth)
    return _of_broken(text, depth)


def _of_cells(cells: list[str], depth: int) -> set[str]:
    found: set[str] = set()
    for cell in cells:
        found |= {cell, *_FIELDS.split(cell)}
        if depth < _DEPTH and any(mark in cell for mark in "{[\"'"):
            found |= _of_text(cell, None, depth + 1)
    return found | {text.strip() for text in found}


def _of_broken(text: str, depth: int) -> set[str]:
    doubled = {found[1].replace('""', '"') for each in (_DOUBLED, _DOUBLED_FIELD) for found in each.finditer(text)}
    found = {text, *doubled, *_UNESCAPED.findall(text), *text.split('"'), *text.split("'")}
    found |= {*_FIELDS.split(text), *_WORDS.split(text)}
    found |= {_unescaped(piece) for piece in found if "\\" in piece}
    if depth < _DEPTH:
        inner = [piece for piece in found if piece != text and piece.lstrip()[:1] in ("{", "[")]
        for piece in inner:
            found |= values(piece) or set()
    found |= {piece.strip() for piece in found} | {piece.strip(" \t\r\n\"'") for piece in found}
    return found - {""}


def _unescaped(text: str) -> str:
    """*text* with the escapes of JSON decoded, pairs of surrogates joined; what is no escape loses its backslash."""
    plain = _ESCAPE.sub(lambda found: chr(int(found[1], 16)) if found[1] else _SHORT.get(found[2], found[2]), text)
    return plain.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "surrogatepass")
