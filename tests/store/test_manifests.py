"""What a run leaves beside its tables: a manifest that tells what they rest on, and what happens when it is gone."""

import json
from collections.abc import Callable
from pathlib import Path

import pyarrow.parquet as pq
import pytest
import xxhash

from sojourn.errors import SojournError
from sojourn.store.manifest import Kept
from tests.command import process
from tests.store.places import Place, Tables


def kept_runs(place: Place) -> list[Kept]:
    """What is kept of the webshop."""
    return place.open().kept_runs("webshop")


def snapshots(place: Place) -> dict[str, Path]:
    """The snapshot of each kept run."""
    return {path.stem: path for path in place.home.rglob("warehouse/webshop/*.duckdb")}


def test_a_manifest_tells_what_the_tables_rest_on(place: Place, files: list[Path]) -> None:
    """Rows and checksums are those of the files on the disk; both stores keep the same pair of files."""
    reports = [place.run("webshop", file) for file in files[:2]]
    store = place.open()
    kept = store.kept("webshop")
    assert kept.run_id == reports[1]["run_id"]
    assert kept.base == reports[0]["run_id"]
    assert kept.tables == reports[1]["tables"]
    assert kept.events == sum(report["ledger"]["accepted"] for report in reports)
    assert {file.name.split("/")[1] for file in kept.files} == {report["run_id"] for report in reports}
    for file in kept.files:
        path = store.event_path(file.name)
        assert file.checksum == xxhash.xxh3_128_hexdigest(path.read_bytes())
        assert file.rows == pq.read_table(path).num_rows
    snapshot = store.snapshot_path("webshop", str(kept.run_id))
    assert kept.checksum == xxhash.xxh3_128_hexdigest(snapshot.read_bytes())
    assert store.base("webshop", kept) == snapshot
    assert [one.run_id for one in kept_runs(place)] == [report["run_id"] for report in reports]


def test_the_rules_are_in_the_manifest(place: Place, files: list[Path]) -> None:
    """How sessions were cut stands there, apart from how records were read."""
    place.run("webshop", files[0])
    kept = place.open().kept("webshop")
    assert kept.rules["sessions"]["gap"] == "30m"
    assert set(kept.rules["tables"]) == set(kept.tables)
    assert kept.reading["events"]["fields"]["event_id"]["path"] == "id"


@pytest.mark.parametrize("how", ["gone", "cut", "other"])
def test_a_manifest_that_is_gone_or_damaged(
    place: Place, files: list[Path], expected: list[Tables], tables: Callable[[], Tables], how: str
) -> None:
    """The run that needs it says so and removes nothing; what is published can still be read, and gone back from."""
    for file in files[:2]:
        place.run("webshop", file)
    first, second = (str(kept.run_id) for kept in kept_runs(place))
    manifest = snapshots(place)[second].with_suffix(".json")
    content = {"cut": manifest.read_bytes()[:-20], "other": b"{}"}.get(how)
    if how == "other":
        content = json.dumps({"files": [{"name": 5}]}).encode()
    manifest.write_bytes(content) if content is not None else manifest.unlink()
    before = {path for path in place.home.rglob("*") if path.is_file() and path.name != "lock"}
    told = place.call("run", "webshop", files[2])
    assert (told.status, told.err.count("\n")) == (1, 1), told.err
    assert str(manifest) in told.err
    assert "[manifest]" in told.err
    assert "sojourn rollback" in told.err
    after = {path for path in place.home.rglob("*") if path.is_file() and path.name != "lock"}
    assert before - after == set()
    assert tables() == expected[2]
    assert place.call("rollback", "webshop", first).status == 0
    assert tables() == expected[1]
    place.run("webshop", files[1])
    assert tables() == expected[2]


def test_starting_over_with_a_lost_manifest(
    place: Place, files: list[Path], expected: list[Tables], tables: Callable[[], Tables]
) -> None:
    """The other way out that the sentence names; later runs then forget the run that cannot be gone back to."""
    place.run("webshop", files[1])
    next(iter(snapshots(place).values())).with_suffix(".json").unlink()
    place.run("webshop", files[0], "--mode", "replace")
    assert tables() == expected[1]
    place.run("webshop", files[1])
    assert tables() == expected[2]
    assert len(kept_runs(place)) == 2
    assert place.garbage() == []


def test_a_snapshot_that_cannot_be_built_upon(place: Place, files: list[Path]) -> None:
    """One flipped bit, or no file: the path and what would help, no tables of doubtful origin."""
    place.run("webshop", files[0])
    store = place.open()
    kept = store.kept("webshop")
    (path,) = snapshots(place).values()
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    with pytest.raises(SojournError, match="is damaged") as damaged:
        store.base("webshop", kept)
    refused = place.call("run", "webshop", files[1])
    assert (refused.status, refused.err.count("\n")) == (1, 1), refused.err
    assert "[snapshot]" in refused.err
    assert place.open().kept("webshop") == kept
    path.unlink()
    with pytest.raises(SojournError, match="cannot be read") as gone:
        store.base("webshop", kept)
    for told in (damaged, gone):
        assert told.value.code == "snapshot"
        assert str(path) in told.value.message


def test_events_stay_while_a_kept_run_rests_on_them(place: Place, files: list[Path]) -> None:
    """Starting over removes no events at once: the runs before can still be gone back to, then they go."""
    place.run("webshop", files[0])
    (old,) = (place.open().event_path(file.name) for file in kept_runs(place)[0].files)
    for file in (files[1], files[2]):
        place.run("webshop", file, "--mode", "replace")
        assert old.exists()
    place.run("webshop", files[3])
    assert not old.exists()
    assert place.garbage() == []


def test_how_many_runs_are_kept_can_be_said(place: Place, files: list[Path], monkeypatch: pytest.MonkeyPatch) -> None:
    """Three unless the environment says otherwise; what is no number is a mistake, told before anything is read."""
    monkeypatch.setenv("SOJOURN_KEEP_RUNS", "4")
    for file in files[:5]:
        place.run("webshop", file)
    assert len(kept_runs(place)) == len(snapshots(place)) == 4
    monkeypatch.delenv("SOJOURN_KEEP_RUNS")
    place.run("webshop", files[5])
    assert len(kept_runs(place)) == len(snapshots(place)) == 3
    for text in ("0", "-1", "many", "1.5"):
        monkeypatch.setenv("SOJOURN_KEEP_RUNS", text)
        told = process("run", "webshop", "nowhere.jsonl", *place.words)
        assert (told.status, "[bad_keep]" in told.err) == (2, True), told.err


def test_a_run_that_reads_a_database_alone_keeps_nothing(in_postgres: Place, tmp_path: Path) -> None:
    """Without a home there is no manifest: the tables are published, and cannot be gone back to."""
    source = tmp_path / "visit.jsonl"
    source.write_text('{"session_id": "v", "seq": 1, "events": [{"type": "start", "timestamp": 1700000000}]}\n')
    assert in_postgres.call("run", "live", source, "--json").status == 0
    with in_postgres.open().passing("live") as store:
        assert not store.is_passing
    with in_postgres.open().passing("other") as store, store.writing():
        assert store.is_passing
        assert store.kept_runs("other") == []
