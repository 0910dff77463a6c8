"""`sojourn verify`: what is sound passes, whatever is wrong is found and named, in both stores; nothing is written."""

import json
from pathlib import Path
from random import Random
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from sojourn import samples
from sojourn.engines import building
from sojourn.engines.relations import EventFile
from sojourn.store.files import checksum
from sojourn.verifying import cuts
from tests import postgres
from tests.command import shop, write
from tests.store.places import Place
from tests.store.test_journal_tables import opened, receive

EVENTS = [shop(at, f"{8 + at % 9:02}:{at * 7 % 60:02}:00", f"user-{at % 5}", "placed_order") for at in range(60)]

BY_REFERRER = "webshop.session_durations_by_referrer"


@pytest.fixture
def published(place: Place, tmp_path: Path) -> Place:
    """Two runs of webshop events, the second with copies of the first, in each kind of store."""
    return twice(place, tmp_path)


@pytest.fixture
def at_home(embedded: Place, tmp_path: Path) -> Place:
    """The same with the embedded store alone."""
    return twice(embedded, tmp_path)


def twice(place: Place, folder: Path) -> Place:
    """The place after two runs."""
    place.run("webshop", write(folder / "0.jsonl", *EVENTS[:40]))
    place.run("webshop", write(folder / "1.jsonl", *EVENTS[30:]))
    return place


def snapshot(place: Place) -> Path:
    """The tables of the current run."""
    store = place.open()
    return store.snapshot_path("webshop", str(store.kept("webshop").run_id))


def tamper(place: Place, sql: str) -> None:
    """Change the current snapshot as somebody would who knows of checksums."""
    path = snapshot(place)
    with duckdb.connect(str(path)) as connection:
        connection.execute(sql)
    written = json.loads((manifest := path.with_suffix(".json")).read_bytes())
    manifest.write_text(json.dumps(written | {"checksum": checksum(path), "own_checksum": ""}))


def flip(path: Path) -> None:
    """Change one byte in the middle of a file."""
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def wrong(place: Place, *words: object) -> list[str]:
    """The problems that `sojourn verify` tells of; it ends with 1."""
    done = place.call("verify", *words, "--json")
    assert done.status == 1, done.out
    assert "[not_sound]" in done.err
    assert not done.json["is_sound"]
    problems = [problem for one in done.json["pipelines"] for check in one["checks"] for problem in check["problems"]]
    assert problems
    return problems


def files(place: Place) -> list[tuple[str, int, bytes]]:
    """Every file of the home, with its time and content."""
    return [(str(p), p.stat().st_mtime_ns, p.read_bytes()) for p in sorted(place.home.rglob("*")) if p.is_file()]


@pytest.mark.parametrize("pipeline", samples.PIPELINES)
def test_what_is_published_is_sound(place: Place, tmp_path: Path, pipeline: str) -> None:
    """Every pipeline over two runs: whole, in the database, and in cuts; the home stays as it was."""
    source = tmp_path / f"sample.{'csv' if pipeline == 'devices' else 'jsonl'}"
    samples.write(pipeline, source, lines=600, seed=3)
    first, *rest = samples.sources(pipeline, source).items()
    lines = source.read_bytes().splitlines(keepends=True)
    later = source.with_name(f"later{source.suffix}")
    header = lines[:1] if pipeline == "devices" else []
    later.write_bytes(b"".join([*header, *lines[300:]]))
    source.write_bytes(b"".join(lines[:350]))
    for path in (source, later):
        place.run(pipeline, f"{first[0]}={path}", *(f"{name}={other}" for name, other in rest if path == source))
    before = files(place)
    found = place.call("verify", "--pipeline", pipeline, "--cuts", 3, "--seed", 5, "--json")
    assert found.status == 0, found.out
    assert found.json["is_sound"]
    checked = {check["name"]: check["checked"] for check in found.json["pipelines"][0]["checks"]}
    tables = len(place.tables(tmp_path / "tables", pipeline))
    runs = "select run_id from sojourn.runs order by started_at desc limit 1"
    refused = place.rows(
        f"select count(distinct run_id)::bigint as n from sojourn.quarantine join ({runs}) using (run_id)"
    )
    own = 0 if place.url else len([*place.home.glob("runs/*"), *place.home.glob("quarantine/*/*")])
    assert checked == {
        "manifests": 2, "event files": checked["event files"], "snapshots": 2, "own files": own, "ledgers": 2,
        "quarantine": refused[0]["n"], "tables": tables,
        **({"database": tables} if place.url else {}), "cuts": 3 * tables,
    }  # fmt: skip
    assert checked["event files"] >= 2
    assert files(place) == before


def test_a_home_that_can_only_be_read(at_home: Place) -> None:
    """Nothing needs to be written beside what is verified, and nothing is (root could)."""
    paths = [at_home.home, *at_home.home.rglob("*")]
    before = files(at_home)
    for path in paths:
        path.chmod(0o555 if path.is_dir() else 0o444)
    try:
        done = at_home.process("verify")
    finally:
        for path in paths:
            path.chmod(0o755 if path.is_dir() else 0o644)
    assert (done.status, done.err) == (0, "")
    assert "cuts" in done.out
    assert files(at_home) == before


def test_a_tampered_table_is_found(at_home: Place) -> None:
    """A row that was changed behind Sojourn's back: the table, how many rows, and the row on both sides."""
    tamper(at_home, "update sessions set page_views = page_views + 1 where actor = 'user-1' and session_number = 1")
    [told, *others] = wrong(at_home, "--cuts", 0)
    assert not others
    assert told == "the table webshop.sessions is not what the events give: 1 rows changed, 0 too many, 0 missing"
    shown = at_home.call("verify", "--cuts", 0)
    assert shown.status == 1
    assert '"page_views": 1' in shown.out
    assert "the events give" in shown.out


def test_a_lost_row_and_one_too_many_are_found(at_home: Place) -> None:
    """A row that is gone is missing; a copy of one is too many."""
    tamper(
        at_home,
        "delete from session_durations_by_referrer; "
        "insert into sessions select * from sessions where actor = 'user-2' and session_number = 1",
    )
    assert wrong(at_home, "--cuts", 0) == [
        "the table webshop.sessions is not what the events give: 0 rows changed, 1 too many, 0 missing",
        f"the table {BY_REFERRER} is not what the events give: 0 rows changed, 0 too many, 1 missing",
    ]


def test_a_row_of_the_database_is_found(in_postgres: Place, tmp_path: Path) -> None:
    """What the home holds is right, what the database holds is not."""
    assert in_postgres.url is not None
    in_postgres.run("webshop", write(tmp_path / "0.jsonl", *EVENTS))
    postgres.execute(
        in_postgres.url,
        "update webshop.sessions set ended_at = ended_at + interval '1 microsecond' where session_number = 1",
    )
    postgres.execute(in_postgres.url, "delete from webshop.session_durations_by_referrer")
    assert wrong(in_postgres, "--cuts", 0) == [
        "the table webshop.sessions in the database is not what the events give: 5 rows changed, 0 too many, 0 missing",
        f"the table {BY_REFERRER} in the database is not what the events give: 0 rows changed, 0 too many, 1 missing",
    ]


def test_a_flipped_byte_is_found(published: Place) -> None:
    """In an event file, of the current run or an earlier one, in a snapshot, in a manifest: which file it is."""
    store = published.open()
    kept = store.kept_runs("webshop")
    earlier = store.snapshot_path("webshop", str(kept[0].run_id))
    paths = [store.event_path(kept[0].files[0].name), earlier, snapshot(published)]
    for path in paths:
        whole = path.read_bytes()
        flip(path)
        [told] = wrong(published)
        assert str(path) in told
        assert told.endswith("is damaged: its checksum is another")
        path.write_bytes(whole)
    manifest = store.manifest_path("webshop", str(kept[0].run_id))
    whole = manifest.read_bytes()
    for content in (whole[:-5], whole.replace(b"timezone", b"timezonf", 1)):
        manifest.write_bytes(content)
        [told] = wrong(published)
        assert str(manifest) in told


def test_lost_files_are_found(at_home: Place) -> None:
    """An event file that is gone, then a snapshot."""
    store = at_home.open()
    path = store.event_path(store.kept("webshop").files[0].name)
    content = path.read_bytes()
    path.unlink()
    assert wrong(at_home) == [f"the event file {path} is gone"]
    path.write_bytes(content)
    earlier = store.snapshot_path("webshop", str(store.kept_runs("webshop")[0].run_id))
    earlier.unlink()
    assert wrong(at_home) == [f"the snapshot {earlier} is gone"]


def test_events_that_do_not_count_are_found(at_home: Place) -> None:
    """An event file with fewer rows whose checksum somebody has mended: the rows tell."""
    store = at_home.open()
    kept = store.kept("webshop")
    path = store.event_path(kept.files[0].name)
    rows = pq.read_table(path)
    pq.write_table(rows.slice(1), path)
    for one in store.kept_runs("webshop"):
        manifest = store.manifest_path("webshop", str(one.run_id))
        written = json.loads(manifest.read_text().replace(kept.files[0].checksum, checksum(path)))
        manifest.write_text(json.dumps(written | {"own_checksum": ""}))
    assert wrong(at_home) == [
        f"the event file {path} holds {rows.num_rows - 1} rows, its manifest says {rows.num_rows}"
    ]
    for one in store.kept_runs("webshop"):
        manifest = store.manifest_path("webshop", str(one.run_id))
        written = json.loads(manifest.read_bytes())
        for file in written["files"]:
            file["rows"] -= file["name"] == kept.files[0].name
        manifest.write_text(json.dumps(written))
    problems = wrong(at_home, "--cuts", 0)
    assert f"the manifest tells of {kept.events} rows of events, the event files give {kept.events - 1}" in problems
    assert any(problem.startswith("the table webshop.sessions is not") for problem in problems)


def test_a_manifest_that_miscounts_is_found(at_home: Place) -> None:
    """The tables are right, what is said of them is not."""
    manifest = snapshot(at_home).with_suffix(".json")
    written = json.loads(manifest.read_bytes())
    rows = written["tables"]["sessions"]
    written["tables"]["sessions"] += 1
    manifest.write_text(json.dumps(written))
    told = f"the manifest tells of {rows + 1} rows of sessions, the event files give {rows}"
    run_id = written["run_id"]
    assert wrong(at_home, "--cuts", 0) == [f"the run {run_id} tells of other rows of tables than its manifest", told]


def test_a_ledger_that_does_not_balance_is_found(published: Place) -> None:
    """A record of a file that ended nowhere; a row of `runs` that tells of other numbers than its report."""
    run_id = published.rows("select run_id from sojourn.runs order by run_id limit 1")[0]["run_id"]
    report = published.rows(f"select report from sojourn.runs where run_id = '{run_id}'")[0]["report"]
    changed = json.loads(report)
    changed["files"][0]["accepted"] -= 1
    rewrite(published, run_id, {"report": json.dumps(changed)})
    first, second = wrong(published, "--cuts", 0)
    assert first.startswith(f"the ledger of the run {run_id} does not balance of ")
    assert first.endswith("40 records read, 39 accounted for")
    assert second == (
        f"the run {run_id} tells of accepted records in two ways: 40 by its row, 40 by its report, 39 by its files"
    )
    rewrite(published, run_id, {"report": report, "duplicate": 7})
    assert wrong(published, "--cuts", 0) == [
        f"the run {run_id} tells of duplicate records in two ways: 7 by its row, 0 by its report, 0 by its files"
    ]


def rewrite(place: Place, run_id: str, values: dict[str, Any]) -> None:
    """Change values in a run's row of `runs`."""
    if place.url:
        for name, value in values.items():
            text = str(value).replace("'", "''")
            postgres.execute(place.url, f"update sojourn.runs set {name} = '{text}' where run_id = '{run_id}'")
        return
    path = place.home / "runs" / f"{run_id}.parquet"
    row = pq.read_table(path)
    pq.write_table(pa.Table.from_pylist([row.to_pylist()[0] | values], row.schema), path)


def test_runs_that_published_nothing_pass(at_home: Place, tmp_path: Path) -> None:
    """A run that was refused, one that failed, a rollback and a rebuild have ledgers that add up."""
    bad = write(tmp_path / "bad.jsonl", "nonsense", *EVENTS[:3])
    assert at_home.call("run", "webshop", bad, "--max-quarantined", 0).status == 3
    assert at_home.call("rollback", "webshop", "previous").status == 0
    assert at_home.call("rebuild", "webshop").status == 0
    found = at_home.call("verify", "--json")
    assert found.status == 0, found.out
    assert {check["name"]: check["checked"] for check in found.json["pipelines"][0]["checks"]}["ledgers"] >= 5


def test_a_fault_of_increments_is_found(at_home: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """Cuts that give other tables than the whole: which cut, by which seed."""
    right = building.build

    def forgetful(*given: Any, **more: Any) -> Any:
        built = right(*given, **more)
        if more["base"] is not None:
            with duckdb.connect(str(given[2])) as connection:
                connection.execute("delete from sessions where rowid = (select max(rowid) from sessions)")
        return built

    monkeypatch.setattr("sojourn.verifying.cuts.build", forgetful)
    problems = wrong(at_home, "--seed", 11, "--cuts", 1)
    assert problems[0].startswith("the table webshop.sessions in cut 1 (seed 11, parts of ")
    assert at_home.call("verify", "--cuts", 0).status == 0


def test_cuts_deal_every_row_once(at_home: Place, tmp_path: Path) -> None:
    """Of two seeds each deals all rows; they deal them otherwise."""
    store = at_home.open()
    kept = store.kept("webshop")
    paths = [store.event_path(file.name) for file in kept.files]
    rows = sorted(map(str, pa.concat_tables(map(pq.read_table, paths)).to_pylist()))
    dealt = []
    for seed in (1, 2):
        given = [EventFile(path, "events", name=path.name) for path in paths]
        parts = cuts._deal(given, tmp_path / str(seed), Random(seed), None)
        tables = [pq.read_table(file.path) for part, _ in parts for file in part]
        assert sorted(map(str, pa.concat_tables(tables).to_pylist())) == rows
        assert [sum(pq.read_metadata(file.path).num_rows for file in part) for part, _ in parts] == [
            n for _, n in parts
        ]
        dealt.append([table.to_pylist() for table in tables])
    assert dealt[0] != dealt[1]


def test_live_messages_that_came_since_are_told(place: Place, tmp_path: Path) -> None:
    """The journal of messages is verified with the files beside it, as long as it is what the run has read."""
    receive(place, opened("a"), opened("b"))
    place.run("live")  # in a database: of no home
    assert place.call("verify").status == 0
    place.run("live", write(tmp_path / "c.jsonl", opened("c"), opened("a")))
    [found] = place.call("verify", "--json").json["pipelines"]
    checks = {check["name"]: check for check in found["checks"]}
    assert (found["is_sound"], checks["tables"]["notes"]) == (True, [])
    assert checks["cuts"]["checked"] == 4
    receive(place, opened("d"))
    [found] = place.call("verify", "--json").json["pipelines"]
    [told] = [note for check in found["checks"] for note in check["notes"]]
    assert "run again, then verify" in told


def test_what_cannot_be_verified(place: Place, tmp_path: Path) -> None:
    """Nothing published is no fault; an unknown pipeline is."""
    assert "nothing to verify" in place.call("verify").out
    place.run("webshop", write(tmp_path / "0.jsonl", *EVENTS[:2]))
    done = place.call("verify", "--pipeline", "webshpo")
    assert done.status == 2
    assert "published are webshop" in done.err
