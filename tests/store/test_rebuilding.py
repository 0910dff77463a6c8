"""`sojourn rebuild`: every table again, by other rules from kept events, by another contract from the raw files."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.store.mends import BROKEN, GOOD, MENDS, content, pipeline, record
from tests.store.places import Place
from tests.store.test_journal_tables import EVENT, message, opened, receive
from tests.store.test_replaying import STREAMS, fresh, run_of, standing, written

NIGHT = [record(3, at="2024-03-01T10:25:00"), record(4, at="2024-03-01T22:00:00", who="d")]


def rebuilt(place: Place, own: Path, *, is_alone: bool = False) -> Any:
    """The report of a rebuild; *is_alone*: in a process of its own, as it reads several files."""
    done = (place.process if is_alone else place.call)("rebuild", own, "--json")
    assert done.status == 0, done.err
    assert done.json["rebuilt"] is True
    return done.json


def test_other_rules(place: Place, tmp_path: Path) -> None:
    """A rebuild with another gap gives what a run over everything gives; the raw files are not needed."""
    files = [written(tmp_path, content(*GOOD, BROKEN["bad_time"])), written(tmp_path, content(*NIGHT), "night.jsonl")]
    for file in files:
        place.run(pipeline(tmp_path), file)
    own = pipeline(tmp_path, gap="10m")
    expected = fresh(tmp_path, own, *files)
    assert place.tables(tmp_path / "tables", "shop") != expected
    for file in files:
        file.rename(file.with_suffix(".away"))
    report = rebuilt(place, own)
    assert (report["status"], report["ledger"]["read"], report["files"]) == ("done", 0, [])
    assert place.tables(tmp_path / "tables", "shop") == expected
    assert standing(place) == [(4, "bad_time")]
    assert (
        json.loads(place.rows("select report from sojourn.runs order by started_at")[-1]["report"])["rebuilt"] is True
    )
    for file in files:
        file.with_suffix(".away").rename(file)
        ledger = place.run(own, file)
        assert (ledger["files"][0]["skipped"], ledger["ledger"]["accepted"]) == (True, 0)
    assert place.tables(tmp_path / "tables", "shop") == expected


def test_the_same_rules(place: Place, tmp_path: Path) -> None:
    """A rebuild without any change publishes equal tables."""
    place.run(pipeline(tmp_path), written(tmp_path, content(*GOOD)))
    place.run(pipeline(tmp_path), written(tmp_path, content(*NIGHT), "night.jsonl"))
    tables = place.tables(tmp_path / "tables", "shop")
    report = rebuilt(place, tmp_path / "shop.toml")
    assert place.tables(tmp_path / "tables", "shop") == tables
    assert {row["run_id"] for row in place.open().published()} == {report["run_id"]}


def test_a_run_with_other_rules_says_so(embedded: Place, tmp_path: Path) -> None:
    """It computes everything again, from what is kept and what is new, and tells which rules changed."""
    files = [written(tmp_path, content(*GOOD)), written(tmp_path, content(*NIGHT), "night.jsonl")]
    embedded.run(pipeline(tmp_path), files[0])
    own = pipeline(tmp_path, gap="20m")
    done = embedded.call("run", own, files[1])
    assert (done.status, "sessions.gap 30m -> 20m" in done.err, done.err.count("\n")) == (0, True, 1)
    assert embedded.tables(tmp_path / "tables", "shop") == fresh(tmp_path, own, *files)
    assert embedded.call("run", own, files[1]).err == ""


def test_another_contract(place: Place, tmp_path: Path) -> None:
    """The raw files are read again, and the quarantine is that of now."""
    files = [written(tmp_path, content(*GOOD, BROKEN["bad_time"])), written(tmp_path, content(*NIGHT), "night.jsonl")]
    for file in files:
        place.run(pipeline(tmp_path), file)
    with files[1].open("ab") as grown:
        grown.write(content(BROKEN["unknown_value"]))
    own = pipeline(tmp_path, formats=["%d.%m.%Y %H:%M", "iso"])
    report = rebuilt(place, own, is_alone=True)
    assert (report["ledger"]["read"], report["ledger"]["accepted"]) == (7, 6)
    assert standing(place) == [(3, "unknown_value")]
    assert place.tables(tmp_path / "tables", "shop") == fresh(tmp_path, own, *files)
    assert place.run(own, *files[:1])["files"][0]["skipped"] is True


def test_raw_files_that_are_gone(embedded: Place, tmp_path: Path) -> None:
    """Whatever cannot be read again is listed, with why; nothing is published."""
    names = ["there", "gone", "other"]
    files = {
        name: written(tmp_path, content(*GOOD, record(n, who=name)), f"{name}.jsonl") for n, name in enumerate(names)
    }
    for file in files.values():
        embedded.run(pipeline(tmp_path), file)
    stream = embedded.call("run", pipeline(tmp_path), "-", "--json", stdin=content(record(60)))
    assert stream.status == 0
    tables = embedded.tables(tmp_path / "tables", "shop")
    files["gone"].unlink()
    files["other"].write_bytes(files["other"].read_bytes().replace(b"other", b"OTHER"))
    own = pipeline(tmp_path, formats=["%d.%m.%Y %H:%M", "iso"])
    done = embedded.call("rebuild", own)
    assert (done.status, "files_missing" in done.err) == (1, True)
    assert f"{files['gone']} (it cannot be read: No such file or directory)" in done.err
    assert f"{files['other']} (it changed since)" in done.err
    assert f"- (a stream, read by the run {stream.json['run_id']})" in done.err
    assert f"{files['there']} (" not in done.err
    assert embedded.tables(tmp_path / "tables", "shop") == tables


def test_a_file_under_another_name_serves(embedded: Place, tmp_path: Path) -> None:
    """Of a content that was read under several names one is enough."""
    one = written(tmp_path, content(*GOOD), "one.jsonl")
    two = written(tmp_path, content(*GOOD), "two.jsonl")
    assert embedded.process("run", pipeline(tmp_path), one, two).status == 0
    one.unlink()
    own = pipeline(tmp_path, formats=["%d.%m.%Y %H:%M", "iso"])
    assert rebuilt(embedded, own)["ledger"]["accepted"] == 3


def test_after_a_replay(embedded: Place, tmp_path: Path) -> None:
    """What was read again is kept like any other event."""
    events = written(tmp_path, content(*GOOD, *NIGHT, BROKEN["bad_time"]))
    embedded.run(pipeline(tmp_path), events)
    own = pipeline(tmp_path, **MENDS["bad_time"])
    assert run_of(embedded, "--pipeline", own)["ledger"]["accepted"] == 1
    own = pipeline(tmp_path, **MENDS["bad_time"], gap="2m")
    rebuilt(embedded, own)
    assert embedded.tables(tmp_path / "tables", "shop") == fresh(tmp_path, own, events)


def test_nothing_was_published(embedded: Place) -> None:
    """There is nothing to compute again."""
    done = embedded.call("rebuild", "webshop")
    assert (done.status, "not_published" in done.err) == (2, True)


@pytest.mark.parametrize("has_file", [False, True])
def test_live_messages(place: Place, tmp_path: Path, has_file: bool) -> None:
    """The journal is read as by any run, also where streams from files are kept beside it; what it brings counts in
    no ledger of a replay or a rebuild, and what it broke leaves the quarantine with the run that accepts it."""
    own = tmp_path / "live2.toml"
    own.write_text(STREAMS.format(most="400B", values=[1]))
    bad = EVENT.replace('"name"', '"amount":7,"name"')
    receive(place, opened("a"), message("a", 2, bad))
    files = [written(tmp_path, content(opened("b"), message("b", 2, bad)))] if has_file else []
    place.run(own, *files)
    assert standing(place) == [(2, "unknown_value")] * (1 + has_file)
    own.write_text(STREAMS.format(most="400B", values=[1, 7]))
    if has_file:
        told = place.call("quarantine", "replay", "--pipeline", own, "--json").json
        assert told["runs"][0]["ledger"]["read"] == 1
        assert [(entry["file"], entry["records"]) for entry in told["not_replayed"]] == [("journal", 1)]
        assert counted(place) == [("a", 2), ("b", 2)]
    place.run(own, *files)
    assert standing(place) == []
    assert counted(place) == [("a", 2), ("b", 2)][: 1 + has_file]
    report = rebuilt(place, own)
    assert counted(place) == [("a", 2), ("b", 2)][: 1 + has_file]
    assert report["ledger"]["read"] == (0 if has_file else 3)


def counted(place: Place) -> list[tuple[str, int]]:
    """The sessions of streams, and how many events each has."""
    rows = place.rows("select session_id, events from live2.sessions order by session_id")
    return [(row["session_id"], row["events"]) for row in rows]
