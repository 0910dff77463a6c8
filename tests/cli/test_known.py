"""Files that were read before: skipped by stamp or content; files that grow, and those that only seem to."""

from __future__ import annotations

import gzip
import os
import time
from pathlib import Path
from typing import Any

import pytest

from sojourn.reading import known, land, sources
from sojourn.reading.readers import in_this_process
from tests.command import Home, lines, shop

FIRST = lines(
    shop(1, "10:00:00"), shop(2, "10:01:00"), shop(2, "10:01:00"), shop(2, "10:02:00"), shop(3, "10:00:00", None), "bad"
)
MORE = lines(shop(4, "10:05:00"), "worse")
SESSIONS = "select actor, events, started_at, ended_at from webshop.sessions order by 1, 3"
OFF = """
[source.events]
dedupe = "off"
[source.events.fields]
occurred_at = "event.timestamp"
actor       = "event.customer-id"
[sessions]
rule = "gap"
"""


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Read several files without other processes; stamps are old enough at once."""
    monkeypatch.setattr(land, "in_processes", in_this_process)
    monkeypatch.setattr(known, "_YOUNG", 0)


@pytest.fixture
def hashed(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the files whose content was hashed to know them."""
    names: list[str] = []
    contents = known._contents

    def noting(given: Any, sizes: Any) -> Any:
        names.extend([Path(given.name).name] if sizes else [])
        return contents(given, sizes)

    monkeypatch.setattr(known, "_contents", noting)
    return names


def run(home: Home, *words: object, pipeline: object = "webshop", stdin: bytes = b"") -> dict[str, Any]:
    """The report of a run."""
    done = home.call("run", pipeline, *words, "--json", stdin=stdin)
    assert done.status == 0, done.err
    report: dict[str, Any] = done.json
    return report


def skipped(report: dict[str, Any]) -> list[bool]:
    """Which of a report's files were skipped."""
    return [entry.get("skipped", False) for entry in report["files"]]


def current(home: Home) -> str:
    """The run that published the current tables."""
    row = home.call("tables", "--json").json[0]
    return str(row["run_id"])


def test_an_unchanged_file_is_not_even_opened_for_its_content(home: Home, hashed: list[str]) -> None:
    """Its earlier counts come again, what was accepted as duplicate; the tables stay those of the first run."""
    path = home.path("a.jsonl", FIRST)
    first, published = run(home, path), current(home)
    again = run(home, path)
    assert (skipped(first), skipped(again), hashed) == ([False], [True], [])
    assert (first["ledger"]["accepted"], first["ledger"]["duplicate"]) == (2, 2)
    expected = first["ledger"] | {"accepted": 0, "duplicate": 4, "notes": {"conflicting": 1}}
    assert again["ledger"] == expected
    assert {key: again["files"][0][key] for key in expected} == expected
    assert (again["status"], again["tables"], current(home)) == ("done", first["tables"], published)
    rows = home.rows("select status, read, accepted, duplicate from sojourn.runs order by started_at")
    assert rows[1] == {"status": "done", "read": 6, "accepted": 0, "duplicate": 4}


def test_a_touched_copied_renamed_or_packed_file_is_known_by_its_content(home: Home, hashed: list[str]) -> None:
    """Hashing tells, or unpacking; nothing is counted anew, under whatever name."""
    path = home.path("a.jsonl", FIRST)
    tables = run(home, path)["tables"]
    os.utime(path, (1, 1))
    copy = home.path("b.jsonl", FIRST)
    packed = home.path("c.jsonl.gz", gzip.compress(FIRST))
    report = run(home, path, copy, packed)
    assert skipped(report) == [True, True, True]
    assert sorted(hashed) == ["a.jsonl", "b.jsonl"]
    assert (report["ledger"]["read"], report["ledger"]["accepted"], report["ledger"]["duplicate"]) == (18, 0, 12)
    assert report["tables"] == tables
    assert skipped(run(home, "-", stdin=FIRST)) == [True]
    assert home.values("select count(*) from sojourn.quarantine") == [1]


def test_a_packed_file_that_did_not_change_is_not_unpacked(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its stamp is enough."""
    path = home.path("a.jsonl.gz", gzip.compress(FIRST))
    run(home, path)
    monkeypatch.setattr(sources, "decompressed", lambda _: pytest.fail("unpacked"))
    assert skipped(run(home, path)) == [True]


def test_a_young_stamp_is_not_relied_upon(home: Home, hashed: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """A file of the same size that was written within the same tick of the clock is another file."""
    monkeypatch.setattr(known, "_YOUNG", 2_000_000_000)
    path = home.path("a.jsonl", lines(shop(1, "10:00:00")))
    status = path.stat()
    run(home, path)
    path.write_bytes(lines(shop(2, "10:00:00")))
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    report = run(home, path)
    assert (skipped(report), report["ledger"]["accepted"], hashed) == ([False], 1, ["a.jsonl"])


def test_without_dedupe_equal_content_counts_once_in_one_run_as_in_two(home: Home) -> None:
    """Off, every record counts, but no content twice: of two names in one run, in two runs, or through a pipe."""
    own = home.path("own.toml", OFF)
    content = lines(shop(1, "10:00:00"), shop(1, "10:00:00"))
    first, second = home.path("a.jsonl", content), home.path("b.jsonl", content)
    report = run(home, first, second, pipeline=own)
    assert (skipped(report), report["ledger"]["accepted"], report["ledger"]["duplicate"]) == ([False, True], 2, 2)
    assert home.values("select events from own.sessions") == [2]
    run(home, second, pipeline=own)
    run(home, "-", pipeline=own, stdin=content)
    assert home.values("select events from own.sessions") == [2]
    other = Home(home.folder / "other")
    (home.folder / "other").mkdir()
    for path in (first, second):
        run(other, path, pipeline=own)
    assert other.values("select events from own.sessions") == [2]


def test_a_file_that_grew_is_read_on(home: Home) -> None:
    """Only what is new is in the ledger; lines are counted on; then the whole file is known."""
    path = home.path("a.jsonl", FIRST)
    run(home, path)
    path.write_bytes(FIRST + MORE)
    report = run(home, path)
    assert (skipped(report), report["ledger"]["read"], report["ledger"]["accepted"]) == ([False], 2, 1)
    assert home.rows("select line, raw from sojourn.quarantine order by line") == [
        {"line": 6, "raw": "bad"},
        {"line": 8, "raw": "worse"},
    ]
    again = run(home, path)
    assert (skipped(again), again["ledger"]["read"], again["ledger"]["duplicate"]) == ([True], 8, 5)


def test_an_unfinished_last_line_is_withdrawn_when_it_is_finished(home: Home) -> None:
    """It was a record at once; what came of it leaves the tables and the quarantine, and the ledger says so."""
    whole = lines(shop(4, "10:05:00", "d"))
    path = home.path("a.jsonl", FIRST + whole[:40])
    assert run(home, path)["ledger"]["quarantined"] == {"invalid_json": 2}
    path.write_bytes(FIRST + whole.rstrip(b"\n"))
    report = run(home, path)
    assert (report["ledger"]["accepted"], report["ledger"]["notes"]) == (1, {"withdrawn": 1})
    assert home.values("select raw from sojourn.quarantine") == ["bad"]
    assert home.values("select actor from webshop.sessions order by 1") == ["c", "d"]
    path.write_bytes(FIRST + whole.rstrip(b"\n") + b" x\n" + lines(shop(5, "10:06:00")))
    report = run(home, path)
    assert (report["ledger"]["read"], report["ledger"]["notes"]) == (2, {"withdrawn": 1})
    assert home.values("select actor from webshop.sessions") == ["c"]
    assert home.values("select line from sojourn.quarantine order by 1") == [6, 7]


def test_a_grown_csv_has_the_columns_of_its_first_line(home: Home) -> None:
    """Also when what is new is read alone, and lines that look like the header are records."""
    own = home.path("own.toml", OFF.replace("[source.events]", '[source.events]\nformat = "csv"'))
    header = "event.customer-id,event.timestamp"
    path = home.path("a.csv", lines(header, "a,2022-03-01T10:00:00"))
    run(home, path, pipeline=own)
    with path.open("ab") as more:
        more.write(lines("b,2022-03-01T10:00:00", header))
    report = run(home, path, pipeline=own)
    assert (report["ledger"]["accepted"], report["ledger"]["quarantined"]) == (1, {"bad_time": 1})
    assert home.values("select actor from own.sessions order by 1") == ["a", "b"]
    assert home.values("select line from sojourn.quarantine") == [4]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (lines(shop(9, "10:00:00")) + FIRST, "does not begin as it was when it was last read"),
        (FIRST[: FIRST.index(b"\n") + 1], "is shorter than it was when it was last read"),
    ],
)
def test_a_file_with_another_beginning_is_read_whole(home: Home, content: bytes, said: str) -> None:
    """A remark says so, and equal records count once."""
    path = home.path("a.jsonl", FIRST)
    run(home, path)
    path.write_bytes(content)
    done = home.call("run", "webshop", path, "--json")
    assert (done.status, done.err.count("\n")) == (0, 1)
    assert said in done.err
    assert done.json["ledger"]["read"] == content.count(b"\n")
    fresh = Home(home.folder / "fresh")
    (home.folder / "fresh").mkdir()
    fresh.run("webshop", FIRST + content)
    assert home.rows(SESSIONS) == fresh.rows(SESSIONS)


def test_a_log_that_is_turned_over(home: Home) -> None:
    """The old file, under its new name, is read on from where it ended, also when every record counts."""
    own = home.path("own.toml", OFF)
    log = home.path("app.log", lines(shop(1, "10:00:00")))
    run(home, log, pipeline=own)
    with log.open("ab") as more:
        more.write(lines(shop(2, "10:01:00")))
    log.rename(old := log.with_name("app.1.log"))
    home.path("app.log", lines(shop(3, "10:02:00")))
    report = run(home, log, old, pipeline=own)
    assert [entry["read"] for entry in report["files"]] == [1, 1]
    assert home.values("select events from own.sessions") == [3]
    assert skipped(run(home, log, old, pipeline=own)) == [True, True]


def test_a_copy_keeps_what_the_grown_file_withdraws(home: Home) -> None:
    """A last line that two files share is withdrawn when both have finished it otherwise."""
    begun = lines(shop(1, "10:00:00")) + lines(shop(2, "10:01:00", "d")).rstrip(b"\n")
    path, copy = home.path("a.jsonl", begun), home.path("b.jsonl", begun)
    run(home, path)
    run(home, path, copy, home.path("x.jsonl", lines(shop(7, "10:00:00"))))
    path.write_bytes(begun + b" x\n")
    run(home, path)
    assert home.values("select actor from webshop.sessions order by 1") == ["c", "d"]
    copy.write_bytes(begun + b" y\n")
    run(home, copy)
    assert home.values("select actor from webshop.sessions order by 1") == ["c"]


def test_what_is_read_as_another_format_is_not_known(home: Home) -> None:
    """A file under a name that says another format is read anew."""
    own = home.path("own.toml", OFF.replace("event.", ""))
    content = lines("customer-id,timestamp", "a,2022-03-01T10:00:00")
    wrong = home.path("a.jsonl", content)
    assert run(home, wrong, pipeline=own)["ledger"]["quarantined"] == {"invalid_json": 2}
    report = run(home, wrong.rename(home.folder / "a.csv"), pipeline=own)
    assert (skipped(report), report["ledger"]["accepted"]) == ([False], 1)


def test_replace_reads_everything(home: Home) -> None:
    """Starting over forgets what was known."""
    path = home.path("a.jsonl", FIRST)
    run(home, path)
    report = run(home, path, "--mode", "replace")
    assert (skipped(report), report["ledger"]["accepted"]) == ([False], 2)


def test_out_is_written_also_where_nothing_is_new(home: Home) -> None:
    """The current tables, and the quarantined records of the files that were given."""
    path, out = home.path("a.jsonl", FIRST), home.folder / "out"
    run(home, path, "--out", out)
    before = {file.name: file.read_bytes() for file in out.iterdir() if file.name != "manifest.json"}
    for file in out.iterdir():
        file.unlink()
    assert skipped(run(home, path, "--out", out)) == [True]
    after = {file.name: file.read_bytes() for file in out.iterdir() if file.name != "manifest.json"}
    assert after == before
    assert before["quarantine.jsonl"].count(b"\n") == 1


def test_the_limit_of_quarantined_records_holds_for_known_files_too(home: Home) -> None:
    """What was quarantined then is quarantined now."""
    path = home.path("a.jsonl", FIRST)
    run(home, path)
    assert home.call("run", "webshop", path, "--max-quarantined", "0").status == 3


def test_a_hundred_files_are_known_within_a_second(home: Home) -> None:
    """The work of a second run over an unchanged folder, without what others take of the machine."""
    for number in range(100):
        home.path(f"in/{number}.jsonl", lines(shop(number, "10:00:00"), f"bad {number}"))
    run(home, home.folder / "in")
    began = time.process_time()
    report = run(home, home.folder / "in")
    assert time.process_time() - began < 1
    assert skipped(report) == [True] * 100
    assert report["ledger"]["read"] == 200


def test_a_list_of_servers_grows(home: Home) -> None:
    """Its unfinished last row is withdrawn, too: the time that it told was cut off."""
    events = home.path("events.csv", lines("2022-03-01 08:00:00,1,7,1,t", "2022-03-01 16:00:00,3,7,2,f"))
    servers = home.path("servers.csv", lines("2,2022-01-01 00:00:00,") + b"1,2022-01-01 00:00:00,2022-03-01 12:00:00")
    given = [f"events={events}", f"servers={servers}"]
    online = "select online_seconds / 3600 from devices.device_uptime where device_id = 1"
    run(home, *given, pipeline="devices")
    assert home.values(online) == [4]
    with servers.open("ab") as more:
        more.write(b".5x\n1,,2022-03-01 14:00:00\n")
    report = run(home, *given, pipeline="devices")
    assert [entry["notes"] for entry in report["files"]] == [{}, {"withdrawn": 1}]
    assert skipped(report) == [True, False]
    assert report["ledger"]["quarantined"] == {"bad_time": 1}
    assert home.values(online) == [6]


def test_the_end_of_observation_is_that_of_the_run_not_of_what_it_read(home: Home) -> None:
    """A run may know all of its files: what is computed again ends where its tables do."""
    days = ("2024-03-01 08:00:00,1,7,1,t", "2024-03-01 09:00:00,1,7,1,f", "2024-03-05 08:00:00,2,7,1,t")
    given = [f"events={home.path('e.csv', lines(*days))}"]
    until = ("--until", "2024-03-02T00:00:00")
    uptime = "select device_id, observed_seconds / 3600 from devices.device_uptime order by all"
    for options, online in ((until, [(1, 16)]), ((), [(1, 96), (2, 0)]), (until, [(1, 16)])):
        run(home, *given, *options, pipeline="devices")
        for _ in range(2):
            assert [tuple(row.values()) for row in home.rows(uptime)] == online
            assert home.call("verify", "--cuts", "1").status == 0
            assert home.call("rebuild", "devices").status == 0
