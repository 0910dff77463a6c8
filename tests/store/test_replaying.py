"""`sojourn quarantine replay`: records that pass after a mend leave the quarantine for the tables, in one step."""

import gzip
import json
from collections import Counter
from itertools import count
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.store.mends import BROKEN, GOOD, LAX, MENDS, content, pipeline, record
from tests.store.places import Place, Tables
from tests.store.test_rollback import dying

ENDS = ("accepted", "duplicate", "dropped", "quarantined")


def replayed(place: Place, *words: object) -> Any:
    """The one run of a replay, and what it leaves out."""
    done = place.call("quarantine", "replay", *words, "--json")
    assert done.status == 0, done.err
    return done.json


def run_of(place: Place, *words: object) -> Any:
    """The report of a replay that is one run and leaves nothing out."""
    told = replayed(place, *words)
    assert told["not_replayed"] == [], told
    assert len(told["runs"]) == 1, told
    return told["runs"][0]


def standing(place: Place) -> list[tuple[int, str]]:
    """Line and reason of what stands in quarantine."""
    rows = place.rows("select line, reason from sojourn.quarantine")
    return sorted((row["line"], row["reason"]) for row in rows)


def balances(ledger: dict[str, Any]) -> bool:
    """Whether every record of *ledger* ended somewhere."""
    counts = [ledger[end] if isinstance(ledger[end], int) else sum(ledger[end].values()) for end in ENDS]
    return bool(sum(counts) == ledger["read"])


def fresh(folder: Path, mended: Path, *words: object) -> Tables:
    """The tables of one run of the pipeline *mended* over everything, in a home of its own."""
    other = Place(folder / "fresh")
    run = other.call if len(words) == 1 else other.process
    done = run("run", mended, *words, "--json")
    assert done.status == 0, done.err
    return other.tables(folder / "fresh-tables", mended.stem)


def written(folder: Path, text: bytes, name: str = "events.jsonl") -> Path:
    """A file with *text*."""
    path = folder / name
    path.write_bytes(text)
    return path


@pytest.mark.parametrize("reason", MENDS)
def test_what_was_mended_passes(place: Place, tmp_path: Path, reason: str) -> None:
    """Its records are accepted, all others stay; and the tables are those of one run over everything."""
    events = written(tmp_path, content(*GOOD, *BROKEN.values()))
    own = pipeline(tmp_path)
    assert place.run(own, events)["ledger"]["quarantined"] == dict.fromkeys(sorted(BROKEN, key=list(BROKEN).index), 1)
    before = {(row["line"], row["raw"]) for row in place.rows("select line, raw from sojourn.quarantine")}
    own = pipeline(tmp_path, **MENDS[reason])
    report = run_of(place, "--pipeline", own)
    assert (report["status"], report["replayed"]) == ("done", True)
    assert (report["ledger"]["read"], report["ledger"]["accepted"]) == (len(BROKEN), 1)
    assert report["ledger"]["quarantined"] == {name: 1 for name in BROKEN if name != reason}
    line = len(GOOD) + 1 + list(BROKEN).index(reason)
    left = {(row["line"], row["raw"]) for row in place.rows("select line, raw from sojourn.quarantine")}
    assert left == before - {(line, BROKEN[reason].encode())}
    assert place.tables(tmp_path / "tables", "shop") == fresh(tmp_path, own, events)
    assert place.rows("select status, accepted from sojourn.runs order by started_at")[-1] == {
        "status": "done",
        "accepted": 1,
    }


def test_again_is_nothing(place: Place, tmp_path: Path) -> None:
    """A second replay accepts nothing, and neither does a run over the file, whose ledger tells what is true now."""
    events = written(tmp_path, content(*GOOD, *BROKEN.values()))
    place.run(pipeline(tmp_path), events)
    own = pipeline(tmp_path, **MENDS["bad_time"])
    run_of(place, "--pipeline", own)
    tables, rows = place.tables(tmp_path / "tables", "shop"), standing(place)
    again = run_of(place, "--pipeline", own)
    assert (again["ledger"]["read"], again["ledger"]["accepted"]) == (len(BROKEN) - 1, 0)
    assert (place.tables(tmp_path / "tables", "shop"), standing(place)) == (tables, rows)
    report = place.run(own, events)
    ledger = report["ledger"]
    assert report["files"][0]["skipped"] is True
    assert (ledger["accepted"], ledger["duplicate"], sum(ledger["quarantined"].values())) == (0, 4, len(BROKEN) - 1)
    assert "bad_time" not in ledger["quarantined"]
    assert balances(ledger)
    assert place.tables(tmp_path / "tables", "shop") == tables


def test_several_mends_at_once(embedded: Place, tmp_path: Path) -> None:
    """In several files, each with its own ledger, some records for the second time."""
    one = written(tmp_path, content(*GOOD, *BROKEN.values()), "one.jsonl")
    two = written(tmp_path, content(BROKEN["bad_type"], record(3), BROKEN["bad_time"], record(9, at=9)), "two.jsonl")
    for file in (one, two):
        embedded.run(pipeline(tmp_path), file)
    changes = MENDS["missing_field"] | MENDS["bad_time"] | MENDS["unknown_value"]
    own = pipeline(tmp_path, **changes, source=LAX.replace("200B", "1KiB"))
    report = run_of(embedded, "--pipeline", own)
    files = {Path(entry["file"]).name: entry for entry in report["files"]}
    assert {name: entry["read"] for name, entry in files.items()} == {"one.jsonl": len(BROKEN), "two.jsonl": 3}
    assert all(balances(entry) for entry in files.values())
    assert (report["ledger"]["accepted"], report["ledger"]["duplicate"]) == (5, 2)
    assert standing(embedded) == [(4, "bad_type"), (9, "invalid_json"), (10, "not_an_object")]
    assert embedded.tables(tmp_path / "tables", "shop") == fresh(tmp_path, own, one, two)


def test_one_reason_only(embedded: Place, tmp_path: Path) -> None:
    """The others stay unread, until they are asked for."""
    events = written(tmp_path, content(*GOOD, *BROKEN.values()))
    embedded.run(pipeline(tmp_path), events)
    own = pipeline(tmp_path, **MENDS["missing_field"], **MENDS["bad_time"])
    assert run_of(embedded, "--pipeline", own, "--reason", "bad_time")["ledger"]["read"] == 1
    assert "missing_field" in [reason for _, reason in standing(embedded)]
    assert run_of(embedded, "--pipeline", own)["ledger"]["accepted"] == 1
    assert embedded.tables(tmp_path / "tables", "shop") == fresh(tmp_path, own, events)


def test_an_event_that_comes_first_wins(embedded: Place, tmp_path: Path) -> None:
    """As if it had been read with the one that has its place: it counts as a duplicate, and stands in the tables."""
    late = record(1, at="2024-03-01 09:00", who="e")
    events = written(tmp_path, content(record(1), late))
    embedded.run(pipeline(tmp_path), events)
    own = pipeline(tmp_path, formats=["iso", "%Y-%m-%d %H:%M"])
    ledger = run_of(embedded, "--pipeline", own)["ledger"]
    assert (ledger["accepted"], ledger["duplicate"], ledger["notes"]["conflicting"]) == (0, 1, 1)
    assert [row["actor"] for row in embedded.rows("select actor from shop.sessions")] == ["e"]
    assert standing(embedded) == []


def test_what_is_dropped_leaves_too(embedded: Place, tmp_path: Path) -> None:
    """Nobody is in it: it ends as dropped, and so it would have ended."""
    events = written(tmp_path, content(*GOOD, record(20, who=None, what="odd")))
    embedded.run(pipeline(tmp_path), events)
    own = pipeline(tmp_path, **MENDS["unknown_value"])
    ledger = run_of(embedded, "--pipeline", own)["ledger"]
    assert (ledger["read"], ledger["dropped"], ledger["accepted"]) == (1, {"anonymous": 1}, 0)
    assert standing(embedded) == []
    assert embedded.run(own, events)["ledger"]["dropped"] == {"anonymous": 1}


def test_another_reason_stands_in_place_of_the_first(place: Place, tmp_path: Path) -> None:
    """A record is refused for the first reason: when that is mended, the next one shows; it stands once."""
    events = written(tmp_path, content(*GOOD, record(20, at="01.03.2024 10:12", what="odd")))
    first = place.run(pipeline(tmp_path), events)["run_id"]
    assert standing(place) == [(4, "bad_time")]
    own = pipeline(tmp_path, **MENDS["bad_time"])
    second = run_of(place, "--pipeline", own)["run_id"]
    rows = place.rows("select line, reason, path, value, raw, file, run_id from sojourn.quarantine")
    assert [(row["line"], row["reason"], row["path"], row["value"]) for row in rows] == [
        (4, "unknown_value", "$.what", "odd")
    ]
    assert json.loads(rows[0]["raw"])["id"] == "20"
    assert (rows[0]["file"], rows[0]["run_id"], first != second) == (str(events), second, True)
    run_of(place, "--pipeline", own)
    assert place.rows("select run_id from sojourn.quarantine") == [{"run_id": second}]


@pytest.mark.parametrize("copies", [1, 2])
def test_equal_records_all_count_once_each(place: Place, tmp_path: Path, copies: int) -> None:
    """Without an identity nothing is a duplicate: what is read again counts once, however often that is asked."""
    same = record(1, at="01.03.2024 10:12")
    usual = {"source": 'dedupe = "off"', "more": ""}
    text = content(record(1), record(1), same, same)
    files = [written(tmp_path, text, f"{number}.jsonl") for number in range(copies)]
    for file in files:
        place.run(pipeline(tmp_path, **usual), file)
    own = pipeline(tmp_path, **usual, **MENDS["bad_time"])
    assert run_of(place, "--pipeline", own)["ledger"]["accepted"] == 2
    tables = place.tables(tmp_path / "tables", "shop")
    assert place.rows("select events::bigint as events from shop.sessions")[0]["events"] == 4
    assert replayed(place, "--pipeline", own) == {"runs": [], "not_replayed": []}
    for file in files:
        assert place.run(own, file)["ledger"]["accepted"] == 0
    assert place.tables(tmp_path / "tables", "shop") == tables == fresh(tmp_path, own, *files)


@pytest.mark.parametrize("end", [b"", b"\n", b"\r\n", b"\r"])
def test_last_lines(embedded: Place, tmp_path: Path, end: bytes) -> None:
    """A last line without a line break is read again, too; and anew, with its rest, when the file grows."""
    events = written(tmp_path, content(*GOOD) + BROKEN["bad_time"].encode() + end)
    embedded.run(pipeline(tmp_path), events)
    own = pipeline(tmp_path, **MENDS["bad_time"])
    report = run_of(embedded, "--pipeline", own)
    assert (report["ledger"]["read"], report["ledger"]["accepted"]) == (1, 1)
    assert embedded.tables(tmp_path / "tables", "shop") == fresh(tmp_path, own, events)
    with events.open("ab") as file:
        file.write(b"\n" * (end in (b"", b"\r")) + content(record(40)))
    ledger = embedded.run(own, events)["ledger"]
    assert ledger["quarantined"] == {}
    grown = Place(tmp_path / "grown")
    grown.run(own, events)
    assert embedded.tables(tmp_path / "tables", "shop") == grown.tables(tmp_path / "grown-tables", "shop")
    again = embedded.run(own, events)["ledger"]
    assert (again["read"], again["duplicate"], again["quarantined"]) == (5, 5, {})


def test_a_last_line_that_goes_on(embedded: Place, tmp_path: Path) -> None:
    """What it gave when it was read again is withdrawn, when it turns out to be the beginning of another."""
    usual = {"source": "", "more": 'event_id = "id"'}
    whole = record(20, what="odd")
    events = written(tmp_path, content(*GOOD) + whole.encode())
    embedded.run(pipeline(tmp_path, **usual), events)
    own = pipeline(tmp_path, **usual, **MENDS["unknown_value"])
    assert run_of(embedded, "--pipeline", own)["ledger"]["accepted"] == 1
    events.write_bytes(events.read_bytes() + b" and more\n")
    embedded.run(own, events)
    assert standing(embedded) == [(4, "invalid_json")]
    assert embedded.tables(tmp_path / "tables", "shop") == fresh(tmp_path, own, events)


def test_grown_files(place: Place, tmp_path: Path) -> None:
    """Their records stand under what the file was when each was read."""
    events = written(tmp_path, content(*GOOD, BROKEN["bad_time"]))
    place.run(pipeline(tmp_path), events)
    with events.open("ab") as file:
        file.write(content(record(20, at="02.03.2024 10:12"), BROKEN["unknown_value"]))
    place.run(pipeline(tmp_path), events)
    own = pipeline(tmp_path, **MENDS["bad_time"])
    assert run_of(place, "--pipeline", own)["ledger"]["accepted"] == 2
    assert standing(place) == [(6, "unknown_value")]
    assert place.tables(tmp_path / "tables", "shop") == fresh(tmp_path, own, events)
    ledger = place.run(own, events)["ledger"]
    assert (ledger["read"], ledger["duplicate"], ledger["quarantined"]) == (6, 5, {"unknown_value": 1})
    run_of(place, "--pipeline", pipeline(tmp_path, **MENDS["bad_time"], values=[]))
    assert standing(place) == []


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_csv(embedded: Place, tmp_path: Path, delimiter: str) -> None:
    """A line is read with its file's columns, also when the file is gone."""
    rows = ["who,at,id,more,size,what", 'c,2024-03-01T10:00:00,1,"x",1,a', 'c,01.03.2024 10:12,2,"a ""b""",2,b', "c,x"]
    text = content(*(row.replace(",", delimiter) for row in rows))
    events = written(tmp_path, text, "events.tsv" if delimiter == "\t" else "events.csv")
    source = f'format = "csv"\ndelimiter = "{delimiter}"' if delimiter == ";" else 'format = "csv"'
    embedded.run(pipeline(tmp_path, source=source), events)
    assert standing(embedded) == [(3, "bad_time"), (4, "bad_row")]
    own = pipeline(tmp_path, source=source, **MENDS["bad_time"])
    expected = fresh(tmp_path, own, events)
    events.unlink()
    assert run_of(embedded, "--pipeline", own)["ledger"]["accepted"] == 1
    assert standing(embedded) == [(4, "bad_row")]
    assert embedded.tables(tmp_path / "tables", "shop") == expected


def test_standard_input(embedded: Place, tmp_path: Path) -> None:
    """A stream is gone, but its records are not: CSV with the columns of its first line."""
    text = content("who,at,id,size,what", "c,01.03.2024 10:12,2,2,b", "d,2024-03-01T10:00:00,1,1,a")
    usual = {"source": 'format = "csv"'}
    done = embedded.call("run", pipeline(tmp_path, **usual), "-", stdin=text)
    assert done.status == 0, done.err
    own = pipeline(tmp_path, **usual, **MENDS["bad_time"])
    report = run_of(embedded, "--pipeline", own)
    assert (report["files"][0]["file"], report["ledger"]["accepted"]) == ("-", 1)
    assert embedded.tables(tmp_path / "tables", "shop") == fresh(tmp_path, own, written(tmp_path, text, "events.csv"))


def test_parquet(embedded: Place, tmp_path: Path) -> None:
    """Rows are read again with their types, though the quarantine has them as JSON."""
    events = tmp_path / "events.parquet"
    noon = [1709290800_000000, 1709290860_000000, 1709290920_000000, None]
    table = pa.table(
        {
            "at": pa.array(noon, pa.timestamp("us")),
            "id": [1, 2, 3, 4],
            "who": ["c", "c", None, "c"],
            "what": pa.array(["a", "odd", "odd", "a"]).dictionary_encode(),
            "size": pa.array([1, 2, 3, 4], pa.uint64()),
            "more": pa.array([b"\x00", b"\xff", None, b""], pa.binary()),
        }
    )
    pq.write_table(table, events)
    usual = {"source": 'format = "parquet"\ntimezone = "Europe/Berlin"'}
    embedded.run(pipeline(tmp_path, **usual), events)
    assert standing(embedded) == [(2, "unknown_value"), (3, "unknown_value"), (4, "missing_field")]
    own = pipeline(tmp_path, **usual, **MENDS["unknown_value"])
    expected = fresh(tmp_path, own, events)
    events.unlink()
    ledger = run_of(embedded, "--pipeline", own)["ledger"]
    assert (ledger["accepted"], ledger["dropped"]) == (1, {"anonymous": 1})
    assert standing(embedded) == [(4, "missing_field")]
    assert embedded.tables(tmp_path / "tables", "shop") == expected


STREAMS = """
[source.events]
format = "streams"
max_record = "{most}"
[source.events.fields]
amount = {{ type = "integer", values = {values} }}
[sessions]
rule = "markers"
[tables.sessions]
[tables.event_counts]
"""
EVENTS: list[dict[str, Any]] = [
    {"type": "EVENT", "timestamp": 2, "name": "buy", "amount": 1},
    {"type": "EVENT", "timestamp": 3, "name": "buy", "amount": 7},
    {"type": "EVENT", "timestamp": "4", "name": "buy"},
    {"type": "EVENT", "timestamp": 5, "name": "buy", "amount": 8},
]
START = {"type": "SESSION_START", "timestamp": 1, "session_id": "s"}
MESSAGES = [
    json.dumps({"session_id": "s", "seq": 1, "events": [START]}),
    json.dumps({"session_id": "s", "seq": 2, "events": EVENTS}),
    json.dumps({"session_id": "s", "seq": 3, "events": [EVENTS[0] | {"name": "y" * 500}, EVENTS[2]]}),
]


@pytest.mark.parametrize("name", ["streams.jsonl", "streams.jsonl.gz"])
def test_streams(place: Place, tmp_path: Path, name: str) -> None:
    """Of a message only those entries are read again that stand in quarantine; all, where the message does."""
    text = content(*MESSAGES)
    file = written(tmp_path, gzip.compress(text) if name.endswith("gz") else text, name)
    own = tmp_path / "live2.toml"
    own.write_text(STREAMS.format(most="400B", values=[1]))
    assert place.run(own, file)["ledger"]["read"] == 6
    assert standing(place) == [(2, "bad_type"), (2, "unknown_value"), (2, "unknown_value"), (3, "too_large")]
    own.write_text(STREAMS.format(most="1KiB", values=[1, 7]))
    ledger = run_of(place, "--pipeline", own)["ledger"]
    assert (ledger["read"], ledger["accepted"], ledger["quarantined"]) == (5, 2, {"bad_type": 2, "unknown_value": 1})
    paths = [(row["line"], row["path"]) for row in place.rows("select line, path from sojourn.quarantine")]
    assert sorted(paths) == [(2, "$.events[2].timestamp"), (2, "$.events[3].amount"), (3, "$.events[1].timestamp")]
    assert place.tables(tmp_path / "tables", "live2") == fresh(tmp_path, own, file)
    again = place.run(own, file)["ledger"]
    assert (again["read"], again["duplicate"], again["quarantined"]) == (7, 4, {"bad_type": 2, "unknown_value": 1})


def test_entries_need_their_messages(embedded: Place, tmp_path: Path) -> None:
    """The quarantine has an entry's own text only: without the file, or with another, it stays; a message does not."""
    file = written(tmp_path, content(*MESSAGES), "streams.jsonl")
    own = tmp_path / "live2.toml"
    own.write_text(STREAMS.format(most="400B", values=[1]))
    embedded.run(own, file)
    own.write_text(STREAMS.format(most="1KiB", values=[1, 7]))
    file.write_bytes(file.read_bytes().replace(b"buy", b"bye"))
    told = replayed(embedded, "--pipeline", own)
    assert [(entry["records"], "changed since" in entry["why"]) for entry in told["not_replayed"]] == [(3, True)]
    assert told["runs"][0]["ledger"]["read"] == 2
    assert [row for row in standing(embedded) if row[0] == 2] == [
        (2, "bad_type"),
        (2, "unknown_value"),
        (2, "unknown_value"),
    ]
    file.unlink()
    assert "cannot be read" in replayed(embedded, "--pipeline", own)["not_replayed"][0]["why"]


def test_records_of_failed_runs_stay(place: Place, tmp_path: Path) -> None:
    """Their files are in no table; once they are read by a run that is published, nothing outdated stands."""
    events = written(tmp_path, content(*GOOD, BROKEN["bad_time"]))
    done = place.call("run", pipeline(tmp_path), events, "--max-quarantined", "0")
    assert done.status == 3
    own = pipeline(tmp_path, **MENDS["bad_time"])
    told = replayed(place, "--pipeline", own)
    assert told["runs"] == []
    assert [(entry["records"], entry["file"]) for entry in told["not_replayed"]] == [(1, str(events))]
    assert standing(place) == [(4, "bad_time")]
    assert place.run(own, events)["ledger"]["accepted"] == 4
    assert standing(place) == []
    assert replayed(place, "--pipeline", own) == {"runs": [], "not_replayed": []}


def test_a_run_over_everything_again_settles_the_quarantine(embedded: Place, tmp_path: Path) -> None:
    """With the mended contract: what it accepts does not stand any more, and what it refuses stands once."""
    events = written(tmp_path, content(*GOOD, BROKEN["bad_time"], record(20, at="01.03.2024 10:12", what="odd")))
    embedded.run(pipeline(tmp_path), events)
    own = pipeline(tmp_path, **MENDS["bad_time"])
    embedded.run(own, events, "--mode", "replace")
    assert standing(embedded) == [(5, "unknown_value")]
    assert run_of(embedded, "--pipeline", own)["ledger"]["accepted"] == 0


def test_all_pipelines(place: Place, tmp_path: Path) -> None:
    """Ready ones are known by name; of others the file is asked for."""
    assert place.call("quarantine", "replay").out == "no quarantined records\n"
    place.run("webshop", written(tmp_path, b"oops\n", "shop.jsonl"))
    place.run(pipeline(tmp_path), written(tmp_path, content(BROKEN["bad_time"], record(1))))
    told = replayed(place)
    assert [(report["pipeline"], report["ledger"]["read"]) for report in told["runs"]] == [("webshop", 1)]
    assert [(entry["pipeline"], entry["records"]) for entry in told["not_replayed"]] == [("shop", 1)]
    shown = place.call("quarantine", "replay").out
    assert "0 of 1 records left the quarantine" in shown
    assert "--pipeline shop.toml" in shown


def test_a_contract_that_reads_otherwise_is_refused(embedded: Place, tmp_path: Path) -> None:
    """Kept events would be others: that needs the raw files, which are named, with what is wrong with them."""
    there = written(tmp_path, content(*GOOD), "there.jsonl")
    gone = written(tmp_path, content(BROKEN["bad_time"]), "gone.jsonl")
    for file in (there, gone):
        embedded.run(pipeline(tmp_path), file)
    own = pipeline(tmp_path, formats=["%d.%m.%Y %H:%M", "iso"])
    gone.unlink()
    for done in (embedded.call("quarantine", "replay", "--pipeline", own), embedded.call("run", own, there)):
        assert done.status == 2
        assert "reading_changed" in done.err
        assert 'source.events.fields.occurred_at.formats ["iso"] -> ["%d.%m.%Y %H:%M","iso"]' in done.err
        assert f"{gone} (it cannot be read: No such file or directory)" in done.err
        assert f"{there} (" not in done.err
    assert standing(embedded) == [(1, "bad_time")]


def test_a_run_names_the_replay(embedded: Place, tmp_path: Path) -> None:
    """Where the contract only accepts more, the quarantine is all there is to read; later runs go on then."""
    events = written(tmp_path, content(*GOOD, BROKEN["bad_time"]))
    embedded.run(pipeline(tmp_path), events)
    events.unlink()
    own = pipeline(tmp_path, **MENDS["bad_time"])
    more = written(tmp_path, content(record(30, at="01.03.2024 10:30")), "more.jsonl")
    done = embedded.call("run", own, more)
    assert (done.status, "sojourn quarantine replay --pipeline shop.toml" in done.err) == (2, True)
    run_of(embedded, "--pipeline", own)
    assert embedded.run(own, more)["ledger"]["accepted"] == 1
    assert embedded.call("run", pipeline(tmp_path), more).status == 2


def test_nothing_to_read_but_a_contract_to_adopt(embedded: Place, tmp_path: Path) -> None:
    """Later runs go on with the new one."""
    embedded.run(pipeline(tmp_path), written(tmp_path, content(*GOOD)))
    own = pipeline(tmp_path, **MENDS["bad_time"])
    tables = embedded.tables(tmp_path / "tables", "shop")
    assert run_of(embedded, "--pipeline", own)["ledger"]["read"] == 0
    assert embedded.tables(tmp_path / "tables", "shop") == tables
    assert embedded.run(own, written(tmp_path, content(BROKEN["bad_time"]), "more.jsonl"))["ledger"]["accepted"] == 1


def test_killed_at_any_step(place: Place, tmp_path: Path) -> None:
    """All is as before, or all is done; the next replay brings it to the end, and nothing counts twice."""
    usual = {"source": 'dedupe = "off"', "more": ""}
    events = written(tmp_path, content(*GOOD, BROKEN["bad_time"], record(20, at="01.03.2024 10:12", what="odd")))
    place.run(pipeline(tmp_path, **usual), events)
    before, rows = place.tables(tmp_path / "tables", "shop"), standing(place)
    own = pipeline(tmp_path, **usual, **MENDS["bad_time"])
    after, left = fresh(tmp_path, own, events), [(5, "unknown_value")]
    seen: Counter[bool] = Counter()
    with dying(place, "quarantine", "replay", "--pipeline", own) as die:
        for step in count(1, 9 if place.url else 3):
            if die(step) != "killed":
                break
            now = place.tables(tmp_path / "tables", "shop"), standing(place)
            assert now in ((before, rows), (after, left)), step
            seen[now == (after, left)] += 1
            if seen[True]:
                break
    assert seen[False] > 3
    replayed(place, "--pipeline", own)
    assert (place.tables(tmp_path / "tables", "shop"), standing(place)) == (after, left)


def test_reasons_are_checked(embedded: Place) -> None:
    """One that no record can have is a mistake, with the one that was meant."""
    done = embedded.call("quarantine", "replay", "--reason", "bad_tim")
    assert (done.status, "did you mean 'bad_time'" in done.err) == (2, True)
