"""Forgetting that is killed: what it leaves works, brings nobody back, and is finished by forgetting again."""

import shutil
import subprocess
import sys
from itertools import count
from pathlib import Path

from tests.store.places import STARTED, Place, Tables, end
from tests.store.remains import remains
from tests.store.test_forgetting import NAME, first, forget, second, without, write


def prepared(place: Place, folder: Path) -> list[Tables]:
    """Two runs at *place*; their tables, and those that forgetting makes of them."""
    for name, records in (("one", first()), ("two", second())):
        place.run("webshop", write(folder / f"{name}.jsonl", records))
    before = place.tables(folder / "tables")
    other = Place(folder / "other")
    other.run("webshop", write(folder / "others.jsonl", without([*first(), *second()])))
    return [before, other.tables(folder / "tables")]


def dying(place: Place) -> "subprocess.Popen[str]":
    """What forks one `sojourn forget` after the other, each killed at the step that it is told."""
    words = ["-", "forget", NAME, *map(str, place.words)]
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.store.dying", *words],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, start_new_session=True,
    )  # fmt: skip
    STARTED.append(process)  # type: ignore[arg-type]
    return process


def answer(process: "subprocess.Popen[str]", step: int) -> str:
    """How the one ended that is killed at *step*."""
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(f"{step}\n")
    process.stdin.flush()
    return process.stdout.readline().strip()


def test_killed_at_any_step(embedded: Place, tmp_path: Path) -> None:
    """Before every third change that it makes: either tables stand, a run works and brings nobody back, and forgetting
    again finishes.
    """
    tables = prepared(embedded, tmp_path)
    prototype = tmp_path / "prototype"
    embedded.home.rename(prototype)
    late = write(tmp_path / "late.jsonl", [*without(first())[:1], *second()[1:2]])
    process = dying(embedded)
    killed, seen = 0, set()
    for step in count(1, 3):
        shutil.copytree(prototype, embedded.home)
        how = answer(process, step)
        now = embedded.tables(tmp_path / "tables")
        assert now in tables, step
        seen.add(tables.index(now))
        if how != "killed":
            assert how == "0"
            break
        killed += 1
        is_noted = (embedded.home / "forgotten.json").exists()
        if step % 4 == 0 and is_noted:
            ledger = embedded.run("webshop", late)["ledger"]
            assert ledger["dropped"] == {"forgotten": 1}, step
        assert forget(embedded, NAME)["status"] == "forgot"
        assert remains(embedded, NAME) == [], step
        assert embedded.tables(tmp_path / "tables") == tables[1], step
        assert embedded.garbage() == [], step
        shutil.rmtree(embedded.home)
    end(process)  # type: ignore[arg-type]
    assert killed > 10
    assert seen == {0, 1}


def test_killed_in_postgresql(in_postgres: Place, tmp_path: Path) -> None:
    """One after the other, each killed a little later, until one comes to its end."""
    tables = prepared(in_postgres, tmp_path)
    process = dying(in_postgres)
    for step in count(2, 7):
        how = answer(process, step)
        assert in_postgres.tables(tmp_path / "tables") in tables, step
        if how != "killed":
            assert how == "0"
            break
    end(process)  # type: ignore[arg-type]
    assert step > 20
    assert remains(in_postgres, NAME) == []
    assert in_postgres.tables(tmp_path / "tables") == tables[1]
    assert in_postgres.garbage() == []
    again = write(tmp_path / "again.jsonl", first())
    assert in_postgres.run("webshop", again)["ledger"]["dropped"] == {"forgotten": 7}
