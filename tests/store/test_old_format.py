"""Homes and databases of format 1, which had no manifests: they can be read, and the next run takes them over."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from tests import postgres
from tests.store.places import Place, Tables


def made_old(place: Place) -> None:
    """Lay the home, or the database, out as format 1 did."""
    kept = place.open().kept("webshop")
    files = [file.name for file in kept.files]
    for manifest in place.home.rglob("warehouse/*/*.json"):
        manifest.unlink()
    if place.url is None:
        path = place.home / "catalog.json"
        catalog = json.loads(path.read_bytes())
        runs = catalog["pipelines"]["webshop"]["runs"]
        entry = {
            "runs": runs, "tables": kept.tables, "files": files, "events": kept.events, "reading": kept.reading
        }  # fmt: skip
        own = {name: catalog[name] for name in ("runs", "quarantine")}
        path.write_text(json.dumps({"format": 1, "pipelines": {"webshop": entry}, **own}))
        return
    for snapshot in place.home.rglob("warehouse/*/*.duckdb"):
        snapshot.unlink()
    listed = ", ".join(f"('webshop', '{file}')" for file in files)
    reading = json.dumps(kept.reading).replace("'", "''")
    postgres.execute(
        place.url,
        'create table sojourn.event_files (pipeline text, path text collate "C", primary key (pipeline, path));'
        f"insert into sojourn.event_files values {listed};"
        "alter table sojourn.pipelines drop column runs, add column events bigint, add column reading text;"
        f"update sojourn.pipelines set events = {kept.events}, reading = '{reading}';"
        "update sojourn.meta set format = 1",
    )


@pytest.fixture
def old(place: Place, files: list[Path]) -> Place:
    """A place of format 1 with two runs."""
    for file in files[:2]:
        place.run("webshop", file)
    made_old(place)
    return place


def test_it_can_be_read_as_it_is(old: Place, expected: list[Tables], tables: Callable[[], Tables]) -> None:
    """Readers find the tables and change nothing; there is nothing that one could go back to."""
    before = {path for path in old.home.rglob("*") if path.is_file()}
    assert tables() == expected[2]
    assert old.statuses() == ["done", "done"]
    assert old.open().kept_runs("webshop") == []
    assert "can be gone back to" in old.call("rollback", "webshop").out
    assert {path for path in old.home.rglob("*") if path.is_file()} == before


def test_the_next_run_takes_it_over(
    old: Place, files: list[Path], expected: list[Tables], tables: Callable[[], Tables]
) -> None:
    """It adds to the events that were kept, and leaves a manifest with checksums of all of them."""
    old.run("webshop", files[2])
    assert tables() == expected[3]
    kept = old.open().kept("webshop")
    assert len(kept.files) >= 3
    assert all(file.rows and len(file.checksum) == 32 for file in kept.files)
    assert [one.run_id for one in old.open().kept_runs("webshop")] == [kept.run_id]
    for file in files[3:6]:
        old.run("webshop", file)
    assert tables() == expected[6]
    assert old.garbage() == []


def test_a_run_that_fails_takes_it_over_too(
    old: Place, files: list[Path], expected: list[Tables], tables: Callable[[], Tables]
) -> None:
    """The tables stay, and nothing is lost."""
    assert old.call("run", "webshop", files[2], "--max-quarantined", "0").status == 3
    assert tables() == expected[2]
    old.run("webshop", files[2])
    assert tables() == expected[3]


def test_starting_it_over(old: Place, files: list[Path], expected: list[Tables], tables: Callable[[], Tables]) -> None:
    """Also where event files are missing by now."""
    next(old.home.rglob("events-*.parquet")).unlink()
    assert "[events_missing]" in old.call("run", "webshop", files[2]).err
    old.run("webshop", files[0], "--mode", "replace")
    assert tables() == expected[1]


def test_a_database_whose_home_is_elsewhere_is_taken_over_there(in_postgres: Place, files: list[Path]) -> None:
    """A run without a home leaves the list of events alone: it says where to begin."""
    in_postgres.run("webshop", files[0])
    made_old(in_postgres)
    with in_postgres.open().passing("live") as store:
        assert store.is_passing
        with pytest.raises(Exception, match="run one of its pipelines there first"), store.writing():
            pass
    in_postgres.run("webshop", files[1])
