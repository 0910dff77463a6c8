"""The guards can fail: each check is shown an input that it has to refuse."""

from __future__ import annotations

from dataclasses import replace
from random import Random

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sojourn import run
from sojourn.engines import building as engine
from sojourn.errors import SojournError
from sojourn.ledger import Ledger
from sojourn.pipeline import Pipeline
from sojourn.reading import land, readers
from sojourn.reading.jsonl import JsonLines
from tests import reference
from tests.laws.adapt import Expected, Table, pipeline_of, same_tables
from tests.laws.damage import LINES
from tests.laws.effort import examples
from tests.laws.homes import Home
from tests.laws.pipelines import PIPELINES
from tests.laws.records import line, record

WEBSHOP = PIPELINES["webshop"]
EXACTLY_THE_GAP = b"".join(
    b'{"id": "%b", "type": "x", "event": {"customer-id": "z", "timestamp": "2022-01-01T00:%b:00"}}\n' % (minute, minute)
    for minute in (b"00", b"30")
)
FEW = b"\n".join(line(record(Random(seed)), "webshop") for seed in range(60)) + b"\noops\n" + EXACTLY_THE_GAP


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder for homes, and no other process beside this one."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(land, "in_processes", readers.in_this_process)
        yield tmp_path_factory.mktemp("guards")


counts = st.integers(0, 5)
reasons = st.dictionaries(st.sampled_from(["bad_time", "invalid_json"]), st.integers(1, 5))


@examples(200)
@given(counts, counts, st.dictionaries(st.just("anonymous"), st.integers(1, 5)), reasons, st.integers(-3, 3))
def test_a_ledger_that_does_not_balance_is_refused(accepted, duplicate, dropped, quarantined, missing):
    """One record too few or too many at any end, and the check raises; else it does not (1.1)."""
    ledger = Ledger(accepted=accepted, duplicate=duplicate, blank=7)
    ledger.dropped.update(dropped)
    ledger.quarantined.update(quarantined)
    ledger.notes["conflicting"] = 3  # notes and blanks are no ends
    ledger.read = accepted + duplicate + sum(dropped.values()) + sum(quarantined.values()) + missing
    if missing == 0:
        ledger.check("a file")
        return
    with pytest.raises(SojournError, match="a file does not balance"):
        ledger.check("a file")


def test_ends_below_zero_are_refused():
    """Counts that balance only because one is negative are refused."""
    with pytest.raises(SojournError, match="does not balance"):
        Ledger(read=1, accepted=2, duplicate=-1).check("a file")


def lost_event(built):
    """One event less than was accepted."""
    return replace(built, events=built.events - 1)


def forgotten_duplicate(built):
    """A duplicate that is counted as accepted."""
    part, (copies, conflicting) = next(iter(built.duplicates.items()))
    return replace(built, duplicates={**built.duplicates, part: (copies - 1, conflicting)})


def too_many_duplicates(built):
    """More duplicates than records."""
    return replace(built, duplicates=dict.fromkeys(built.duplicates, (1000, 0)))


@pytest.mark.parametrize("fault", [lost_event, forgotten_duplicate, too_many_duplicates])
def test_a_run_whose_tables_rest_on_other_events_fails(folder, fault):
    """Tables with more or fewer events than the ledger says: the run fails, and the tables stay as they were (1.1)."""
    home = Home(folder / "build", WEBSHOP)
    home.run({"first": FEW[:4000]})
    before = home.tables()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(run, "build", lambda *given, **named: fault(engine.build(*given, **named)))
        with pytest.raises(SojournError) as failed:
            home.run({"second": FEW})
    assert failed.value.code == "ledger"
    assert home.tables() == before
    assert [row["status"] for row in home.query("select status from sojourn.runs order by started_at")] == [
        "done",
        "failed",
    ]
    home.run({"second": FEW})


@pytest.mark.parametrize("fault", ["rows", "read", "quarantined", "dropped"])
def test_a_reader_that_loses_a_record_fails_the_run(folder, fault):
    """A record that reading counts nowhere, or twice, is noticed before anything is published (1.1)."""
    read_task = readers.read_task

    def forgetful(task):
        part = read_task(task)
        if fault == "rows":
            return replace(part, rows=part.rows - 1)
        if fault == "read":
            part.ledger.read += 1
        elif fault == "quarantined":
            part.ledger.quarantined["invalid_json"] -= 1
        else:
            part.ledger.dropped["anonymous"] += 1
        return part

    home = Home(folder / "reader", WEBSHOP)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(readers, "read_task", forgetful)
        with pytest.raises(SojournError) as failed:
            home.run({"all": FEW})
    assert failed.value.code == "ledger"
    assert home.store.published() == []


def test_the_comparison_of_readers_can_fail():
    """A lost event, another line, reason or raw text, and a wrong count: the tests of the reader notice each."""
    data = b"\n".join([*LINES["webshop"], b"oops", b"", LINES["webshop"][2]])
    source = WEBSHOP.events
    block = JsonLines(source).read(data)
    expected = Expected(data, source)
    expected.check([block])
    reasons = block.rejects.set_column(1, "reason", [["bad_time"]])
    doctored = [
        replace(block, events=block.events.slice(1)),
        replace(block, events=block.events.slice(0, 1)),
        replace(block, rejects=block.rejects.slice(1)),
        replace(block, rejects=reasons),
        replace(block, rejects=block.rejects.set_column(0, "line", [[5]])),
        replace(block, rejects=block.rejects.set_column(4, "raw", [[b"oops\r"]])),
        replace(block, ledger=replace(block.ledger, read=block.ledger.read + 1)),
        replace(block, ledger=replace(block.ledger, blank=0)),
    ]
    for wrong in doctored:
        with pytest.raises(AssertionError):
            expected.check([wrong])


def test_the_comparison_of_tables_can_fail():
    """Missing rows, doubled rows, other values, other types and other columns are noticed; a relative 1e-9 is not."""
    rows: Table = [{"a": 1, "b": "x", "c": 0.1}, {"a": None, "b": "x", "c": 3e9}]
    same_tables(rows, rows[::-1])
    same_tables(rows, [rows[0], {**rows[1], "c": 3e9 + 1e-1}])
    others = [
        rows[:1],
        [*rows, rows[0]],
        [rows[0], rows[0]],
        [rows[0], {**rows[1], "c": 3e9 + 10}],
        [rows[0], {**rows[1], "a": 0}],
    ]
    others += [[rows[0], {**rows[1], "b": None}], [{"b": "x", "c": 0.1}, rows[1]], [{**rows[0], "a": True}, rows[1]]]
    for other in others:
        with pytest.raises(AssertionError):
            same_tables(rows, other)


def changed(**how: object) -> Pipeline:
    """The webshop with another rule for sessions."""
    assert WEBSHOP.sessions is not None
    return msgspec.structs.replace(WEBSHOP, sessions=msgspec.structs.replace(WEBSHOP.sessions, **how))


@pytest.mark.parametrize(
    "other",
    [changed(gap="1799999999us"), changed(goal="search"), changed(own_hosts=("x.example",))],
    ids=["gap", "goal", "hosts"],
)
def test_tables_of_another_rule_are_noticed(folder, other):
    """Sessions by a gap one microsecond shorter, another goal or other own hosts: not the reference's tables."""
    events = reference.process([[("all", FEW)]], pipeline_of(WEBSHOP)).events
    home = Home(folder / "rule", WEBSHOP)
    home.run({"all": FEW})
    home.check(events)
    home.pipeline = other
    home.run({"all": FEW})
    home.pipeline = WEBSHOP
    with pytest.raises(AssertionError):
        home.check(events)
