"""What a run survives: every file that the world may hold, with every record accounted for."""

import csv
import json

import pytest

from tests.command import Home, lines, shop

GOOD = shop(1, "10:00:00")


def ledger_of(home: Home, content: bytes, **more: str) -> dict[str, object]:
    """The ledger of a run of the webshop over *content*."""
    ledger: dict[str, object] = home.run("webshop", content, **more)["ledger"]
    return ledger


@pytest.mark.parametrize(
    ("content", "accepted", "quarantined", "blank"),
    [
        pytest.param(b"", 0, {}, 0, id="nothing"),
        pytest.param(b"\n", 0, {}, 1, id="one blank line"),
        pytest.param(b"\n\n \t \r\n\n", 0, {}, 4, id="blank lines of every kind"),
        pytest.param(b"\xef\xbb\xbf", 0, {}, 0, id="only a byte-order mark"),
        pytest.param(b"\xef\xbb\xbf\r\n", 0, {}, 1, id="byte-order mark and CRLF"),
        pytest.param(lines("x", "y", "z"), 0, {"invalid_json": 3}, 0, id="only bad lines"),
        pytest.param(lines(GOOD)[:-1], 1, {}, 0, id="no last newline"),
        pytest.param(lines(GOOD)[:-2], 0, {"invalid_json": 1}, 0, id="truncated last line"),
        pytest.param(lines(GOOD, GOOD + GOOD.replace("1", "2", 1)), 1, {"invalid_json": 1}, 0, id="glued objects"),
        pytest.param(lines(GOOD).replace(b"\n", b"\r\n"), 1, {}, 0, id="CRLF"),
        pytest.param(lines(GOOD) + b"\x00\n", 1, {"invalid_json": 1}, 0, id="a NUL"),
        pytest.param(lines(GOOD) + b"\xff\xfe\n", 1, {"invalid_utf8": 1}, 0, id="not UTF-8"),
        pytest.param(lines(GOOD).decode().encode("utf-16"), 0, {"invalid_utf8": 1, "invalid_json": 1}, 0, id="UTF-16"),
        pytest.param(
            lines("{}", "[]", "0", '""', "true", "null"),
            0,
            {"not_an_object": 5, "missing_field": 1},
            0,
            id="no objects",
        ),
        pytest.param(b"[" * 100_000 + b"\n" + lines(GOOD), 1, {"too_large": 1}, 0, id="100,000 open lists"),
        pytest.param(b'{"a":' * 100_000 + b"\n" + lines(GOOD), 1, {"too_large": 1}, 0, id="100,000 open objects"),
        pytest.param(lines(GOOD[:-1] + ', "x": ' + "[" * 127 + "]" * 127 + "}"), 1, {}, 0, id="128 deep"),
        pytest.param(lines(GOOD[:-1] + ', "x": ' + "[" * 128 + "]" * 128 + "}"), 0, {"too_large": 1}, 0, id="129 deep"),
        pytest.param(
            lines(GOOD[:-1] + ', "x": NaN}', GOOD[:-1] + ', "x": -Infinity}'),
            0,
            {"invalid_json": 2},
            0,
            id="NaN and Infinity",
        ),
        pytest.param(
            lines(GOOD[:-1] + f', "x": {"9" * 5000}}}', GOOD[:-1] + ', "x": 1e999999}'),
            1,
            {},
            0,
            id="numbers of any size",
        ),
        pytest.param(
            lines(GOOD[:-1] + ', "x": "\\ud83d\\ude00"}', GOOD[:-1] + ', "x": "a\\u0000b"}'), 1, {}, 0, id="escapes"
        ),
        pytest.param(
            lines(GOOD[:-1] + ', "x": 01}', GOOD[:-1] + ", 'x': 1}", GOOD[:-1] + ", }"),
            0,
            {"invalid_json": 3},
            0,
            id="what only looks like JSON",
        ),
        pytest.param(lines(GOOD[:-1] + ', "x": "\t"}'), 0, {"invalid_json": 1}, 0, id="a raw tab in text"),
        pytest.param(
            lines(GOOD + " // a comment", "  " + GOOD + " \t"),
            1,
            {"invalid_json": 1},
            0,
            id="space and comments around",
        ),
    ],
)
def test_odd_files(home: Home, content: bytes, accepted: int, quarantined: dict[str, int], blank: int) -> None:
    """Every record ends where it should, and the ledger balances."""
    ledger = ledger_of(home, content)
    assert (ledger["accepted"], ledger["quarantined"], ledger["blank"]) == (accepted, quarantined, blank)


def test_a_line_of_50_megabytes_is_one_quarantined_record(home: Home) -> None:
    """Kept to the byte, between lines that are read as ever."""
    giant = b'{"id": 2, "x": "' + b"y" * 50_000_000
    path = home.path("x.jsonl", lines(GOOD) + giant + b"\n" + lines(shop(3, "10:05:00")))
    done = home.process("run", "webshop", path, "--json")
    assert done.status == 0, done.err
    assert (done.json["ledger"]["accepted"], done.json["ledger"]["quarantined"]) == (2, {"too_large": 1})
    kept = home.rows("select line, octet_length(raw) as bytes, right(decode(raw), 3) as last from sojourn.quarantine")
    assert kept == [{"line": 2, "bytes": len(giant), "last": "yyy"}]


def test_duplicate_keys_and_unusual_names(home: Home) -> None:
    """The last of equal keys wins; keys may be empty, escaped, or as long as they like."""
    record = (
        '{"": 1, "id": "first", "type": "x", "\\u0069d": "last", "' + "k" * 10_000 + '": null, '
        '"event": {"customer-id": "c", "timestamp": "2022-03-01T10:00:00"}}'
    )
    assert ledger_of(home, lines(record))["accepted"] == 1
    assert ledger_of(home, lines(record.replace("last", "other")))["accepted"] == 1


@pytest.mark.parametrize(
    ("value", "accepted"),
    [
        ("12", True), ('"12"', True), ("-9223372036854775808", True), ("9223372036854775807", True),
        ("9223372036854775808", False), ("-9223372036854775809", False), ("1e400", False), ("1e2", False),
        ("5.5", False), ("5.0", False), ("true", False), ('"5.5"', False), ('"true"', False), ('" 12"', False),
        ('"\u0661\u0662"', False), ("[12]", False), ('{"n": 12}', False),
    ],
)  # fmt: skip
def test_what_stands_where_an_integer_is_declared(home: Home, value: str, accepted: bool) -> None:
    """Never rounded, never truncated, never read from anything but digits."""
    own = home.path(
        "own.toml",
        """
        [source.events.fields]
        event_id    = { path = "n", type = "integer" }
        occurred_at = "at"
        actor       = "who"
        [sessions]
        rule = "gap"
        """,
    )
    ledger = home.run(own, lines(f'{{"n": {value}, "at": "2022-03-01T10:00:00+02:00", "who": "c"}}'))["ledger"]
    assert (ledger["accepted"], ledger["quarantined"]) == ((1, {}) if accepted else (0, {"bad_type": 1}))
    if accepted:
        assert home.values("select started_at from own.sessions") == ["2022-03-01T08:00:00.000000Z"]


def test_offsets_are_kept_in_mind(home: Home) -> None:
    """`+02:00` is two hours before the same text with `Z`."""
    home.run("webshop", lines(shop(1, "2022-03-01T12:00:00+02:00", "a"), shop(2, "2022-03-01T10:00:00Z", "b")))
    assert home.values("select distinct started_at from webshop.sessions") == ["2022-03-01T10:00:00.000000Z"]


def test_lines_are_numbered_as_an_editor_does(home: Home) -> None:
    """Blank ones count, whatever their kind; a lone CR and other separators begin no line."""
    content = b"\xef\xbb\xbf\r\n\nbad 3\r\n \t\nbad\r5\n" + "bad\u20286\nbad\x0b7\x0c\n".encode() + b"bad 8"
    home.run("webshop", content)
    assert home.values("select line from sojourn.quarantine order by line") == [3, 5, 6, 7, 8]


def test_lines_are_numbered_across_the_pieces_that_a_large_file_is_cut_into(home: Home) -> None:
    """Ten megabytes go to several readers; line, reason and text are as in one piece."""
    row = shop(1, "10:00:00", query="x" * 1900)
    rows = [row if at % 499 else f"broken {at}" for at in range(1, 5001)]
    path = home.path("x.jsonl", lines(*rows))
    assert path.stat().st_size > 2 * (4 << 20)
    done = home.process("run", "webshop", path, "--json")
    assert done.json["ledger"]["read"] == 5000
    kept = home.rows("select line, decode(raw) as raw from sojourn.quarantine order by line")
    assert kept == [{"line": at, "raw": f"broken {at}"} for at in range(499, 5001, 499)]


def test_text_of_every_kind_comes_through(home: Home) -> None:
    """Quotes, separators, line breaks and characters beyond the first plane, in tables, SQL and CSV."""
    customers = ['a"b', "a,b", "a\nb", "a\r\nb", "\U0001f600", "é", "'; drop table x; --", " ", "\u200b", "\\"]
    out = home.folder / "out"
    home.run("webshop", lines(*(shop(at, "10:00:00", who) for at, who in enumerate(customers))), "--out", out)
    assert sorted(home.values("select actor from webshop.sessions")) == sorted(customers)
    with (out / "sessions.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert sorted(row["actor"] for row in rows) == sorted(customers)
    assert json.loads((out / "manifest.json").read_bytes())["tables"]["sessions"]["rows"] == len(customers)
