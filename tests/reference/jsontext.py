"""JSON text read by its grammar (RFC 8259), keeping the source text of every value.

The standard library's reader accepts NaN and Infinity and forgets how a number was written;
a rejection must show the value as it stood in the record, so this reader keeps the slice.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field

MAX_DEPTH = 128

_SPACE = re.compile(r"[ \t\n\r]*")
_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?")
_PLAIN = r'[^"\\\x00-\x1f]*'
_STRING = re.compile(rf'"{_PLAIN}(?:\\(?:["\\/bfnrt]|u[0-9a-fA-F]{{4}}){_PLAIN})*"')
_WORDS = {"true": "boolean", "false": "boolean", "null": "null"}


class InvalidJsonError(ValueError):
    """The text is not one JSON value."""


@dataclass(frozen=True)
class Node:
    """One JSON value. *kind* is object, array, text, number, boolean or null."""

    kind: str
    source: str
    text: str = ""  # of kind text: the decoded string
    members: dict[str, Node] = field(default_factory=dict)  # of kind object
    items: tuple[Node, ...] = ()  # of kind array


def is_number(text: str) -> bool:
    """Whether the whole text has JSON's number form."""
    return _NUMBER.fullmatch(text) is not None


def nesting(raw: bytes) -> int:
    """The greatest depth of brackets outside strings; it needs no valid JSON, nor valid UTF-8."""
    depth = deepest = 0
    in_string = escaped = False
    for char in raw:
        if in_string:
            if escaped:
                escaped = False
            elif char == ord("\\"):
                escaped = True
            elif char == ord('"'):
                in_string = False
        elif char == ord('"'):
            in_string = True
        elif char in b"[{":
            depth += 1
            deepest = max(deepest, depth)
        elif char in b"]}":
            depth -= 1
    return deepest


def parse(text: str) -> Node:
    """The one value that the text holds; call it only on text nested at most MAX_DEPTH deep."""
    node, at = _value(text, _skip(text, 0))
    if _skip(text, at) != len(text):
        raise InvalidJsonError("something follows the value")
    return node


def _skip(text: str, at: int) -> int:
    found = _SPACE.match(text, at)
    assert found is not None
    return found.end()


def _value(text: str, at: int) -> tuple[Node, int]:
    """The value that begins at *at* (no space before it), and where it ends."""
    if text.startswith("{", at):
        return _object(text, at)
    if text.startswith("[", at):
        return _array(text, at)
    if text.startswith('"', at):
        return _string(text, at)
    for word, kind in _WORDS.items():
        if text.startswith(word, at):
            return Node(kind, word), at + len(word)
    number = _NUMBER.match(text, at)
    if number is None:
        raise InvalidJsonError(f"no value at {at}")
    return Node("number", number.group()), number.end()


def _string(text: str, at: int) -> tuple[Node, int]:
    found = _STRING.match(text, at)
    if found is None:
        raise InvalidJsonError(f"no string at {at}")
    decoded = json.loads(found.group())
    if any("\ud800" <= char <= "\udfff" for char in decoded):
        raise InvalidJsonError(f"half a pair of surrogates at {at}")  # it stands for no character
    return Node("text", found.group(), text=decoded), found.end()


def _object(text: str, start: int) -> tuple[Node, int]:
    members: dict[str, Node] = {}
    at = _skip(text, start + 1)
    if text.startswith("}", at):
        return Node("object", text[start : at + 1]), at + 1
    while True:
        key, at = _string(text, at)
        at = _expect(text, at, ":")
        members[key.text], at = _value(text, at)  # of two equal keys the last one wins
        at = _skip(text, at)
        if text.startswith("}", at):
            return Node("object", text[start : at + 1], members=members), at + 1
        at = _expect(text, at, ",")


def _array(text: str, start: int) -> tuple[Node, int]:
    at = _skip(text, start + 1)
    if text.startswith("]", at):
        return Node("array", text[start : at + 1]), at + 1
    items: list[Node] = []
    while True:
        item, at = _value(text, at)
        items.append(item)
        at = _skip(text, at)
        if text.startswith("]", at):
            return Node("array", text[start : at + 1], items=tuple(items)), at + 1
        at = _expect(text, at, ",")


def _expect(text: str, at: int, mark: str) -> int:
    """Past *mark* and the space on both sides of it."""
    at = _skip(text, at)
    if not text.startswith(mark, at):
        raise InvalidJsonError(f"no {mark} at {at}")
    return _skip(text, at + 1)
