"""`sojourn run`: sources, options, what it prints and writes, and its exit status."""

import gzip
import hashlib
import json
import os
import pty
import re
import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import zstandard

from tests.command import Home, lines, process, shop, sojourn

ONE, TWO, THREE = (shop(at, f"10:0{at}:00") for at in (1, 2, 3))
FINISHED = ["accepted", "duplicate", "dropped", "quarantined", "notes"]


def test_a_file_is_read(home: Home) -> None:
    """The report counts it under the name that the person gave."""
    path = home.path("events.jsonl", lines(ONE, TWO))
    done = home.call("run", "webshop", path, "--json")
    assert done.status == 0
    assert [(entry["file"], entry["read"]) for entry in done.json["files"]] == [(str(path), 2)]


def test_several_files_globs_and_directories_are_read_once_each(home: Home) -> None:
    """A file named twice, by itself and by a pattern, is one file; hidden and foreign files are no data."""
    folder = home.folder / "data"
    home.path("data/a.jsonl", lines(ONE))
    home.path("data/deep/b.ndjson", lines(TWO))
    home.path("data/deep/c.json.gz", gzip.compress(lines(THREE)))
    home.path("data/notes.md", b"no data")
    home.path("data/.hidden.jsonl", b"no data")
    by_folder = home.process("run", "webshop", folder, "--json").json
    assert [Path(entry["file"]).name for entry in by_folder["files"]] == ["a.jsonl", "b.ndjson", "c.json.gz"]
    assert by_folder["ledger"]["accepted"] == 3
    again = home.process("run", "webshop", folder / "a.jsonl", f"{folder}/**/*json*", "--json").json
    assert (len(again["files"]), again["ledger"]["read"], again["ledger"]["duplicate"]) == (3, 3, 3)


def test_a_home_among_the_sources_is_no_source(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`sojourn run webshop .` twice: the home that the first made here holds no records."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("SOJOURN_HOME", raising=False)
    Path("x.jsonl").write_bytes(lines(ONE, "broken"))
    for _ in range(2):
        assert sojourn("run", "webshop", ".", "--json").json["ledger"]["read"] == 2
    assert sojourn("check", "webshop", ".", "--json").json["ledger"]["read"] == 2


@pytest.mark.parametrize("name", ["events=PATH", "./PATH"])
def test_a_source_may_be_named(home: Home, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """`events=PATH` is PATH for the source `events`."""
    monkeypatch.chdir(home.folder)
    home.path("x.jsonl", lines(ONE))
    assert home.call("run", "webshop", name.replace("PATH", "x.jsonl"), "--json").json["ledger"]["accepted"] == 1


def test_a_file_whose_name_holds_an_equals_sign_is_a_file(home: Home) -> None:
    """What exists is taken as it is."""
    path = home.path("day=1.jsonl", lines(ONE))
    assert home.call("run", "webshop", path, "--json").json["ledger"]["accepted"] == 1


def test_standard_input_is_read_with_or_without_last_newline(home: Home) -> None:
    """`-` is standard input; one line and half a line more are two records."""
    done = home.process("run", "webshop", "-", "--json", stdin=lines(ONE) + TWO.encode()[:-1])
    assert done.json["ledger"]["read"] == 2
    assert done.json["files"][0]["file"] == "-"
    assert home.rows("select line, reason from sojourn.quarantine") == [{"line": 2, "reason": "invalid_json"}]


@pytest.mark.parametrize("how", ["gz", "zst"])
@pytest.mark.parametrize("through", ["file", "stdin"])
def test_compressed_sources_are_read_as_they_are(home: Home, how: str, through: str) -> None:
    """By their first bytes and not their name; several members or frames are one content."""
    squeeze = gzip.compress if how == "gz" else zstandard.ZstdCompressor().compress
    content = squeeze(lines(ONE, "broken")[:-3]) + squeeze(lines("en", TWO))
    source = home.path("events.data", content) if through == "file" else "-"
    done = home.process("run", "webshop", source, "--json", stdin=content if through == "stdin" else b"")
    assert done.status == 0, done.err
    assert done.json["ledger"]["accepted"] == 2
    assert home.rows("select line, raw from sojourn.quarantine") == [{"line": 2, "raw": "broken"}]


def test_home_is_the_option_then_the_variable_then_sojourn_data(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each place is used when those before it are not given."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("SOJOURN_HOME", raising=False)
    Path("x.jsonl").write_bytes(lines(ONE))
    assert sojourn("run", "webshop", "x.jsonl").status == 0
    assert Path("sojourn-data").is_dir()
    monkeypatch.setenv("SOJOURN_HOME", "elsewhere")
    assert sojourn("tables", "--json").json == []
    assert sojourn("run", "webshop", "x.jsonl").status == 0
    assert Path("elsewhere").is_dir()
    assert sojourn("run", "webshop", "x.jsonl", "--home", "third/place").status == 0
    assert sojourn("metrics", "orders", "--home", "third/place", "--json").status == 0


def test_mode_replace_starts_the_pipeline_over(home: Home) -> None:
    """Its events go, other pipelines' stay; what was accepted before is accepted anew."""
    home.run("webshop", lines(ONE, TWO))
    home.run("activity", b"")
    ledger = home.run("webshop", lines(TWO, THREE), "--mode", "replace")["ledger"]
    assert (ledger["accepted"], ledger["duplicate"]) == (2, 0)
    assert home.values("select events from webshop.sessions") == [2]
    assert "activity" in {row["pipeline"] for row in home.call("tables", "--json").json}


def test_mode_add_is_the_default(home: Home) -> None:
    """Runs add up."""
    home.run("webshop", lines(ONE))
    home.run("webshop", lines(TWO), "--mode", "add")
    home.run("webshop", lines(THREE))
    assert home.values("select events from webshop.sessions") == [3]


def test_json_is_one_object_of_exactly_this_shape(home: Home) -> None:
    """Nothing else stands on standard output, and nothing on standard error."""
    path = home.path("x.jsonl", lines(ONE, ONE, "", shop(4, "10:00:00", None), "broken", shop(1, "11:00:00")))
    done = home.call("run", "webshop", path, "--json")
    assert done.out.count("\n") == 1
    assert done.err == ""
    report = done.json
    counts = {
        "read": 5,
        "blank": 1,
        "accepted": 1,
        "duplicate": 2,
        "dropped": {"anonymous": 1},
        "quarantined": {"invalid_json": 1},
        "notes": {"conflicting": 1},
    }
    assert list(report) == ["run_id", "pipeline", "status", "seconds", "ledger", "files", "tables"]
    assert (report["pipeline"], report["status"]) == ("webshop", "done")
    assert isinstance(report["run_id"], str)
    assert isinstance(report["seconds"], float)
    assert list(report["ledger"].items()) == list(counts.items())
    (entry,) = report["files"]
    assert {key: entry[key] for key in counts} == counts
    assert report["tables"] == {"sessions": 1, "session_durations_by_referrer": 1, "referrer_differences": 1}


def test_without_json_the_ledger_and_the_tables_are_shown(home: Home) -> None:
    """Every end with its count and reason, and every published table with its rows."""
    path = home.path("x.jsonl", lines(ONE, "broken", "", shop(4, "10:00:00", None)))
    done = home.call("run", "webshop", path)
    told = [" ".join(line.replace("│", " ").split()) for line in done.out.splitlines()]
    for line in ("read 3", "accepted 1", "duplicate 0", "dropped anonymous 1", "quarantined invalid_json 1"):
        assert line in told
    assert "webshop.sessions 1" in told
    assert "webshop.session_durations_by_referrer 1" in told


def test_out_writes_every_table_with_manifest_and_quarantine(home: Home) -> None:
    """The manifest has rows, bytes and SHA-256 of each table's file."""
    out = home.folder / "deep" / "out"
    report = home.run("webshop", lines(ONE, "broken", shop(9, "12:00:00")), "--out", out)
    tables = {"sessions.csv", "session_durations_by_referrer.csv", "referrer_differences.csv"}
    names = {*tables, "quarantine.jsonl", "manifest.json"}
    assert {path.name for path in out.iterdir()} == names
    manifest = json.loads((out / "manifest.json").read_bytes())
    assert (manifest["pipeline"], manifest["run_id"]) == ("webshop", report["run_id"])
    assert {name: entry["rows"] for name, entry in manifest["tables"].items()} == report["tables"]
    for name, entry in manifest["tables"].items():
        content = (out / entry["file"]).read_bytes()
        assert entry["file"] == f"{name}.csv"
        assert (entry["bytes"], entry["sha256"]) == (len(content), hashlib.sha256(content).hexdigest())
        assert content.count(b"\n") == entry["rows"] + 1
    (kept,) = (json.loads(line) for line in (out / "quarantine.jsonl").read_text().splitlines())
    assert (kept["line"], kept["reason"], kept["path"], kept["value"], kept["raw"]) == (
        2,
        "invalid_json",
        "$",
        None,
        "broken",
    )


def test_files_of_an_earlier_export_are_replaced_also_when_every_source_was_read_before(home: Home) -> None:
    """Tables of another pipeline or format go; a person's own files stay; the quarantine is this run's."""
    out = home.folder / "out"
    mine = home.path("out/mine.csv", b"keep me")
    home.run("activity", b"broken\n", "--out", out)
    content = lines(ONE, "broken")
    home.run("webshop", content, "--out", out, "--format", "parquet")
    expected = {"mine.csv", "manifest.json", "quarantine.jsonl"}
    assert {path.name for path in out.iterdir()} == expected | {
        "sessions.parquet",
        "session_durations_by_referrer.parquet",
        "referrer_differences.parquet",
    }
    report = home.run("webshop", content, "--out", out)
    assert {path.name for path in out.iterdir()} == expected | {
        "sessions.csv",
        "session_durations_by_referrer.csv",
        "referrer_differences.csv",
    }
    assert json.loads((out / "manifest.json").read_bytes())["run_id"] == report["run_id"]
    kept = [json.loads(line) for line in (out / "quarantine.jsonl").read_text().splitlines()]
    assert [(row["pipeline"], row["line"]) for row in kept] == [("webshop", 2)]
    home.run("webshop", lines(TWO), "--out", out)
    assert (out / "quarantine.jsonl").read_bytes() == b""
    assert mine.read_bytes() == b"keep me"


def test_out_of_a_run_that_publishes_nothing_is_left_alone(home: Home) -> None:
    """The earlier export stays whole, without leftovers beside it."""
    out = home.folder / "out"
    home.run("webshop", lines(ONE), "--out", out)
    before = {path.name: path.read_bytes() for path in out.iterdir()}
    bad = home.path("bad.jsonl", lines("broken"))
    assert home.call("run", "webshop", bad, "--out", out, "--max-quarantined", "0").status == 3
    assert {path.name: path.read_bytes() for path in out.iterdir()} == before


def test_format_parquet_writes_the_same_rows_with_their_types(home: Home) -> None:
    """Instants are timestamps, counts integers, durations doubles."""
    out = home.folder / "out"
    home.run(
        "webshop",
        lines(ONE, TWO, shop(5, "12:00:00", kind="page_view", page="/x")),
        "--out",
        out,
        "--format",
        "parquet",
    )
    table = pq.read_table(out / "sessions.parquet")
    kinds = {name: str(kind) for name, kind in zip(table.schema.names, table.schema.types, strict=True)}
    assert kinds["started_at"].startswith("timestamp[us")
    assert (kinds["events"], kinds["duration_seconds"], kinds["converted"]) == ("int64", "double", "bool")
    rows = home.rows(
        "select actor, events, duration_seconds, landing_page from webshop.sessions order by session_number"
    )
    assert table.select(["actor", "events", "duration_seconds", "landing_page"]).to_pylist() == rows
    manifest = json.loads((out / "manifest.json").read_bytes())["tables"]["sessions"]
    assert manifest["sha256"] == hashlib.sha256((out / "sessions.parquet").read_bytes()).hexdigest()


@pytest.mark.parametrize("size", ["400MB", "1 GB", "512MiB", "0.5g"])
def test_memory_may_be_limited(home: Home, size: str) -> None:
    """The tables are the same."""
    assert home.run("webshop", lines(ONE, TWO), "--memory", size)["tables"]["sessions"] == 1


@pytest.mark.parametrize(
    ("limit", "bad", "status"),
    [
        ("0", 0, 0),
        ("0", 1, 3),
        ("5", 5, 0),
        ("5", 6, 3),
        ("1%", 1, 0),
        ("1%", 2, 3),
        ("1.5%", 1, 0),
        ("0%", 1, 3),
        ("100%", 100, 0),
    ],
)
def test_max_quarantined_is_the_most_that_is_allowed(home: Home, limit: str, bad: int, status: int) -> None:
    """Of 100 records: exactly the limit is allowed, one more publishes nothing and keeps the quarantine."""
    path = home.path("x.jsonl", lines(*["broken"] * bad, *(shop(at, "10:00:00") for at in range(100 - bad))))
    done = home.call("run", "webshop", path, "--max-quarantined", limit, "--json")
    assert done.status == status
    assert done.json["ledger"]["quarantined"] == ({"invalid_json": bad} if bad else {})
    assert bool(home.call("tables", "--json").json) == (status == 0)
    assert home.values("select count(*) from sojourn.quarantine") == [bad]


def test_without_a_limit_any_number_may_be_quarantined(home: Home) -> None:
    """A file of only bad lines is a run that is done, with empty tables."""
    report = home.run("webshop", lines(*["broken"] * 50))
    assert (report["status"], report["tables"]) == ("done", dict.fromkeys(report["tables"], 0))


def test_too_many_quarantined_still_prints_the_ledger(home: Home) -> None:
    """With --json one object, with the reason in it; without, the ledger; one sentence on standard error."""
    path = home.path("x.jsonl", lines(ONE, "broken"))
    done = home.call("run", "webshop", path, "--max-quarantined", "0", "--json")
    assert (done.status, done.out.count("\n"), done.json["tables"]) == (3, 1, {})
    assert done.json["ledger"]["read"] == 2
    assert "1 of 2 records" in done.err
    shown = home.call("run", "webshop", path, "--max-quarantined", "0%")
    assert shown.status == 3
    assert "invalid_json" in shown.out


def test_the_second_run_on_a_home_waits_and_says_so(home: Home) -> None:
    """A run that is still reading its standard input holds the home; both are done in the end."""

    words = [sys.executable, "-m", "sojourn", "run", "webshop", "--json", "--home", str(home.folder / "home")]
    path = home.path("x.jsonl", lines(TWO))
    pipe = subprocess.PIPE
    with subprocess.Popen([*words, "-"], stdin=pipe, stdout=pipe) as first:
        assert first.stdin is not None
        lock = home.folder / "home" / "lock"
        while not lock.exists():
            assert first.poll() is None
        with subprocess.Popen([*words, str(path)], stdout=pipe, stderr=pipe) as second:
            assert second.stderr is not None
            said = second.stderr.readline()
            assert b"another run" in said
            assert second.poll() is None
            first.communicate(lines(ONE))
            assert second.wait(60) == 0
        assert first.returncode == 0
    assert home.values("select events from webshop.sessions") == [2]


def test_a_pipeline_may_be_a_toml_file(home: Home) -> None:
    """Its tables are published under the file's name, in lower case and without odd characters."""
    text = sojourn("pipelines", "webshop").out
    done = home.call("run", home.path("My Shop-2.toml", text), home.path("x.jsonl", lines(ONE)), "--json")
    assert done.json["pipeline"] == "my_shop_2"
    assert home.values("select count(*) from my_shop_2.sessions") == [1]


def test_a_pipeline_file_may_begin_with_a_byte_order_mark(home: Home) -> None:
    """As some editors write it."""
    text = "\ufeff" + sojourn("pipelines", "webshop").out
    assert home.call("run", home.path("own.toml", text), home.path("x.jsonl", lines(ONE))).status == 0


def test_csv_without_a_header_line_needs_columns(home: Home) -> None:
    """Named in the pipeline, every line is a record; a first line that repeats them is a header."""
    own = home.path(
        "gates.toml",
        """
        [source.events]
        format    = "csv"
        delimiter = "\\t"
        columns   = ["when", "card", "gate"]
        [source.events.fields]
        occurred_at = "when"
        actor       = "card"
        gate        = "gate"
        [sessions]
        rule = "gap"
        """,
    )
    rows = ["2022-03-01T10:00:00\tc\t1", "2022-03-01T10:01:00\tc\t2"]
    assert home.run(own, lines(*rows), name="x.tsv")["ledger"]["accepted"] == 2
    ledger = home.run(own, lines("when\tcard\tgate", *rows), name="y.tsv")["ledger"]
    assert (ledger["read"], ledger["duplicate"]) == (2, 2)


def test_parquet_is_read_under_the_same_contract(home: Home) -> None:
    """Typed columns keep it, a row that does not is quarantined with its number."""
    own = home.path(
        "gates.toml",
        """
        [source.events]
        format = "parquet"
        [source.events.fields]
        event_id    = { path = "nr", type = "integer" }
        occurred_at = { path = "at", formats = ["iso", "epoch_s"] }
        actor       = "card"
        [sessions]
        rule = "gap"
        """,
    )
    path = home.folder / "x.parquet"
    pq.write_table(
        pa.table({"nr": [1, 2, None], "at": ["2022-03-01T10:00:00", "soon", "2022-03-01T10:00:00"], "card": [7, 7, 7]}),
        path,
    )
    report = home.call("run", own, path, "--json").json
    assert (report["ledger"]["accepted"], report["ledger"]["quarantined"]) == (1, {"missing_field": 1, "bad_time": 1})
    assert home.values("select line from sojourn.quarantine order by line") == [2, 3]
    assert home.values("select actor from gates.sessions") == ["7"]


def test_run_ids_sort_by_time_and_differ(home: Home) -> None:
    """Two runs within a moment have ids of their own."""
    ids = [home.run("webshop", b"")["run_id"] for _ in range(3)]
    assert sorted(set(ids)) == ids
    assert all(re.fullmatch(r"[0-9A-Za-z-]+", run_id) for run_id in ids)


def test_on_a_terminal_there_is_a_progress_bar_and_then_the_ledger(home: Home) -> None:
    """The bar is on standard error, and gone at the end; standard output has the tables alone."""

    path = home.path("x.jsonl", lines(shop(1, "10:00:00", query="x" * 9000)) * 1000)  # two units, so a rate is known
    main, side = pty.openpty()
    words = [sys.executable, "-m", "sojourn", "run", "webshop", str(path), "--home", str(home.folder / "home")]
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=side) as running:
        os.close(side)
        seen = b""
        try:
            while piece := os.read(main, 4096):
                seen += piece
        except OSError:
            pass  # the other side is closed
        out = running.communicate()[0].decode()
    os.close(main)
    assert running.returncode == 0
    assert b"reading" in seen
    assert b"/s" in seen
    assert "accepted" in out
    assert "reading" not in out


def test_a_reader_of_our_output_may_go_away(home: Home) -> None:
    """`sojourn ... | head -1` ends without a word of complaint."""

    home.run("webshop", lines(*(shop(at, "10:00:00", at) for at in range(5000))))
    words = (
        f"{sys.executable} -m sojourn sql 'select * from webshop.sessions' --csv --home {home.folder}/home | head -1"
    )
    done = subprocess.run(["bash", "-c", f"set -o pipefail; {words}"], capture_output=True, check=False)
    assert done.stdout.startswith(b"session_id,")
    assert done.stderr == b""


def test_python_m_sojourn_is_the_command() -> None:
    """`python -m sojourn` answers as `sojourn` does."""
    assert process("--version").out.startswith("sojourn")
