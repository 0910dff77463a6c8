"""Whatever a damaged record may hold is found in it."""

import pytest

from sojourn.reading.tokens import of_reject, tokens, values

NAME = "Ada-\u00e9\U0001f600"
ESCAPED = r"Ad\u0061-\u00e9\ud83d\ude00"

BROKEN = {
    "as it is": f'{{"actor": "{NAME}", ',
    "escaped": rf'{{"actor": "{ESCAPED}", ',
    "unterminated": f'{{"x": 1, "actor": "{NAME}',
    "unterminated and escaped": rf'{{"actor": "{ESCAPED}',
    "cut within the last escape": rf'{{"actor": "{ESCAPED}", "x": "\u00',
    "bare": f"{{actor: {NAME}, x: 1}}",
    "in single quotes": f"{{'actor': '{NAME}'}}",
    "behind a stray quote": f'{{"x": "a"b", "actor": "{NAME}"}}',
    "behind a stray backslash": f'{{"x": a\\", "actor": "{NAME}"}}',
    "two records on a line": f'{{"x": 1}}{{"actor": "{NAME}"}}',
    "all there is": NAME,
    "a text": f'"{NAME}"',
    "a key": f'{{"{NAME}": 1}}',
    "a field": f"1,{NAME},2",
    "a quoted field": f'1,"{NAME}",2',
    "an open quote": f'1,"{NAME},2',
    "of another delimiter": f"1;{NAME};2",
    "JSON within JSON": rf'{{"x": "{{\"actor\": \"{NAME}\"}}"}}',
    "JSON within what is broken": rf'{{"x": "{{\"actor\": \"{NAME}\"}}", ',
    "with a carriage return": f"1,2,{NAME}\r",
    "behind a mark of the byte order": f"\ufeff{NAME},2",
}


@pytest.mark.parametrize("text", BROKEN.values(), ids=BROKEN)
@pytest.mark.parametrize("delimiter", [None, ","])
def test_an_actor_is_found(text: str, delimiter: str | None) -> None:
    """However the text around it is broken, for JSON and for CSV."""
    assert NAME in tokens(text.encode(), delimiter)


@pytest.mark.parametrize(
    "text",
    [
        "level=info user=zed action=login",
        "user zed logged in",
        "user:zed",
        "<user>zed</user>",
        "user=zed&x=1",
        "/users/zed/profile",
        "https://a.example/zed?x=1#top",
        "a|zed|b;c",
        "09:00:00 [zed] (x)",
        r"C:\users\zed\x",
        "it was zed. Not *bob*!",
        "user%3Dzed%26x%3D1",
        "%7Bu%3A%7A%65%64",
        r"user=\u007aed x",
        "<user>&#122;ed</user>",
    ],
)
def test_a_word_is_found_in_text_of_any_form(text: str) -> None:
    """Lines of a log, XML, addresses, paths: a name stands between two marks; no part of a word is one."""
    assert "zed" in tokens(text.encode())
    assert "ze" not in tokens(text.encode())


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("Ada Lovelace", '{"id": 12, customer-id=Ada Lovelace, foo'),
        ("Ada Lovelace", "customer Ada Lovelace logged in"),
        ("Ada Lovelace", "<user>Ada Lovelace</user>"),
        ("Ada Lovelace", "user=Ada%20Lovelace&x=1"),
        ("Ada Lovelace", "/find?user=Ada+Lovelace&x=1"),
        ("Ada Lovelace", r"customer Ada\u0020Lovelace logged in"),
        ("a=b", "user=a=b&x=1"),
        ("a=b", "by a=b, foo"),
        ("a/b:c", "user=a/b:c x=1"),
        ("x@y.example", "user=x@y.example action=login"),
        ("x@y.example", "write to <mailto:x@y.example>."),
        ("x@y.example", "user=x%40y.example&z=1"),
        ("J\u00fcrgen", "user=J%C3%BCrgen&z=1"),
        ("J\u00fcrgen", "user=J%FCrgen&z=1"),
        ("Miles O'Brien", "customer Miles O'Brien logged in"),
        ("[bot] (x)", "by [bot] (x) at noon"),
        ("Maria del Carmen de la Torre y", "by Maria del Carmen de la Torre y at noon"),
    ],
)
def test_a_name_with_marks_or_blanks_is_found_in_text(name: str, text: str) -> None:
    """Pieces that stand together are a name, too."""
    assert name in tokens(text.encode())


def test_an_address_does_not_name_whom_it_begins_with() -> None:
    """What marks do not set apart is one piece."""
    assert "zed@example.com" in tokens(b"zed@example.com")
    assert tokens(b"zed@example.com zed-1 zed.x azed {") & {"zed"} == set()


def test_a_row_with_other_columns_is_text() -> None:
    """As its fields are not those that are declared; one that has them holds its values."""
    raw = b"level=info user=zed,7"
    assert "zed" in of_reject(raw, "2 fields instead of 5", ",", "bad_row")
    assert "zed" not in of_reject(raw, None, ",", "bad_time")
    assert "zed" in tokens(raw, ",", is_row=False)


@pytest.mark.parametrize("codec", ["utf-16-le", "utf-16-be", "utf-32-le", "utf-32-be", "utf-16"])
@pytest.mark.parametrize("cut", [0, 1])
def test_an_actor_is_found_in_other_encodings(codec: str, cut: int) -> None:
    """A line of such a file begins within a character where the line break had more than one byte."""
    raw = f'{{"x": "-", "actor": "{NAME}"}}'.encode(codec)
    assert NAME in tokens(raw[cut:])
    assert "J\u00fcrgen" in tokens("7,J\u00fcrgen,x".encode("latin-1"), ",")
    assert NAME in tokens(b"\xff," + NAME.encode() + b",\xfe", ",")
    assert NAME in tokens(b'{"actor": "\xf0\x9f' + NAME.encode() + b'", "x": 1}')


def test_quotes_within_fields_are_decoded() -> None:
    """Doubled ones of CSV, escaped ones of JSON, also where what comes before does not pair."""
    assert 'Ada "J"' in tokens(b'1,"Ada ""J""",2', ",")
    assert 'Ada "J"' in tokens(b'a"b,"Ada ""J""",2')
    assert 'Ada "J"' in tokens(rb'{"actor": "Ada \"J\"", ')


def test_numbers_keep_their_digits() -> None:
    """A number is found by the digits that stand there, however many they are."""
    assert {"007", "1e3", "-0"} <= tokens(b'{"a": 007, "b": 1e3, "c": -0}')
    assert values('{"a": [1.50, 12345678901234567890123]}') == {"a", "1.50", "12345678901234567890123"}


def test_what_can_be_read_holds_nothing_else() -> None:
    """A record is not taken for somebody's because a sentence, a time or an address in it has the same digits."""
    assert tokens(b'{"user": 7, "page": "page 42 of 60", "at": "09:42:42", "url": "/u/42"}') & {"42", "60"} == set()
    assert "42" not in tokens(b'2024-01-01 09:42:42,7,page 42,"on 42, or so"', ",")


def test_the_value_beside_a_record_counts() -> None:
    """As it stands, as JSON, and as the bytes that a column of Parquet held."""
    assert NAME in of_reject(b"-", NAME)
    assert "Ada" in of_reject(b"-", '{"id": "Ada"}')
    assert "Ada" in of_reject(b'{"actor": "b\'Ada\'"}', None)


def test_keys_can_be_left_out() -> None:
    """Names of fields are no values."""
    assert values('{"type": {"Ada": [true, null]}}', with_keys=False) == set()
    assert values("{") is None


@pytest.mark.parametrize("raw", [b'{"a": "\\"\\"', b"[[[", b'[{"a": [', b'"[', b"\x00[", b'""', b"\\"])
def test_long_garbage_takes_no_more_than_its_length(raw: bytes) -> None:
    """What is made to take long does not, and does not break anything."""
    assert "Ada" in tokens(raw * 20_000 + b' "Ada"')
