"""`sojourn quarantine`: records that broke their contract, listed and exported whole."""

import base64
import json
from typing import Any

import pytest

from tests.command import Home, lines, shop

BAD = [
    b'{"id": 1, "type": "caf\xe9"}',
    b'{"id": 2, "type": "x", "event": {"timestamp": "\xe2\x82\xac \\u0000 \\"quoted\\" \\\\"}}',
    b'{"id": 3',
    b"\x00\x01\x02 not json",
    b"[1, 2]",
    "  {'single': 'quotes', \u2028 'é': 1}  ".encode(),
]
CONTENT = b"\n".join([*BAD, shop(9, "10:00:00").encode(), b""])
REASONS = ["invalid_utf8", "bad_time", "invalid_json", "invalid_json", "not_an_object", "invalid_json"]


def raw_of(row: dict[str, Any]) -> bytes:
    """The bytes of an exported record."""
    if row.get("raw") is not None:
        return str(row["raw"]).encode()
    return base64.b64decode(row["raw_base64"])


def exported(home: Home, *options: object) -> list[dict[str, Any]]:
    """What `quarantine export` writes to standard output."""
    done = home.call("quarantine", "export", *options)
    assert done.status == 0, done.err
    return [json.loads(line) for line in done.stdout.split(b"\n") if line]


def test_export_is_whole_and_byte_exact(home: Home) -> None:
    """Source, file, line, reason, path, value and the raw text, also where it is not UTF-8."""
    home.run("webshop", CONTENT, name="bad.jsonl")
    rows = exported(home)
    assert [raw_of(row) for row in rows] == BAD
    assert [row["line"] for row in rows] == [1, 2, 3, 4, 5, 6]
    assert [row["reason"] for row in rows] == REASONS
    assert {row["file"] for row in rows} == {str(home.folder / "bad.jsonl")}
    assert {(row["pipeline"], row["source"]) for row in rows} == {("webshop", "events")}
    assert (rows[1]["path"], rows[1]["value"]) == ("$.event.timestamp", '€ \x00 "quoted" \\')


def test_export_to_a_file_is_the_same(home: Home) -> None:
    """An existing file is replaced."""
    home.run("webshop", CONTENT)
    target = home.path("kept.jsonl", b"something old and longer " * 1000)
    assert home.call("quarantine", "export", "--output", target).status == 0
    assert target.read_bytes() == home.call("quarantine", "export").stdout
    assert [raw_of(json.loads(line)) for line in target.read_bytes().splitlines()] == BAD


def test_quarantine_of_a_run_is_written_beside_its_tables(home: Home) -> None:
    """`--out` has this run's records in the same form."""
    home.run("webshop", b"older\n", name="older.jsonl")
    home.run("webshop", CONTENT, "--out", home.folder / "out")
    rows = [json.loads(line) for line in (home.folder / "out" / "quarantine.jsonl").read_bytes().splitlines()]
    assert [raw_of(row) for row in rows] == BAD


def test_list_shows_where_and_why(home: Home) -> None:
    """As a table for a person, and as JSON."""
    home.run("webshop", CONTENT)
    rows = home.call("quarantine", "list", "--json").json
    assert [(row["line"], row["reason"]) for row in rows] == list(enumerate(REASONS, 1))
    shown = home.call("quarantine", "list").out
    assert all(reason in shown for reason in REASONS)
    assert "$.event.timestamp" in shown


def test_list_and_export_may_be_narrowed(home: Home) -> None:
    """By pipeline, by reason, and by number of rows."""
    home.run("webshop", CONTENT)
    home.run("activity", b"broken\n")
    assert len(home.call("quarantine", "list", "--json").json) == 7
    assert len(home.call("quarantine", "list", "--json", "--limit", "2").json) == 2
    assert len(home.call("quarantine", "list", "--json", "--pipeline", "activity").json) == 1
    some = home.call("quarantine", "list", "--json", "--pipeline", "webshop", "--reason", "invalid_json").json
    assert [row["line"] for row in some] == [3, 4, 6]
    assert [row["line"] for row in exported(home, "--reason", "bad_time")] == [2]
    assert [row["pipeline"] for row in exported(home, "--pipeline", "activity")] == ["activity"]
    assert home.call("quarantine", "export", "--pipeline", "nobody's'").status == 2


def test_a_limit_that_cannot_be(home: Home) -> None:
    """A negative number is a usage error."""
    assert home.call("quarantine", "list", "--limit", "-1").status == 2


@pytest.mark.parametrize("words", [["list"], ["list", "--json"], ["export"]])
def test_without_quarantined_records(home: Home, words: list[str]) -> None:
    """Nothing is an answer, and no mistake."""
    home.run("webshop", lines(shop(1, "10:00:00")))
    done = home.call("quarantine", *words)
    assert (done.status, done.err) == (0, "")
    assert done.out in ("no quarantined records\n", "[]\n", "")


def test_long_text_is_cut_in_the_list_and_whole_in_the_export(home: Home) -> None:
    """A million characters do not fill the screen, neither the record's nor the offending value's."""
    long = "x" * 1_000_000
    late = shop(1, long)
    home.run("webshop", lines(long, late))
    assert len(home.call("quarantine", "list").out) < 20_000
    rows = exported(home)
    assert [raw_of(row).decode() for row in rows] == [long, late]
    assert [row["value"] for row in rows] == [None, long]


@pytest.mark.parametrize("command", [["list"], ["export", "-o", "-"], ["replay"]])
def test_a_reason_that_no_record_can_have_is_a_mistake(home: Home, command: list[str]) -> None:
    """Nothing would be found, and nobody would know why."""
    home.run("webshop", CONTENT, name="bad.jsonl")
    done = home.call("quarantine", *command, "--reason", "bad_tiem")
    assert (done.status, "did you mean 'bad_time'?" in done.err, "[unknown_reason]" in done.err) == (2, True, True)


@pytest.mark.parametrize("command", [["list"], ["list", "--json"], ["export"]])
def test_a_pipeline_that_was_never_run_is_a_mistake(home: Home, command: list[str]) -> None:
    """It is not one whose records all kept their contract; a ready one may have had no run yet."""
    home.run("webshop", CONTENT, name="bad.jsonl")
    done = home.call("quarantine", *command, "--pipeline", "webshp")
    assert (done.status, "did you mean 'webshop'?" in done.err, "[unknown_pipeline]" in done.err) == (2, True, True)
    assert done.out == ""
    assert home.call("quarantine", *command, "--pipeline", "activity").status == 0
