"""Bytes as they come: valid lines of every ready pipeline, and ways to spoil them."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence
    from random import Random

VALUES = [
    *b"0 -0 1 -1 12 007 +1 1.0 1.50 5.5 -0.0 1e3 1E+5 1e-7 1e999 -1e999 1e-999 .5 1. 1e 0x10 1_0".split(),
    *b"9007199254740993 9223372036854775807 9223372036854775808 -9223372036854775808".split(),
    *b"-9223372036854775809 18446744073709551615 18446744073709551616 0.1 123456789.123456789".split(),
    *b"NaN Infinity -Infinity true false null True nul nullx".split(),
    *(b"1" * 25, b"1" * 5000, b"0." + b"3" * 400),
    *b'"" "null" "true" "1" "-1" "-0" "01" "-0000000000000000000000000012" "1.0" "1e3" "NaN"'.split(),
    *b'"x" "page_view" "open'.split(),
    *(b'" 12"', b'"12 "', b"'x'", b'"\x00"', b'"\t"', b'"\x7f"', '"\u00e9\u4e2d\U0001f600"'.encode()),
    *rb'''"\u0041" "\ud83d\ude00" "\ud83d" "\ude00\ud83d" "\ud83dx" "\ud83d\u0041" "\uD83D\uDE00"'''.split(),
    *rb'''"\/\b\f\n\r\t\\" "\q" "\u12" "\u0000"'''.split(),
    *(b'"\xff"', b'"\xc3"', b'"\xed\xa0\x80"', b'"\xc0\x80"', b'"\xf4\x90\x80\x80"'),
    *(b"{}", b"[]", b'[1, "x"]', b'[1.50,1e2 ,"\\u0041"]', b'{"a":1,"a":2}', b'{"a" : null}'),
    *(b"[1,]", b"{,}", b"[[]", b"/**/1"),
    *(b"[" * depth + b"]" * depth for depth in (127, 128, 200)),
    *(b'{"":' * depth + b"1" + b"}" * depth for depth in (126, 129)),
    *(b'"' + b"[{" * 200 + b'"', b'"' + b"x" * 3000 + b'"', b'"\\"' + b"[" * 300 + b'"'),
    *(
        b'"%b"' % text
        for text in b"""2022-04-28T07:38:46.290271 2022-04-28T07:38:46 2022-04-28T07:38:46Z
        2022-04-28T07:38:46.999999999+02:00 2022-04-28T07:38:46-0230 2022-04-28T07:38:46+02 2022-04-28T07:38:60
        2022-04-28T24:00:00 2022-04-28 2022-02-29T00:00:00 2024-02-29T00:00:00 2021-10-31T02:30:00 2021-03-28T02:30:00
        0001-01-01T00:00:00 0001-01-01T00:00:00+00:01 9999-12-31T23:59:59.9999999 0000-01-01T00:00:00
        1500-01-01T00:00:00 2090-07-01T12:00:00 2022-04-28T07:38:46. 2022-04-28T07:38 2022-04-28t07:38:46
        2022-04-28T07:38:46+24:00 1524900000 1524900000.5""".split()
    ),
    *(b'"2022-04-28 07:38:46"', b'"02/03/2017 20:22:00"', b'"31/04/2017 20:22:00"', b'" 2022-04-28T07:38:46"'),
]
"""Fragments that may stand where a JSON value does, right or wrong."""

LINES: dict[str, list[bytes]] = {
    "webshop": [
        b"""{"id": 463469, "type": "search", "event": {"user-agent": "M [5.0] {X}", "ip": "1.2.3.4", "customer-id":
        null, "timestamp": "2022-04-28T07:38:46.290271", "query": "caf\xc3\xa9"}}""",
        b'{"id": "a-1", "type": "Placed_Order", "event": {"customer-id": 56456, "timestamp": "2022-04-28 07:38:46"}}',
        b"""{"id":7,"type":"page_view","event":{"customer-id":"56456","timestamp":"2022-04-28T07:38:46Z","page":"/a?b#c",
        "referrer":"https://www.example.com/x"}}""",
    ],
    "activity": [
        b"""{"event_id": "893479324983546", "user": {"session_id": "564561", "id": 56456, "ip": "111.222.333.4"},
        "action": "page_view", "url": "https://www.hipages.com.au/articles", "timestamp": "02/02/2017 20:22:00"}""",
        b"""{"event_id":1,"action":"claim","timestamp":"31/12/2017 23:59:59",
        "url":"hipages.com.au/find/plumbers?x=1","user":{}}""",
    ],
    "pageviews": [
        b"""{"sessionId": "s1", "timestamp": "2019-11-10T03:04:05.123Z", "url": "pro-audio", "userId": "u1",
        "experiments": "a,b"}""",
        b'{"sessionId":12,"timestamp":"2019-11-10 03:04:05+11:00","url":"/pedals/","userId":null,"experiments":["a"]}',
    ],
}
LINES = {name: [line.replace(b"\n        ", b"") for line in lines] for name, lines in LINES.items()}
"""Lines that keep the contract of each ready pipeline (but for experiments that are a list)."""

PIECES = [
    *b'" \\ { } [ ] , : 0 - . e null {} NaN \\u \\ud800 \\u0000'.split(),
    *(b"", b"\n", b"\r\n", b"\r", b"\n\n", b" \t", b"\xef\xbb\xbf", b"\x00", b"\xff", b"\xe2\x80\xa8", b"\xc2\xa0"),
    *(b"\x0b", b"\x0c", b'"id":', b'"type":1,', b'"event":{},', b'"timestamp":null,', b'"\\u0069d":"x",'),
    *(b"[" * 130, b'{"":' * 130, b" " * 300),
]


def spoil(line: bytes, lines: Sequence[bytes], rng: Random) -> bytes:
    """The line after some accidents."""
    for _ in range(rng.choice((1, 1, 1, 2, 3, 6))):
        line = rng.choice(_ACCIDENTS)(line, lines, rng)
    return line


def _put(line: bytes, start: int, end: int, piece: bytes) -> bytes:
    return line[:start] + piece + line[end:]


def _place(line: bytes, rng: Random) -> int:
    return rng.randrange(len(line) + 1)


def _flip(line: bytes, _lines: Sequence[bytes], rng: Random) -> bytes:
    at = _place(line, rng)
    return _put(line, at, at + 1, bytes([line[at] ^ (1 << rng.randrange(8))]) if at < len(line) else b"")


def _any_byte(line: bytes, _lines: Sequence[bytes], rng: Random) -> bytes:
    at = _place(line, rng)
    return _put(line, at, at + rng.randrange(2), rng.randbytes(1))


def _cut(line: bytes, _lines: Sequence[bytes], rng: Random) -> bytes:
    return line[: _place(line, rng)] if rng.random() < 0.7 else line[_place(line, rng) :]


def _remove(line: bytes, _lines: Sequence[bytes], rng: Random) -> bytes:
    at = _place(line, rng)
    return _put(line, at, at + rng.randrange(1, 12), b"")


def _glue(line: bytes, lines: Sequence[bytes], rng: Random) -> bytes:
    return line + rng.choice((b"", b" ", b",", b"\r", b"\t", b"\x0c")) + rng.choice(lines)


def _insert(line: bytes, _lines: Sequence[bytes], rng: Random) -> bytes:
    at = _place(line, rng)
    return _put(line, at, at, rng.choice(PIECES))


def _splice(line: bytes, lines: Sequence[bytes], rng: Random) -> bytes:
    other = rng.choice(lines)
    start = _place(other, rng)
    at = _place(line, rng)
    return _put(line, at, at + rng.randrange(20), other[start : start + rng.randrange(40)])


def _value(line: bytes, _lines: Sequence[bytes], rng: Random) -> bytes:
    """Another value behind some colon: what the contract is about."""
    colons = [at + 1 for at, char in enumerate(line) if char == ord(":")]
    if not colons:
        return line
    start = rng.choice(colons)
    end = min(at for at in (line.find(b",", start), line.find(b"}", start), len(line)) if at >= 0)
    return _put(line, start, end, rng.choice((b"", b" ")) + rng.choice(VALUES))


def _key(line: bytes, _lines: Sequence[bytes], rng: Random) -> bytes:
    """One more key, perhaps one that is there already."""
    opened = [at + 1 for at, char in enumerate(line) if char == ord("{")]
    if not opened:
        return line
    at = rng.choice(opened)
    keys = rb"id type event timestamp customer-id page user url action x \u0069d \ud800".split()
    comma = b"," if rng.random() < 0.9 else b""
    return _put(line, at, at, b'"' + rng.choice(keys) + b'":' + rng.choice(VALUES) + comma)


_ACCIDENTS = (_flip, _any_byte, _cut, _remove, _glue, _insert, _insert, _splice, _value, _value, _value, _key, _key)
