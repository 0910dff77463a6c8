"""Every mistake of a person is one clear sentence on standard error, with the right exit status."""

import bz2
import gzip
import lzma
import os
import socket
import subprocess
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import zstandard

from sojourn import run as runs
from sojourn.reading import land as reading
from tests.command import Home, Result, lines, process, shop, sojourn

GOOD = lines(shop(1, "10:00:00"))
OWN = """
title = "Own"
[source.events]
format = "jsonl"
[source.events.fields]
event_id    = "id"
name        = "type"
occurred_at = "event.timestamp"
actor       = "event.customer-id"
[sessions]
rule = "gap"
gap  = "30m"
[tables.sessions]
"""


CSV = """
[source.events]
format = "csv"
[source.events.fields]
occurred_at = "when"
actor       = "who"
[sessions]
rule = "gap"
"""


def told(done: Result, status: int, *words: str) -> None:
    """One sentence on standard error with all of *words*, and the exit status."""
    assert done.status == status, done.err
    assert done.err.count("\n") == 1, done.err
    assert done.err.startswith("error: ")
    for word in words:
        assert word in done.err
    assert "Traceback" not in done.err


@pytest.mark.parametrize("command", ["run", "check"])
@pytest.mark.parametrize(
    ("source", "status", "words"),
    [
        ("nothing.jsonl", 2, ["nothing.jsonl"]),
        ("*.nothing", 2, ["*.nothing"]),
        ("foreign", 2, ["foreign", "jsonl", ".ndjson"]),
        ("", 2, ["source"]),
        ("events=", 2, ["source"]),
        ("visits=good.jsonl", 2, ["visits", "events"]),
        ("array.json", 1, ["array.json", "JSON array", "jq"]),
        ("lines_of_array.json", 1, ["lines_of_array.json", "JSON array", "jq"]),
        ("pretty.json", 1, ["pretty.json", "pretty-printed", "jq"]),
        ("pretty.json.gz", 1, ["pretty.json.gz", "pretty-printed", "gunzip -c pretty.json.gz | jq"]),
        ("cut.gz", 1, ["cut.gz", "unpack"]),
        ("two_bytes.gz", 1, ["two_bytes.gz", "unpack"]),
        ("spoiled.gz", 1, ["spoiled.gz", "unpack"]),
        ("cut.zst", 1, ["cut.zst", "unpack"]),
        ("spoiled.zst", 1, ["spoiled.zst", "unpack"]),
        ("good.jsonl.bz2", 2, ["good.jsonl.bz2", "bzip2", "bunzip2 -c good.jsonl.bz2 | sojourn"]),
        ("xz.jsonl", 2, ["xz.jsonl", "unxz -c xz.jsonl"]),
        ("good.zip", 2, ["good.zip", "unzip -p good.zip"]),
    ],
)
def test_sources_that_cannot_be_read(
    home: Home, monkeypatch: pytest.MonkeyPatch, command: str, source: str, status: int, words: list[str]
) -> None:
    """What was named, what is wrong with it, and what to do; nothing is published."""
    packed = bytearray(gzip.compress(GOOD * 100))
    home.path("good.jsonl", GOOD)
    home.path("foreign/notes.md", b"")
    home.path("array.json", '[{"id": 1}, {"id": 2}]')
    home.path("lines_of_array.json", '\n[\n  {"id": 1},\n  {"id": 2}\n]\n')
    home.path("pretty.json", '{\n  "id": 1\n}\n{\n  "id": 2\n}\n')
    home.path("pretty.json.gz", gzip.compress(b'{\n  "id": 1\n}\n'))
    home.path("cut.gz", packed[:-9])
    home.path("two_bytes.gz", packed[:2])
    home.path("cut.zst", zstandard.compress(GOOD * 100)[:-5])
    home.path("spoiled.zst", b"\x28\xb5\x2f\xfdno frame at all")
    home.path("good.jsonl.bz2", bz2.compress(GOOD))
    home.path("xz.jsonl", lzma.compress(GOOD))
    home.path("good.zip", b"PK\x03\x04" + bytes(26) + GOOD)
    packed[30] ^= 0xFF
    home.path("spoiled.gz", packed)
    monkeypatch.chdir(home.folder)
    at_home = ["--home", "home"] if command == "run" else []
    told(sojourn(command, "webshop", source, *at_home), status, *words)
    assert sojourn("tables", "--home", "home", "--json").json == []


def test_a_document_through_standard_input_is_recognised(home: Home) -> None:
    """As it is in a file: a download often is one big array."""
    done = home.process("run", "webshop", "-", stdin=b'[\n{"id": 1},\n{"id": 2}\n]\n')
    told(done, 1, "standard input", "JSON array", "jq")
    told(home.process("run", "webshop", "-", stdin=bz2.compress(GOOD)), 2, "bzip2 -dc | sojourn")
    begins_alike = home.path("x.jsonl", b"BZh91 is a text\n" + GOOD)
    assert home.call("run", "webshop", begins_alike, "--json").json["ledger"]["quarantined"] == {"invalid_json": 1}


@pytest.mark.skipif(not hasattr(socket, "AF_UNIX"), reason="needs a file that nobody can open")
def test_a_source_that_cannot_be_opened(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    """Permissions do not stop root; a socket cannot be opened by anybody."""
    monkeypatch.chdir(home.folder)
    with socket.socket(socket.AF_UNIX) as nobody:
        nobody.bind("socket.jsonl")
        told(home.call("run", "webshop", "socket.jsonl"), 2, "cannot read", "socket.jsonl")


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may read everything")
def test_a_source_without_permission(home: Home) -> None:
    """The system's word is passed on."""
    path = home.path("secret.jsonl", GOOD)
    path.chmod(0)
    told(home.call("run", "webshop", path), 2, "cannot read", "secret.jsonl")


def test_a_pipe_is_read_and_not_taken_for_an_empty_file(home: Home) -> None:
    """`<(command)` has no size; what it holds is read all the same."""
    path = home.path("x.jsonl", GOOD)
    fifo = home.folder / "fifo"
    os.mkfifo(fifo)
    with subprocess.Popen(["sh", "-c", f"cat '{path}' > '{fifo}'"]):
        assert home.call("run", "webshop", fifo, "--json").json["ledger"]["accepted"] == 1


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["--memory", "lots"], ["--memory", "lots", "400MB"]),
        (["--memory", "0MB"], ["--memory", "0MB"]),
        (["--memory", "-1GB"], ["--memory", "-1GB"]),
        (["--memory", "400"], ["--memory", "400", "unit"]),
        (["--memory", ""], ["--memory", "400MB"]),
        (["--max-quarantined", "some"], ["--max-quarantined", "some", "1%"]),
        (["--max-quarantined", "-1"], ["--max-quarantined", "-1"]),
        (["--max-quarantined", "1.5"], ["--max-quarantined", "1.5"]),
        (["--max-quarantined", "101%"], ["--max-quarantined", "101%"]),
        (["--max-quarantined", "%"], ["--max-quarantined", "%"]),
        (["--out", "FILE"], ["--out", "FILE", "folder"]),
        (["--out", "FILE/below"], ["FILE"]),
        (["--home", "FILE"], ["FILE", "--home"]),
        (["--home", "FILE/below"], ["FILE"]),
        (["--store", "mysql://host/base"], ["postgresql://"]),
    ],
)
def test_options_that_cannot_be(home: Home, words: list[str], expected: list[str]) -> None:
    """The option, its value, and what would work."""
    path = home.path("x.jsonl", GOOD)
    own = [word.replace("FILE", str(path)) for word in words]
    at_home = [] if "--home" in words else ["--home", home.folder / "home"]
    told(sojourn("run", "webshop", path, *own, *at_home), 2, *(word.replace("FILE", str(path)) for word in expected))


@pytest.mark.parametrize(
    "words",
    [
        ["run"],
        ["rnu", "webshop", "x.jsonl"],
        ["run", "webshop", "x.jsonl", "--moed", "add"],
        ["run", "webshop", "x.jsonl", "--mode", "subtract"],
        ["run", "webshop", "x.jsonl", "--format", "xlsx"],
        ["quarantine", "delete"],
        ["quarantine", "list", "--limit", "many"],
        ["sql"],
    ],
)
def test_wrong_words_are_usage_errors(words: list[str]) -> None:
    """Status 2, how it is used, and where to read on."""
    done = sojourn(*words)
    assert done.status == 2
    assert "Usage: " in done.err
    assert "--help" in done.err
    assert done.out == ""


@pytest.mark.parametrize("words", [["run", "webshop"], ["check", "webshop"], ["check", "live"], ["run", "live"]])
def test_nothing_to_read_is_told(home: Home, words: list[str]) -> None:
    """A run without a source says what to give it; one of streams reads the journal, which is not there yet."""
    words = [*words, "--home", str(home.folder / "home")] if words[0] == "run" else words
    told(sojourn(*words), 2, "[no_source]", f"sojourn {words[0]} {words[1]} FILE")
    assert not (home.folder / "home").exists()


def test_an_unknown_pipeline_gets_a_suggestion(home: Home) -> None:
    """`webshp` is nearly `webshop`; otherwise all ready ones are named."""
    path = home.path("x.jsonl", GOOD)
    told(home.call("run", "webshp", path), 2, "webshp", "did you mean 'webshop'", "TOML")
    told(home.call("run", "qqq", path), 2, "qqq", "activity", "pageviews", "webshop")
    told(home.call("run", "no.toml", path), 2, "no.toml")
    told(home.call("run", home.folder, path), 2, "cannot read")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (("title =", "titel ="), ["titel", "did you mean 'title'"]),
        (("[sessions]", "[session]"), ["session", "did you mean 'sessions'"]),
        (("format =", "fromat ="), ["fromat", "did you mean 'format'"]),
        (("gap  =", "gab  ="), ["sessions.gab", "did you mean 'gap'"]),
        (('gap  = "30m"', "gap = 30"), ["gap"]),
        (('"30m"', '"30"'), ["30", "30m"]),
        (('"30m"', '"soon"'), ["soon", "30m"]),
        (("[tables.sessions]", "[tables.sesions]"), ["sesions", "did you mean 'sessions'"]),
        (("[tables.sessions]", '[tables.sessions]\ncsv = { nul = "-" }'), ["nul", "did you mean 'null'"]),
        (("[tables.sessions]", "[tables.pages]"), ["tables.pages", "url"]),
        (('rule = "gap"', 'rule = "gaps"'), ["rule", "gaps"]),
        (('rule = "gap"', 'rule = "key"'), ["session_key"]),
        (('"event.timestamp"', '{ path = "at", fromats = ["iso"] }'), ["fromats", "did you mean 'formats'"]),
        (('"event.timestamp"', '{ path = "at", formats = ["%Q"] }'), ["%Q"]),
        (('"event.timestamp"', '{ path = "at", type = "instant" }'), ["occurred_at"]),
        (('"event.timestamp"', '""'), ["occurred_at"]),
        (("occurred_at =", "occured_at ="), ["occurred_at"]),
        (('actor       = "event.customer-id"', ""), ["actor"]),
        (("[source.events]", '[source.events]\ntimezone = "Mars/Olympus"'), ["Mars/Olympus", "Europe/Berlin"]),
        (("[source.events]", '[source.events]\ndedupe = "sometimes"'), ["dedupe"]),
        (("[source.events]", '[source.events]\nmax_record = "big"'), ["max_record", "big"]),
        (("[source.events]", '[source.events]\nschema = "none.json"'), ["none.json"]),
        (("[source.events]", '[source.events]\ndrop = ["bots"]'), ["drop"]),
        (("[source.events]", "[source.visits]"), ["events"]),
        (('format = "jsonl"', 'format = "xml"'), ["format", "xml"]),
        (('title = "Own"', 'title = "Own'), ["TOML", "line"]),
        (('title = "Own"', 'name = "own"'), ["name"]),
    ],
)
def test_a_pipeline_with_a_mistake(home: Home, change: tuple[str, str], words: list[str]) -> None:
    """The file, the place in it, and what would work; nothing is read."""
    assert OWN.count(change[0]) >= 1
    own = home.path("own.toml", OWN.replace(*change, 1))
    for command in ("run", "check"):
        told(
            sojourn(command, own, home.path("x.jsonl", GOOD), *(["--home", home.folder] * (command == "run"))),
            2,
            "own.toml",
            *words,
        )


def test_a_column_that_the_file_lacks(home: Home) -> None:
    """The column, the field that wants it, and the columns that there are."""
    own = home.path("own.toml", CSV)
    told(
        home.call("run", own, home.path("x.csv", "whenn,who\n2022-03-01T10:00:00,c\n")),
        2,
        "x.csv",
        "when",
        "occurred_at",
        "whenn, who",
    )
    told(home.call("run", own, home.path("y.csv", "\nwhen,who\n")), 2, "y.csv", "its first line is blank")


def test_a_column_that_stands_twice(home: Home) -> None:
    """Which is meant, nobody knows; columns that nobody reads may be called alike, or nothing at all."""
    own = home.path("own.toml", CSV)
    told(home.call("run", own, home.path("x.csv", "when,who,who\n")), 2, "x.csv", "2 columns named 'who'", "rename")
    row = pa.table([["2022-03-01T10:00:00"], ["c"], ["d"]], ["when", "who", "who"])
    pq.write_table(row, home.path("x.parquet", b""))
    told(home.call("run", own, home.folder / "x.parquet"), 2, "x.parquet", "2 columns named 'who'")
    rows = b'when,,who,,\n2022-03-01T10:00:00,1,c,2,\n2022-03-01T10:01:00,1,"c",2,\n'
    assert home.run(own, rows, name="y.csv")["ledger"]["accepted"] == 2
    assert home.call("sql", "select actor, events from own.sessions", "--json").json == [{"actor": "c", "events": 2}]


def test_files_of_another_format(home: Home) -> None:
    """Text where Parquet is declared, a pipe where only a file will do."""
    own = home.path("own.toml", CSV.replace("csv", "parquet"))
    told(home.call("run", own, home.path("x.parquet", GOOD)), 1, "x.parquet", "Parquet")
    told(home.call("run", own, "-"), 2, "Parquet")


def test_a_database_that_cannot_be_reached(home: Home) -> None:
    """Every command says so, without the password."""
    url = "postgresql://me:secret@127.0.0.1:1/base"
    path = home.path("x.jsonl", GOOD)
    for words in (
        ["run", "webshop", path],
        ["tables"],
        ["sql", "select 1"],
        ["metrics", "orders"],
        ["quarantine", "list"],
    ):
        done = home.call(*words, "--store", url)
        told(done, 1, "cannot reach the database")
        assert "secret" not in done.err


def test_a_pipeline_that_reads_in_another_way_than_before(home: Home) -> None:
    """Kept events cannot be read again: it takes the raw files, by a rebuild where they are there, or to start over."""
    path = home.path("x.jsonl", GOOD)
    own = home.path("own.toml", OWN)
    assert home.call("run", own, path).status == 0
    home.path("own.toml", OWN.replace('"event.customer-id"', '"event.customer"'))
    told(
        home.call("run", own, path),
        2,
        "fields.actor.path event.customer-id -> event.customer",
        "sojourn rebuild own.toml",
    )
    path.rename(path.with_suffix(".away"))
    told(home.call("run", own, home.path("y.jsonl", GOOD)), 2, "own", str(path), "--mode replace")
    assert home.call("run", own, home.path("y.jsonl", GOOD), "--mode", "replace").status == 0


@pytest.mark.parametrize("how", ["shrinks", "disappears", "is replaced"])
def test_a_file_that_changes_while_it_is_read(home: Home, monkeypatch: pytest.MonkeyPatch, how: str) -> None:
    """It fails the run, which publishes nothing and is recorded; the earlier tables stay."""
    home.run("webshop", GOOD, name="before.jsonl")
    path = home.path("x.jsonl", lines(*(shop(at, "10:00:00") for at in range(100))))
    land = reading.land

    def changing(*given: object, **more: object) -> object:
        other = path.with_suffix(".other")
        other.write_bytes(path.read_bytes()[:1000])
        if how == "shrinks":
            path.write_bytes(other.read_bytes())
        elif how == "disappears":
            path.unlink()
        else:
            other.write_bytes(path.read_bytes())
            other.replace(path)
        return land(*given, **more)  # type: ignore[arg-type]

    monkeypatch.setattr(runs, "land", changing)
    told(home.call("run", "webshop", path, "--json"), 1, "x.jsonl", "while it was being read")
    assert home.values("select events from webshop.sessions") == [1]
    assert home.values("select status from sojourn.runs order by started_at") == ["done", "failed"]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is always full")
def test_a_full_disk(home: Home) -> None:
    """Where there is no room, that is what is said."""
    home.run("webshop", lines("broken"))
    told(home.call("quarantine", "export", "-o", "/dev/full"), 1, "/dev/full")


@pytest.mark.parametrize(
    "words",
    [
        ["metrics", "orders"],
        ["metrics", "orders", "--json"],
        ["metrics", "session_durations"],
        ["metrics", "orders", "--pipeline", "own"],
        ["export", "webshop"],
        ["export", "own"],
    ],
)
def test_nothing_published_yet(home: Home, words: list[str]) -> None:
    """Said plainly, with what to do first; standard output stays empty."""
    done = home.call(*words)
    told(done, 1, "nothing is published", "sojourn")
    assert done.out == ""


def test_commands_that_only_read_make_no_home(home: Home) -> None:
    """Looking does not create anything."""
    for words in (
        ["tables"],
        ["sql", "select 1"],
        ["metrics", "orders"],
        ["quarantine", "list"],
        ["quarantine", "export"],
        ["export", "webshop"],
    ):
        home.call(*words)
    assert list(home.folder.iterdir()) == []


def test_as_a_process_too(tmp_path: Path) -> None:
    """The sentence is on standard error, standard output is empty, the status is the process's."""
    done = process("run", "webshop", tmp_path / "no.jsonl", "--home", tmp_path / "home")
    told(done, 2, "no.jsonl")
    assert done.stdout == b""
