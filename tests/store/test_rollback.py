"""Going back to an earlier run, and forward again: in one step, for every reader, whole or not at all."""

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path

import pytest

from sojourn.store.readings import Limits
from tests.store.places import Place, Tables
from tests.store.test_manifests import snapshots


@pytest.fixture
def runs(place: Place, files: list[Path]) -> list[str]:
    """The ids of three runs over the first three files."""
    return [place.run("webshop", file)["run_id"] for file in files[:3]]


def test_back_and_forward_again(
    place: Place, runs: list[str], expected: list[Tables], tables: Callable[[], Tables]
) -> None:
    """The tables are those of the run, to the byte; each step has its row, which tells from where and to where."""
    went = place.call("rollback", "webshop", runs[0], "--json").json
    assert tables() == expected[1]
    assert place.open().kept("webshop").run_id == runs[0]
    assert (went["status"], went["to"], went["from"]) == ("rolled_back", runs[0], runs[2])
    assert went["ledger"]["read"] == 0
    assert place.call("rollback", "webshop", runs[2]).status == 0
    assert tables() == expected[3]
    assert place.call("rollback", "webshop", "previous").status == 0
    assert tables() == expected[2]
    assert place.statuses() == ["done"] * 3 + ["rolled_back"] * 3
    rows = place.rows("select report, accepted, run_id from sojourn.runs where status = 'rolled_back' order by run_id")
    assert [json.loads(row["report"])["to"] for row in rows] == [runs[0], runs[2], runs[1]]
    assert place.garbage() == []


def test_the_next_run_adds_to_the_run_that_was_gone_back_to(
    place: Place,
    runs: list[str],
    files: list[Path],
    expected: list[Tables],
    tables: Callable[[], Tables],
    tmp_path: Path,
) -> None:
    """What was read after it counts anew, and is not taken for known; the order may be another now."""
    place.call("rollback", "webshop", runs[0])
    quiet = Place(tmp_path / "quiet")
    for file in (files[0], files[2]):
        quiet.run("webshop", file)
    report = place.run("webshop", files[2])
    assert report["ledger"]["accepted"] > 0
    assert tables() == quiet.tables(tmp_path / "quiet-tables")
    place.run("webshop", files[1])
    assert tables() == expected[3]
    assert place.garbage() == []


def test_the_runs_that_can_be_gone_back_to(place: Place, runs: list[str], files: list[Path]) -> None:
    """They are listed with what they hold; a run that is not kept is told apart from one that never was."""
    later = place.run("webshop", files[3])
    listed = place.call("rollback", "webshop", "--json").json
    assert [row["run_id"] for row in listed] == [*runs[1:], later["run_id"]]
    assert [row["current"] for row in listed] == [False, False, True]
    assert listed[2]["tables"] == later["tables"]
    assert listed[2]["rows"] == sum(later["tables"].values())
    accepted = place.rows("select sum(accepted)::bigint as n from sojourn.runs")[0]["n"]
    assert listed[2]["events"] == accepted
    began = place.rows(f"select started_at from sojourn.runs where run_id = '{runs[1]}'")[0]["started_at"]
    assert listed[0]["started_at"] == f"{began:%Y-%m-%dT%H:%M:%SZ}"
    assert runs[1] in place.call("rollback", "webshop").out
    for asked, code in (
        (runs[0], "unknown_run"), ("nonsense", "unknown_run"), (later["run_id"], "already_current"),
    ):  # fmt: skip
        told = place.call("rollback", "webshop", asked)
        assert (told.status, told.err.count("\n"), code in told.err) == (2, 1, True), told.err
        assert later["run_id"] in told.err
    assert place.call("rollback", "activity").status in (1, 2)
    assert place.open().kept("webshop").run_id == later["run_id"]


def test_tables_that_were_damaged_are_not_gone_back_to(
    place: Place, runs: list[str], expected: list[Tables], tables: Callable[[], Tables]
) -> None:
    """The checksum of the run's tables is looked at first."""
    path = snapshots(place)[runs[0]]
    path.write_bytes(path.read_bytes()[:-1] + b"!")
    told = place.call("rollback", "webshop", runs[0])
    assert (told.status, told.err.count("\n")) == (1, 1)
    assert str(path) in told.err
    assert tables() == expected[3]
    assert "rolled_back" not in place.statuses()


def test_whoever_keeps_the_store_open_sees_it_at_once(place: Place, runs: list[str]) -> None:
    """The service reads with a connection that stays open: the very next question is answered from the run."""
    store = place.open()
    sql = "select count(*) as n from webshop.sessions"
    with store.kept_open(Limits()):
        seen = []
        for run in (runs[2], runs[0], runs[1]):
            if run != runs[2]:
                assert place.call("rollback", "webshop", run).status == 0
            with store.query(sql) as rows:
                seen.append(rows.read_all()["n"][0].as_py())
            assert {row["run_id"] for row in store.published()} == {run}
    assert seen[1] < seen[2] < seen[0]


@contextmanager
def dying(place: Place, *words: object) -> Iterator[Callable[[int], str]]:
    """Runs of a command that die right before a step."""
    command = [sys.executable, "-m", "tests.store.dying", "-", *map(str, [*words, *place.words])]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as forks:
        assert forks.stdin is not None
        assert forks.stdout is not None
        into, out = forks.stdin, forks.stdout

        def die(step: int) -> str:
            into.write(f"{step}\n")
            into.flush()
            return out.readline().strip()

        yield die
        into.close()


def test_killed_at_every_step_of_a_rollback(
    place: Place, runs: list[str], expected: list[Tables], tables: Callable[[], Tables]
) -> None:
    """One of the two runs is published, whole, and its name with it; then the rollback can be done again."""
    whole = {runs[2]: expected[3], runs[0]: expected[1]}
    seen: list[str] = []
    answer = current = ""
    with dying(place, "rollback", "webshop", runs[0]) as die:
        for step in count(1, 4 if place.url else 1):
            answer = die(step)
            current = str(place.open().kept("webshop").run_id)
            assert tables() == whole[current]
            assert {row["run_id"] for row in place.open().published()} == {current}
            assert (place.statuses()[-1] == "rolled_back") == (current == runs[0])
            if answer != "killed":
                break
            seen.append(current)
            if current == runs[0]:
                break
    assert seen[0] == runs[2]
    assert len(seen) > 3
    if seen[-1] == runs[2]:
        assert answer == "0"
        assert current == runs[0]
    assert place.call("rollback", "webshop", runs[2]).status == 0
    assert place.garbage() == []
