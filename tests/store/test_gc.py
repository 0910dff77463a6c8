"""Letting go of old runs: what is published stays, what goes is told, and readers and kills do no harm."""

from collections.abc import Callable
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from sojourn.store import own_tables
from tests.store.places import Place, Tables
from tests.store.test_rollback import dying


@pytest.fixture
def runs(place: Place, files: list[Path]) -> list[str]:
    """The ids of three runs, of which the second started over."""
    place.run("webshop", files[2])
    modes = [(files[0], "replace"), (files[1], "add")]
    first = place.rows("select run_id from sojourn.runs")[0]["run_id"]
    return [first, *(place.run("webshop", file, "--mode", mode)["run_id"] for file, mode in modes)]


def sizes(place: Place) -> dict[Path, int]:
    """Bytes of each snapshot, manifest and event file."""
    found = [*place.home.rglob("warehouse/*/*"), *place.home.rglob("events/*/*/*")]
    return {path: path.stat().st_size for path in found}


def own_rows(place: Place) -> list[dict[str, Any]]:
    """Everything that `sojourn.runs` holds."""
    return place.rows("select * from sojourn.runs order by run_id")


def test_all_but_the_newest_go(
    place: Place, runs: list[str], expected: list[Tables], tables: Callable[[], Tables]
) -> None:
    """What is told is what is gone from the disk, to the byte; a dry run tells the same and touches nothing."""
    before, rows = sizes(place), own_rows(place)
    would = place.call("gc", "--keep", "1", "--dry-run", "--json").json
    assert sizes(place) == before
    assert len(place.open().kept_runs("webshop")) == 3
    went = place.call("gc", "--keep", "1", "--json").json
    after = sizes(place)
    assert {name: went[name] for name in went if name != "dry_run"} == {
        name: would[name] for name in would if name != "dry_run"
    }
    assert went["runs"] == [{"pipeline": "webshop", "run_id": run} for run in runs[:2]]
    assert went["bytes"] == sum(size for path, size in before.items() if path not in after)
    assert went["event_files"] == sum("events" in path.parts for path in set(before) - set(after)) > 0
    assert [one.run_id for one in place.open().kept_runs("webshop")] == runs[2:]
    assert tables() == expected[2]
    assert own_rows(place) == rows
    assert place.garbage() == []
    again = place.call("gc", "--keep", "1", "--json").json
    assert (again["runs"], again["bytes"]) == ([], 0)


def test_the_current_run_stays_however_old(
    place: Place, runs: list[str], files: list[Path], expected: list[Tables], tables: Callable[[], Tables]
) -> None:
    """After a rollback the newest run is not the current one: both stay, and the next run works."""
    place.call("rollback", "webshop", runs[1])
    place.call("gc", "--keep", "1")
    assert [one.run_id for one in place.open().kept_runs("webshop")] == runs[1:]
    assert tables() == expected[1]
    place.run("webshop", files[1])
    assert tables() == expected[2]


def test_rows_of_old_runs_go_when_it_is_said(place: Place, runs: list[str], files: list[Path]) -> None:
    """Only with a duration, only older ones, and never those of kept runs."""
    failed = place.call("run", "webshop", files[3], "--max-quarantined", "0", "--json").json["run_id"]
    rows = own_rows(place)
    assert place.call("gc", "--older-than", "1h", "--json").json["rows"] == 0
    assert own_rows(place) == rows
    assert place.call("gc", "--keep", "1", "--older-than", "0.001ms", "--dry-run", "--json").json["rows"] == 3
    assert own_rows(place) == rows
    assert place.call("gc", "--keep", "2", "--older-than", "1us", "--json").json["rows"] == 2
    left = {row["run_id"] for row in own_rows(place)}
    assert left == set(runs[1:])
    assert failed not in left
    told = place.call("gc", "--older-than", "soon")
    assert (told.status, "[bad_duration]" in told.err) == (2, True)


def test_what_is_kept_can_stand_in_the_environment(
    place: Place, runs: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """`SOJOURN_KEEP_RUNS` holds for gc, too; a flag goes before it."""
    monkeypatch.setenv("SOJOURN_KEEP_RUNS", "2")
    assert len(place.call("gc", "--dry-run", "--json").json["runs"]) == 1
    assert place.call("gc", "--keep", "3", "--json").json["runs"] == []
    assert [run["run_id"] for run in place.call("gc", "--json").json["runs"]] == runs[:1]


def test_nothing_to_let_go_of(place: Place) -> None:
    """A home that no run has written to is left as it is."""
    assert place.call("gc", "--json").json == {"runs": [], "event_files": 0, "bytes": 0, "rows": 0, "dry_run": False}
    assert not place.home.exists()


def test_rows_of_many_runs_are_put_together(
    embedded: Place, files: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """One file for all of them; the old ones go later, for a reader may be about to open them."""
    for file in files[:3]:
        embedded.run("webshop", file)
    before = own_rows(embedded)
    folder = embedded.home / "runs"
    with embedded.open().reading() as reading:  # has looked up the names of the files, and opened none of them
        assert embedded.call("gc").status == 0
        found = reading.query("select * from sojourn.runs order by run_id").read_all().to_pylist()
        assert found == before
    assert own_rows(embedded) == before
    assert len(list(folder.iterdir())) == 4
    monkeypatch.setattr(own_tables, "_GRACE", -1.0)
    embedded.run("webshop", files[3])
    embedded.call("gc")
    embedded.call("gc")
    assert len(own_rows(embedded)) == 4
    assert embedded.call("run", "webshop", files[4]).status == 0
    embedded.call("gc")
    assert len(list(folder.glob("merged-*"))) >= 1
    assert embedded.garbage() == []


def test_a_killed_run_is_recorded_once_after_its_row_was_put_together_with_others(
    embedded: Place, files: list[Path]
) -> None:
    """Whether a run has its row is found in files of many runs, too."""
    run_id = embedded.run("webshop", files[0])["run_id"]
    embedded.run("webshop", files[1])
    embedded.call("gc")
    staging = embedded.home / "staging" / run_id
    staging.mkdir(parents=True)
    row = embedded.rows(f"select report, started_at from sojourn.runs where run_id = '{run_id}'")[0]
    (staging / "run.json").write_text(row["report"])
    embedded.run("webshop", files[2])
    assert len(embedded.rows(f"select 1 as n from sojourn.runs where run_id = '{run_id}'")) == 1


def test_killed_at_every_step_of_gc(
    place: Place, files: list[Path], expected: list[Tables], tables: Callable[[], Tables]
) -> None:
    """Whatever the store still names is there, whole, after each; the next one leaves nothing behind."""
    place.run("webshop", files[0])
    killed, answer = 0, ""
    with dying(place, "gc", "--keep", "1") as die:
        for step in count(1, 2 if place.url else 1):
            place.run("webshop", files[0], "--mode", "replace")  # another run with the same tables
            answer = die(step)
            store = place.open()
            assert tables() == expected[1]
            kept = store.kept_runs("webshop")
            assert kept[-1].run_id == store.kept("webshop").run_id
            for one in kept:
                assert store.base("webshop", one) is not None
                assert all(store.event_path(file.name).is_file() for file in one.files)
            assert len(own_rows(place)) >= step // (2 if place.url else 1)
            if answer != "killed":
                break
            killed += 1
    assert answer == "0"
    assert killed > 5
    assert place.call("gc", "--keep", "1").status == 0
    assert place.garbage() == []
