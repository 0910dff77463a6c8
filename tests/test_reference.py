"""The reference reader against facts worked by hand: lines and judgement."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.reference import (
    WEBSHOP,
    Accepted,
    Blank,
    Contract,
    Field,
    Rejected,
    judge,
    read_lines,
)
from tests.reference.jsontext import InvalidJsonError, nesting, parse

GOOD = b'{"id": 463469, "type": "search", "event": {"customer-id": null, "timestamp": "2022-04-28T07:38:46.290271"}}'
SECOND = 1_000_000


def at(text: str) -> int:
    """Epoch microseconds of an ISO text with an offset, by the standard library."""
    return (datetime.fromisoformat(text) - datetime(1970, 1, 1, tzinfo=UTC)) // (datetime.resolution)


def one(field: Field, source: str, **settings: object) -> object:
    """The value of the only field `x` in `{"x": source}`, or (reason, path, value)."""
    judged = judge(b'{"x": ' + source.encode() + b"}", Contract((field,), **settings))  # type: ignore[arg-type]
    if isinstance(judged, Accepted):
        return judged.values["x"]
    assert isinstance(judged, Rejected)
    return judged.reason, judged.path, judged.value


def test_lines_lose_bom_and_newlines_and_keep_numbers() -> None:
    """CRLF is one newline, a lone CR none; the last line needs no newline (1.4)."""
    assert read_lines(b"\xef\xbb\xbfa\r\n\nb\rc\n\xef\xbb\xbfd") == [
        (1, b"a"),
        (2, b""),
        (3, b"b\rc"),
        (4, b"\xef\xbb\xbfd"),
    ]
    assert read_lines(b"") == []
    assert read_lines(b"a\n") == [(1, b"a")]
    assert read_lines(b"\n\n") == [(1, b""), (2, b"")]


def test_webshop_line_becomes_event() -> None:
    """The brief's own example; `id` is declared text and keeps the source's digits (1.5)."""
    assert judge(GOOD, WEBSHOP.contract) == Accepted(
        {
            "event_id": "463469",
            "name": "search",
            "occurred_at": at("2022-04-28T07:38:46.290271Z"),
            "actor": None,
            "url": None,
            "referrer": None,
        }
    )


@pytest.mark.parametrize("raw", [b"", b" \t\r", b"\x0b\x0c"])
def test_ascii_white_space_is_blank(raw: bytes) -> None:
    """A line of white space alone is no record (1.1)."""
    assert judge(raw, WEBSHOP.contract) == Blank()


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        (b"[" * 129 + b"\xff", Rejected("too_large")),
        (b"[" * 128 + b"]" * 128, Rejected("not_an_object")),
        (b'{"a":' * 129 + b"1" + b"}" * 129, Rejected("too_large")),
        (b'{"a": "' + b"[" * 200, Rejected("invalid_json")),
        (b'{"a": "\xff"}', Rejected("invalid_utf8")),
        (b'{"a": "\xed\xa0\x80"}', Rejected("invalid_utf8")),
        (b"\xef\xbb\xbf{}", Rejected("invalid_json")),
        (b"{} {}", Rejected("invalid_json")),
        (b'{"a": 1,}', Rejected("invalid_json")),
        (b'{"a": NaN}', Rejected("invalid_json")),
        (b'{"a": -Infinity}', Rejected("invalid_json")),
        (b'{"a": 01}', Rejected("invalid_json")),
        (b'{"a": "\t"}', Rejected("invalid_json")),
        (b"\xc2\xa0", Rejected("invalid_json")),
        (b"null", Rejected("not_an_object")),
        (b"{}", Rejected("missing_field", "$.id")),
        (b'{"id": 1, "type": "a"}', Rejected("missing_field", "$.event.timestamp")),
        (b'{"id": 1, "type": "a", "event": null}', Rejected("missing_field", "$.event.timestamp")),
        (b'{"id": 1, "type": "a", "event": "null"}', Rejected("bad_type", "$.event", "null")),
        (b'{"id": 1, "type": "a", "event": [1, "x"]}', Rejected("bad_type", "$.event", '[1, "x"]')),
        (b'{"id": [], "event": 5}', Rejected("missing_field", "$.type")),
        (b'{"id": true, "type": {"a" :1}, "event": 5}', Rejected("bad_type", "$.id", "true")),
        (GOOD.replace(b"null", b'"\\ud800"'), Rejected("invalid_json")),
        (b'{"type": "\\udc00"}', Rejected("invalid_json")),
        (b'{"skipped": {"\\ud800x": 1}}', Rejected("invalid_json")),
        (b'{"id": "\\ude00\\ud83d", "id": "x"}', Rejected("invalid_json")),
        (
            GOOD.replace(b"-28T", b"-31T"),
            Rejected("bad_time", "$.event.timestamp", "2022-04-31T07:38:46.290271"),
        ),
    ],
)
def test_first_reason_holds(raw: bytes, expected: Rejected) -> None:
    """Reasons come in the order of 1.2; within one, fields in declared order."""
    assert judge(raw, WEBSHOP.contract) == expected


def test_line_over_max_record_is_too_large() -> None:
    """Exactly max_record is not over it (1.2)."""
    size = len(GOOD)
    assert isinstance(judge(GOOD, Contract(WEBSHOP.contract.fields, max_record=size)), Accepted)
    assert judge(GOOD, Contract((), max_record=size - 1)) == Rejected("too_large")


def test_what_is_not_read_does_not_matter() -> None:
    """A skipped field of any kind, a pair of surrogates, a doubled key (1.4: the last wins)."""
    contract = Contract((Field("x", ("a", "b")),))
    raw = b'{"skipped": [5], "a": 5, "\\u0061": {"b": "no", "b": "\\ud83d\\ude00"}}'
    assert judge(raw, contract) == Accepted({"x": "\U0001f600"})


def test_nesting_counts_outside_strings() -> None:
    """Brackets in strings, also behind an escaped quote, do not nest."""
    assert nesting(b'[{"[[[": "\\"{{{"}]') == 2
    assert nesting(b'{"open [[[') == 1
    assert nesting(b"]]][") == 0


NOT_TEXT = ["true", "{}", "[]"]


@pytest.mark.parametrize(
    ("kind", "source", "value"),
    [
        ("text", "56456", "56456"),
        ("text", "1.50e+3", "1.50e+3"),
        ("text", '"null"', "null"),
        ("text", '""', ""),
        ("integer", "-0", 0),
        ("integer", "9223372036854775807", 2**63 - 1),
        ("integer", '"-9223372036854775808"', -(2**63)),
        ("integer", '"' + "0" * 5000 + '12"', 12),
        ("number", '"-1.5e3"', -1500.0),
        ("number", "1e-999", 0.0),
        ("boolean", "true", True),
        ("boolean", "null", None),
    ],
)
def test_coercion_accepts(kind: str, source: str, value: object) -> None:
    """Section 1.5."""
    assert one(Field("x", ("x",), kind), source) == value


@pytest.mark.parametrize(
    ("kind", "sources"),
    [
        ("text", NOT_TEXT),
        (
            "integer",
            [
                *NOT_TEXT,
                "1.0",
                "1e3",
                "5.5",
                '" 12"',
                '"+1"',
                '"1\\n"',
                '"\u0661"',
                '""',
                "9223372036854775808",
            ],
        ),
        ("number", [*NOT_TEXT, '"NaN"', '"01"', '".5"', '"1_0"', "1e999"]),
        ("boolean", ["1", "0", '"true"', "{}"]),
        ("time", [*NOT_TEXT, "1524900000"]),
    ],
)
def test_coercion_refuses(kind: str, sources: list[str]) -> None:
    """Section 1.5; the offending value is shown as text or as it stood in the source."""
    for source in sources:
        shown = json.loads(source) if source.startswith('"') else source
        assert one(Field("x", ("x",), kind), source) == ("bad_type", "$.x", shown)


def test_strict_turns_coercion_off() -> None:
    """Only values of the declared type itself are left (1.5)."""
    for kind, source in [("text", "5"), ("integer", '"5"'), ("number", '"5"')]:
        assert one(Field("x", ("x",), kind), source, strict=True) == ("bad_type", "$.x", "5")
    assert one(Field("x", ("x",), "number"), "5", strict=True) == 5.0
    epoch = Field("x", ("x",), "time", formats=("epoch_s",))
    assert one(epoch, "5", strict=True) == 5 * SECOND
    assert one(epoch, '"5"', strict=True) == ("bad_time", "$.x", "5")


def test_value_outside_enumeration() -> None:
    """Compared after coercion; null is no value (1.2, 1.6)."""
    field = Field("x", ("x",), "text", values=("a", "5"))
    assert [one(field, source) for source in ("5", "null", '"a"')] == ["5", None, "a"]
    assert one(field, "6") == ("unknown_value", "$.x", "6")


def test_unreadable_text_is_bad_time() -> None:
    """Text, in a field of type time, that no declared format reads (1.2, 2.1)."""
    for text in ("2022-04-28", "2022-04-28T24:00:00", "0001-01-01T00:00:00+01:00", "", "0"):
        assert one(Field("x", ("x",), "time"), json.dumps(text)) == ("bad_time", "$.x", text)


def test_declared_formats_are_the_only_ones() -> None:
    """The first declared format that reads the value counts; ISO only where it is declared."""
    field = Field("x", ("x",), "time", formats=("%d/%m/%Y %H:%M:%S", "epoch_ms"))
    assert one(field, '"02/03/2017 20:22:00"') == at("2017-03-02T20:22:00Z")
    assert one(field, "1500.9") == one(field, '"1500.9"') == 1_500_900
    assert one(field, '"2017-03-02T20:22:00Z"') == ("bad_time", "$.x", "2017-03-02T20:22:00Z")
    assert one(field, "1e30") == ("bad_time", "$.x", "1e30")
    assert one(field, "true") == ("bad_type", "$.x", "true")


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=8,
)


@given(
    JSON.map(json.dumps),
    st.integers(0, 40),
    st.integers(0, 3),
    st.text('[]{}",:0-.eE+tn \\u\x00\x0bNd8\u0661', max_size=3),
)
def test_json_grammar_is_that_of_the_standard_library(text: str, start: int, length: int, patch: str) -> None:
    """A text, also a damaged one, is refused exactly where `json` without NaN and half surrogates refuses it."""
    text = text[:start] + patch + text[start + length :]

    def refuse(constant: str) -> None:
        raise ValueError(constant)

    try:
        expected = json.loads(text, parse_constant=refuse)
        json.dumps(json.loads(text, object_pairs_hook=list), ensure_ascii=False).encode()
    except ValueError:
        with pytest.raises(InvalidJsonError):
            parse(text)
    else:
        assert json.loads(parse(text).source) == expected
