"""What both stores promise: runs are published whole, told apart, and read as one."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from sojourn import running, samples
from sojourn.store.manifest import Kept
from tests.command import shop, write
from tests.store.places import Place, Tables


@pytest.mark.parametrize("pipeline", samples.PIPELINES)
def test_both_stores_export_the_same_bytes(pipeline: str, embedded: Place, in_postgres: Place, tmp_path: Path) -> None:
    """Order, doubles, booleans, instants and nulls of every table are the same to the byte."""
    source = tmp_path / f"sample.{'csv' if pipeline == 'devices' else 'jsonl'}"
    samples.write(pipeline, source, lines=1500, seed=7)
    for place in (embedded, in_postgres):
        place.run(pipeline, *[f"{name}={path}" for name, path in samples.sources(pipeline, source).items()])
    ours, theirs = embedded.tables(tmp_path / "a", pipeline), in_postgres.tables(tmp_path / "b", pipeline)
    assert len(ours) >= 2
    assert ours == theirs


def test_text_sorts_by_its_bytes_in_both_stores(embedded: Place, in_postgres: Place, tmp_path: Path) -> None:
    """Upper and lower case, accents and punctuation come in the order of UTF-8, in files, queries and metrics."""
    actors = [
        "a",
        "B",
        "b",
        "A",
        "é",
        "z",
        "Z",
        "_",
        "-",
        "10",
        "9",
        " x",
        "ÿ",
        "\U0001f600",
        "\uffee",
        'q"u,o\nte',
        "'",
    ]
    lines = [shop(at, "10:00:00", actor, referrer=f"https://{at % 5}b-A.example/") for at, actor in enumerate(actors)]
    source = write(tmp_path / "in.jsonl", *lines)
    sorted_actors = sorted(actors, key=str.encode)
    for place in (embedded, in_postgres):
        place.run("webshop", source)
        assert [
            row["actor"] for row in place.rows("select actor from webshop.sessions order by actor")
        ] == sorted_actors
    exported = [place.tables(tmp_path / "out") for place in (embedded, in_postgres)]
    assert exported[0] == exported[1]
    metrics = [place.call("metrics", "session_durations", "--json").json for place in (embedded, in_postgres)]
    assert metrics[0] == metrics[1]


def test_text_that_postgres_cannot_hold_does_not_stop_a_run(in_postgres: Place, tmp_path: Path) -> None:
    """PostgreSQL's text has no NUL: U+FFFD stands for it; the raw text of a quarantined record keeps its bytes."""
    broken = r'{"id": "a\u0000b", "type": 5.5}'
    source = write(tmp_path / "in.jsonl", shop(1, "10:00:00", "a\0b"), broken)
    in_postgres.run("webshop", source)
    assert in_postgres.rows("select actor from webshop.sessions") == [{"actor": "a\ufffdb"}]
    assert in_postgres.rows("select raw from sojourn.quarantine") == [{"raw": broken.encode()}]


def test_runs_add_and_tell_how_they_ended(
    place: Place, files: list[Path], expected: list[Tables], tables: Callable[[], Tables], tmp_path: Path
) -> None:
    """Every run has its row; one that fails, or quarantines too much, changes no table and keeps no event."""
    place.run("webshop", files[0])
    assert tables() == expected[1]
    too_many = place.call("run", "webshop", files[1], "--max-quarantined", "0", "--json")
    failed = place.call("run", "webshop", write(tmp_path / "array.json", '[{"id": 1}]'))
    assert (too_many.status, failed.status) == (3, 1)
    assert too_many.json["status"] == "too_many_quarantined"
    assert tables() == expected[1]
    place.run("webshop", files[1])
    assert tables() == expected[2]
    assert place.statuses() == ["done", "too_many_quarantined", "failed", "done"]
    said = place.rows("select message, report from sojourn.runs where status = 'failed'")[0]
    assert "one big JSON array" in said["message"]
    assert json.loads(said["report"])["status"] == "failed"
    assert place.garbage() == []


def test_quarantine_stays_when_too_much_of_it_stops_a_run(place: Place, files: list[Path]) -> None:
    """Exit 3 publishes nothing, but the quarantined records can be looked at; each stands once."""
    stopped = place.call("run", "webshop", files[0], "--max-quarantined", "1%", "--json")
    count = sum(stopped.json["ledger"]["quarantined"].values())
    assert (stopped.status, count > 4) == (3, True)
    assert place.call("tables", "--json").json == []
    place.run("webshop", files[0])
    place.run("webshop", files[0])
    assert place.rows("select count(*) as n, count(distinct line) as lines from sojourn.quarantine") == [
        {"n": count, "lines": count}
    ]
    listed = place.call("quarantine", "list", "--json").json
    exported = place.call("quarantine", "export").out.splitlines()
    assert (len(listed), len(exported)) == (count, count)
    assert {row["run_id"] for row in listed} == {stopped.json["run_id"]}


def test_mode_replace_starts_a_pipeline_over(
    place: Place, files: list[Path], expected: list[Tables], tables: Callable[[], Tables]
) -> None:
    """Only the new files count, the old events are gone from the disk, and other pipelines stay."""
    samples.write("activity", activity := place.home.parent / "activity.jsonl", lines=200, seed=1)
    place.run("activity", activity)
    before = place.tables(place.home.parent / "activity", "activity")
    place.run("webshop", files[1])
    place.run("webshop", files[0], "--mode", "replace")
    assert tables() == expected[1]
    place.run("webshop", files[1])
    assert tables() == expected[2]
    assert place.tables(place.home.parent / "activity", "activity") == before
    assert place.garbage() == []


def test_a_run_needs_the_events_that_were_kept(place: Place, files: list[Path]) -> None:
    """A landed file that went missing is named; starting over helps."""
    place.run("webshop", files[0])
    missing = next(place.home.rglob("events-*.parquet"))
    missing.unlink()
    failed = place.call("run", "webshop", files[1])
    assert failed.status == 1
    assert str(missing) in failed.err
    assert "--mode replace" in failed.err
    place.run("webshop", files[1], "--mode", "replace")


def test_queries_read_and_nothing_else(place: Place, files: list[Path]) -> None:
    """What is no query, or does not run, is one sentence and exit 2, also when it breaks among the rows."""
    place.run("webshop", files[0])
    for sql in (
        "delete from webshop.sessions",
        "selec",
        "select * from nope",
        "select cast(actor || 'x' as int) from webshop.sessions",
        "select 1; select 2",
        "with gone as (delete from webshop.sessions returning 1) select * from gone",
    ):
        answer = place.call("sql", sql)
        assert (answer.status, answer.err.count("\n"), answer.out) == (2, 1, ""), sql
        assert "Traceback" not in answer.err
    for sql in ("select 1 as one;", "select 1 as one -- remark", "/* remark */ select 1 as one", "(select 1 as one)"):
        assert place.call("sql", sql, "--json").json == [{"one": 1}], sql
    assert place.call("sql", "explain select 1").status == 0


def test_an_export_is_of_one_run(place: Place, files: list[Path], expected: list[Tables], tmp_path: Path) -> None:
    """A run that publishes between two tables of an export changes neither."""
    place.run("webshop", files[0])
    writing = running.export("webshop", None, place.open(), tmp_path / "out", "csv")
    first = next(writing)["file"]
    other = place.start("run", "webshop", files[1])
    if place.url is None:  # PostgreSQL's run waits for the export to end
        assert other.wait(60) == 0
    rest = [entry["file"] for entry in writing]
    assert {name: (tmp_path / "out" / name).read_bytes() for name in [first, *rest]} == expected[1]
    other.communicate(timeout=60)
    assert place.tables(tmp_path / "out") == expected[2]


def test_files_of_a_run_appear_with_its_tables(place: Place, files: list[Path], tmp_path: Path) -> None:
    """A run that fails leaves the files of the run before in `--out`; what a killed one left there goes."""
    out = tmp_path / "out"
    place.run("webshop", files[0], "--out", out)
    before = {path.name: path.read_bytes() for path in out.iterdir()}
    assert set(before) == {
        "sessions.csv", "session_durations_by_referrer.csv", "referrer_differences.csv",
        "quarantine.jsonl", "manifest.json",
    }  # fmt: skip
    assert place.call("run", "webshop", files[1], "--out", out, "--max-quarantined", "0").status == 3
    assert {path.name: path.read_bytes() for path in out.iterdir()} == before
    (out / ".sojourn-killed").mkdir()
    (out / ".sojourn-killed" / "sessions.csv").write_bytes(b"half")
    place.run("webshop", files[1], "--out", out)
    assert {path.name for path in out.iterdir()} == set(before)
    assert place.tables(tmp_path / "tables")["sessions.csv"] == (out / "sessions.csv").read_bytes()


def test_files_that_cannot_be_put_in_place_are_told_after_publishing(
    place: Place, files: list[Path], expected: list[Tables], tables: Callable[[], Tables], tmp_path: Path
) -> None:
    """The run is published all the same, and the sentence says so, and how to get the files."""
    (tmp_path / "out" / "sessions.csv" / "in the way").mkdir(parents=True)
    told = place.call("run", "webshop", files[0], "--out", tmp_path / "out")
    assert (told.status, told.err.count("\n")) == (1, 1)
    assert "the run was published, but its files cannot be put into" in told.err
    assert tables() == expected[1]
    assert place.statuses() == ["done"]
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["sessions.csv"]


def test_an_unused_store_is_empty(place: Place) -> None:
    """Looking at a store that no run has written to finds nothing, and leaves nothing behind."""
    assert place.call("tables", "--json").json == []
    assert place.call("metrics", "orders").status == 1
    assert place.open().published() == []
    assert not place.home.exists()


def test_kept_is_what_the_last_run_left(place: Place, files: list[Path]) -> None:
    """The next run finds the events, how many they are, and how they were read."""
    report = place.run("webshop", files[0])
    store = place.open()
    with store.writing():
        kept = store.kept("webshop")
        assert store.kept("other") == Kept()
    assert (kept.run_id, kept.events) == (report["run_id"], report["ledger"]["accepted"])
    assert kept.files
    assert kept.reading["events"]["fields"]["event_id"]["path"] == "id"
