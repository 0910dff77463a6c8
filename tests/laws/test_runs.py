"""Laws of runs: order, copies and cuts change nothing; the ledger balances; sessions partition events (1.1, 3, 10)."""

from __future__ import annotations

import json
from collections import Counter
from itertools import pairwise
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sojourn import export, run
from sojourn.errors import SojournError, UsageError
from sojourn.reading import land, sources
from sojourn.reading.inputs import resolve
from sojourn.reading.readers import in_this_process
from sojourn.times import parse_duration
from tests import reference
from tests.laws.adapt import pipeline_of, rounded
from tests.laws.effort import some_examples
from tests.laws.homes import Home
from tests.laws.pipelines import PIPELINES
from tests.laws.records import lines

some_pipeline = st.sampled_from(sorted(PIPELINES))
deduped = st.sampled_from(sorted(name for name, known in PIPELINES.items() if known.events.dedupe != "off"))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder for homes, and no other process beside this one."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(land, "in_processes", in_this_process)
        yield tmp_path_factory.mktemp("runs")


@st.composite
def cuts(draw, found: list[bytes]) -> list[dict[str, bytes]]:
    """The lines dealt to files of several runs, in any order; one file may be read again in the next run."""
    rng = Random(draw(st.integers(0, 1 << 32)))
    runs: list[dict[str, list[bytes]]] = [
        {f"file{number}-{at}": [] for at in range(draw(st.integers(1, 3)))} for number in range(draw(st.integers(1, 3)))
    ]
    places = [files[name] for files in runs for name in files]
    for line in found:
        rng.choice(places).append(line)
    cut = [{name: b"\n".join(part) for name, part in files.items()} for files in runs]
    if draw(st.booleans()):
        cut.insert(rng.randrange(1, len(cut) + 1), dict([rng.choice(sorted(cut[0].items()))]))
    return cut


@some_examples(8)
@given(st.data())
def test_any_cut_into_runs_gives_the_same_tables(folder, data):
    """Whatever stands in which file of which run: the tables are those of one run over all records. Every run's and
    every file's ledger is the reference's, and the quarantine holds every broken record of each content once."""
    name = data.draw(deduped)
    pipeline = PIPELINES[name]
    found = data.draw(lines(name))
    runs = data.draw(cuts(found))
    whole = reference.process([[("all", b"\n".join(found))]], pipeline_of(pipeline))
    outcome = reference.process([list(files.items()) for files in runs], pipeline_of(pipeline))
    home = Home(folder / "cut", pipeline)
    unit = data.draw(st.sampled_from([3000, sources.UNIT]))  # files of several parts, or of one
    for number, files in enumerate(runs):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(sources, "UNIT", unit)
            report = home.run(files)
        ends, files_ends = outcome.runs[number].as_dict(), [part.as_dict() for part in outcome.files[number]]
        for entry, expected in zip(report["files"], files_ends, strict=True):
            if "skipped" in entry:  # it repeats its notes, too
                expected["notes"] = entry["notes"]
                ends["notes"] = report["ledger"]["notes"]
        assert report["ledger"] == ends
        assert [without_name(entry) for entry in report["files"]] == files_ends
        check_balance(report)
    home.check(whole.events)
    check_quarantine(home, runs, outcome)


def multisets(home: Home) -> dict[str, list[dict[str, Any]]]:
    """Every table, its rows in an order of their own."""
    return {name: rounded(rows) for name, rows in home.tables().items()}


def without_name(entry: dict[str, Any]) -> dict[str, Any]:
    """A file's entry in a report, its counts alone."""
    return {key: value for key, value in entry.items() if key not in ("file", "source", "skipped")}


def check_balance(report: dict[str, Any]) -> None:
    """Every record of the run and of each file ended in one place, and the files add up to the run."""
    for ledger in (report["ledger"], *report["files"]):
        ends = (
            ledger["accepted"]
            + ledger["duplicate"]
            + sum(ledger["dropped"].values())
            + sum(ledger["quarantined"].values())
        )
        assert ledger["read"] == ends
    for count in ("read", "blank", "accepted", "duplicate"):
        assert report["ledger"][count] == sum(entry[count] for entry in report["files"])


def check_quarantine(home: Home, runs: list[dict[str, bytes]], outcome: reference.Outcome) -> None:
    """Each broken record stands once for every content that holds it, byte for byte."""
    contents = {name: content for files in runs for name, content in files.items()}
    expected = {
        (contents[found.file], found.line, found.rejected.reason, found.rejected.path or "$", found.raw)
        for records in outcome.quarantine
        for found in records
    }
    rows = home.query("select file, line, reason, path, raw from sojourn.quarantine")
    names = {str(home.folder / f"{name}.jsonl"): content for name, content in contents.items()}
    assert Counter(
        (names[row["file"]], row["line"], row["reason"], row["path"], row["raw"]) for row in rows
    ) == Counter(expected)


@some_examples(5)
@given(st.data())
def test_order_and_copies_do_not_matter(folder, data):
    """Shuffled lines give equal tables, to the last bit; with every line twice as well, where records are made one."""
    name = data.draw(some_pipeline)
    found = data.draw(lines(name))
    home = Home(folder / "first", PIPELINES[name])
    home.run({"all": b"\n".join(found)})
    more = found * 2 if PIPELINES[name].events.dedupe != "off" else list(found)
    Random(data.draw(st.integers(0, 1 << 32))).shuffle(more)
    other = Home(folder / "second", PIPELINES[name])
    other.run({"all": b"\n".join(more)})
    assert multisets(home) == multisets(other)


@some_examples(5)
@given(st.data())
def test_sessions_partition_the_accepted_events(folder, data):
    """Every accepted event with an actor (by key: every one) lies in exactly one session; sessions of an actor are
    numbered from 1 and lie more than the gap apart; other tables count the same events."""
    name = data.draw(st.sampled_from(sorted(name for name, known in PIPELINES.items() if "sessions" in known.tables)))
    pipeline = PIPELINES[name]
    assert pipeline.sessions is not None
    home = Home(folder / "partition", pipeline)
    report = home.run({"all": b"\n".join(data.draw(lines(name)))})
    tables = home.tables()
    sessions = tables["sessions"]
    assert sum(row["events"] for row in sessions) == report["ledger"]["accepted"]
    assert len({row["session_id"] for row in sessions}) == len(sessions)
    by_actor: dict[str | None, list[dict[str, Any]]] = {}
    for row in sorted(sessions, key=lambda row: (row["started_at"], row["session_id"])):
        by_actor.setdefault(row["actor"], []).append(row)
        assert row["duration_seconds"] == (row["ended_at"] - row["started_at"]) / 1e6
        assert 0 <= row["page_views"] <= row["events"]
        assert row["bounced"] == (row["page_views"] == 1)
        assert (row["landing_page"] is None) <= (row["exit_page"] is None or row["page_views"] > 1)
    for actor, rows in by_actor.items():
        numbers = [row["session_number"] for row in rows]
        assert numbers == ([None] * len(rows) if actor is None else list(range(1, len(rows) + 1)))
        if pipeline.sessions.rule == "gap":
            assert all(
                late["started_at"] - early["ended_at"] > parse_duration(pipeline.sessions.gap)
                for early, late in pairwise(rows)
            )
    check_other_tables(tables, report["ledger"]["accepted"])


def check_other_tables(tables: dict[str, list[dict[str, Any]]], accepted: int) -> None:
    """What other tables count adds up to the same events and sessions."""
    sessions = tables["sessions"]
    if "session_durations_by_referrer" in tables:
        assert sum(row["sessions"] for row in tables["session_durations_by_referrer"]) == len(sessions)
    if "hourly_activity" in tables:
        assert sum(row["activity_count"] for row in tables["hourly_activity"]) == accepted
    if "user_activity" in tables:
        assert len(tables["user_activity"]) == accepted
    if "pages" in tables:
        pages = tables["pages"]
        assert sum(row["views"] for row in pages) == sum(row["page_views"] for row in sessions)
        with_views = [row for row in sessions if row["page_views"]]
        assert sum(row["entries"] for row in pages) == sum(row["exits"] for row in pages) == len(with_views)
        assert sum(row["bounces"] for row in pages) == sum(row["bounced"] for row in sessions)


@some_examples(3)
@given(st.data())
def test_replace_is_a_fresh_home(folder, data):
    """`--mode replace` forgets all that was kept: ledger and tables are those of a first run; then runs add again."""
    name = data.draw(some_pipeline)
    first, second, third = (b"\n".join(data.draw(lines(name, 15))) for _ in range(3))
    used, fresh = Home(folder / "used", PIPELINES[name]), Home(folder / "fresh", PIPELINES[name])
    used.run({"first": first})
    assert used.run({"second": second}, mode="replace")["ledger"] == fresh.run({"second": second})["ledger"]
    assert multisets(used) == multisets(fresh)
    assert used.run({"third": third})["ledger"] == fresh.run({"third": third})["ledger"]
    assert multisets(used) == multisets(fresh)


@some_examples(3)
@given(st.data())
def test_what_publishes_nothing_changes_nothing(folder, data):
    """A run over the limit of quarantined records, a run that breaks off, and a check leave tables and kept events as
    they were; the two runs stand in `runs`, with what they quarantined."""
    name = data.draw(some_pipeline)
    first, second = (b"\n".join(data.draw(lines(name, 15))) for _ in range(2))
    home, quiet = Home(folder / "home", PIPELINES[name]), Home(folder / "quiet", PIPELINES[name])
    home.run({"first": first})
    quiet.run({"first": first})
    before = multisets(home)
    with pytest.raises(SojournError, match="--max-quarantined"):
        home.run({"second": second + b"\noops"}, max_quarantined=lambda _: False)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(export, "stage", broken)
        with pytest.raises(SojournError, match="on purpose"):
            home.run({"second": second + b"\noops"})
    path = home.folder / "second.jsonl"
    path.write_bytes(second)
    checked = run.check(
        PIPELINES[name], resolve([str(path)], "jsonl"), home.folder / "check", run.Options(), lambda _: None
    )
    assert multisets(home) == before
    assert [row["status"] for row in home.query("select status from sojourn.runs order by started_at")] == [
        "done",
        "too_many_quarantined",
        "failed",
    ]
    assert home.query("select count(*) as n from sojourn.quarantine where raw = 'oops'::blob")[0]["n"] >= 1
    alone = reference.process([[("second", second)]], pipeline_of(PIPELINES[name]))
    assert checked.report()["ledger"] == alone.runs[0].as_dict()
    assert home.run({"second": second})["ledger"] == quiet.run({"second": second})["ledger"]
    assert multisets(home) == multisets(quiet)


def broken(*_: Any) -> None:
    """Something that fails."""
    raise SojournError("broken", "broken on purpose")


def test_another_way_of_reading_is_refused(folder):
    """Kept events and new ones must have been read alike: another contract needs the raw files again."""
    home = Home(folder / "reading", PIPELINES["webshop"])
    home.run({"first": b""})
    other = PIPELINES["shop_own_hosts"]
    home.pipeline = type(other)(name="webshop", source=other.source, sessions=other.sessions, tables=other.tables)
    with pytest.raises(UsageError, match="needs the raw files"):
        home.run({"second": b""})
    home.run({"second": b""}, mode="replace")


def test_report_is_what_runs_keeps(folder):
    """`sojourn.runs` holds every run's report, whole."""
    home = Home(folder / "report", PIPELINES["webshop"])
    report = home.run({"all": b"oops\n\n"})
    (row,) = home.query("select * from sojourn.runs")
    kept = json.loads(row["report"])
    assert {key: kept[key] for key in report if key != "seconds"} == {
        key: value for key, value in report.items() if key != "seconds"
    }
    assert (row["read"], row["blank"], row["accepted"], row["duplicate"], row["quarantined"]) == (1, 1, 0, 0, 1)
