"""Every text that a record may hold, also a damaged one: whoever looks for an actor in it misses nothing.

What can be read as JSON, or as a line of CSV with the declared columns, holds its values and nothing else. Of all
other text every piece counts that some reading of it gives: between quotes and other marks, up to eight such pieces
with the marks between them, with escapes and without. Too many are found rather than too few. Who is forgotten is
known by hashes alone, so texts are taken out of a record and looked up; nobody can be looked for in it.
"""

import html
import json
import re
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any
from urllib.parse import unquote, unquote_plus

from sojourn.reading.csv import split

_DEPTH = 4  # JSON within text of JSON
_TWICE = 2  # an escaped address in an escaped text
_MOST = 8  # pieces that a name consists of: Maria del Carmen de la Torre y Vega
_NO_CELLS = ("bad_row", "invalid_utf8", "too_large")  # reasons why a line of CSV was not taken for one

_UNESCAPED = re.compile(r'(?:[^"\\]|\\.)++', re.DOTALL)  # what lies between two quotes that no backslash precedes
_DOUBLED = re.compile(r'"((?:[^"]|"")*+)')
_DOUBLED_FIELD = re.compile(r'(?:^|(?<=[,;|\t\n]))"((?:[^"]|"")*+)')  # where the quotes before do not pair
_FIELDS = re.compile(r"[,;|\t\r\n]")
_PIECE = re.compile(r"""[^\s\[\](){}<>,;:|&=/?#"'`\\]+""")
_BARE = re.compile(r"\w(?:.*\w)?", re.DOTALL)  # without the full stop behind a sentence, or a star on either side
_ESCAPE = re.compile(r"\\(?:u([0-9a-fA-F]{4})|(.))", re.DOTALL)
_SHORT = {"b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t"}
_BYTES = re.compile(r"""b(['"])(.*)\1""", re.DOTALL)  # bytes in a column of Parquet, as they are shown
_WIDE = {"utf-16-le": 2, "utf-16-be": 2, "utf-32-le": 4, "utf-32-be": 4}

_JSON = json.JSONDecoder(object_pairs_hook=list, parse_int=str, parse_float=str, parse_constant=str, strict=False)


def of_reject(raw: bytes, value: str | None, delimiter: str | None = None, reason: str | None = None) -> Iterator[str]:
    """Every text in a quarantined record: in its *raw* bytes, and in the offending *value* that stands beside them.

    *delimiter*: that of the CSV file it comes from; *reason*: why it was quarantined. A text may come more than once.
    """
    for text in (*([value] if value is not None else ()), *(values(value or "") or ())):
        yield from _with_bytes(text)
    for text in _texts(raw, delimiter, is_row=reason not in _NO_CELLS):
        yield from _with_bytes(text)


def _with_bytes(text: str) -> Iterator[str]:
    yield text
    if text.startswith("b") and (inner := _BYTES.fullmatch(text)):
        yield inner[2]


def tokens(raw: bytes, delimiter: str | None = None, *, is_row: bool = True) -> set[str]:
    """Every text in *raw*, whose encoding may be another than the declared one, or broken.

    *delimiter*: that of the CSV file it comes from; *is_row*: whether it has the columns of that file.
    """
    return set(_texts(raw, delimiter, is_row=is_row))


def _texts(raw: bytes, delimiter: str | None, *, is_row: bool) -> Iterator[str]:
    for text in _decoded(raw):
        yield from _of_text(text, delimiter, 0)
        if delimiter is not None and not is_row:
            yield from _of_text(text, None, 0)


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
    text = raw.decode("utf-8", "surrogateescape").removeprefix("\ufeff")
    yield text
    if not raw.isascii():
        yield raw.decode("latin-1")
        if (legible := raw.decode("utf-8", "ignore")) != text:  # as many programs read it
            yield legible
    if b"\0" in raw:
        yield raw.replace(b"\0", b"").decode("utf-8", "surrogateescape")
        for codec, width in _WIDE.items():
            for shift in range(width):  # a line break of one byte cuts a character of two
                yield raw[shift:].decode(codec, "replace").removeprefix("\ufeff")


def _of_text(text: str, delimiter: str | None, depth: int) -> Iterator[str]:
    if (found := values(text)) is not None:
        yield from found | {text.strip()}
        return
    cells = split(text, delimiter) if delimiter is not None else None
    if cells is not None and len(cells) > 1:
        yield from _of_cells([cell for cell in cells if cell is not None], depth)
        return
    yield from _of_broken(text, depth)
    for reading in _readings(text):
        yield from _runs(reading)


def _of_cells(cells: list[str], depth: int) -> set[str]:
    found: set[str] = set()
    for cell in cells:
        found |= {cell, *_FIELDS.split(cell)}
        if depth < _DEPTH and any(mark in cell for mark in "{[\"'"):
            found.update(_of_text(cell, None, depth + 1))
    return found | {text.strip() for text in found}


def _of_broken(text: str, depth: int) -> set[str]:
    """What stands between two marks of one sort, whatever else is in it."""
    doubled = {found[1].replace('""', '"') for each in (_DOUBLED, _DOUBLED_FIELD) for found in each.finditer(text)}
    found = {text, *doubled, *_UNESCAPED.findall(text), *text.split('"'), *text.split("'")}
    found |= {*_FIELDS.split(text), *text.split()}
    found |= {decode(piece) for mark, decode in _DECODERS for piece in found if mark in piece}
    if depth < _DEPTH:
        inner = [piece for piece in found if piece != text and piece.lstrip()[:1] in ("{", "[")]
        for piece in inner:
            found |= values(piece) or set()
    found |= {piece.strip() for piece in found} | {piece.strip(" \t\r\n\"'") for piece in found}
    return found - {""}


def _readings(text: str) -> set[str]:
    """*text* as it stands, and with what may be escapes in it decoded."""
    found = last = {text}
    for _ in range(_TWICE):
        last = {decode(each) for mark, decode in _DECODERS for each in last if mark in each} - found
        found = found | last
    return found


def _runs(text: str) -> Iterator[str]:
    """Every piece of *text* between marks and white space, and up to so many of them as they stand together.

    Each as it is, without what is no letter or digit on its outside, and with a bracket there.
    """
    starts: list[set[int]] = []  # of the last pieces
    for found in _PIECE.finditer(text):
        start, end = found.span()
        bare = _BARE.search(found[0])
        begins = {start, start + bare.start()} if bare else {start}
        ends = {end, start + bare.end()} if bare else {end}
        begins |= {start - 1} if start and text[start - 1] in "([{<" else set()
        ends |= {end + 1} if text[end : end + 1] in (*")]}>",) else set()
        starts = [*starts[1 - _MOST :], begins]
        for each in starts:
            for begin in each:
                yield from (text[begin:stop] for stop in ends)


def _unescaped(text: str) -> str:
    """*text* with the escapes of JSON decoded, pairs of surrogates joined; what is no escape loses its backslash."""
    plain = _ESCAPE.sub(lambda found: chr(int(found[1], 16)) if found[1] else _SHORT.get(found[2], found[2]), text)
    return plain.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "surrogatepass")


_DECODERS: tuple[tuple[str, Callable[[str], str]], ...] = (
    ("\\", _unescaped),
    ("%", unquote),
    ("%", partial(unquote, encoding="latin-1")),
    ("+", unquote_plus),
    ("&", html.unescape),
)
"""How text may be escaped, and the mark without which it is not."""
