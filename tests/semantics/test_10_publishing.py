"""One answer."""

import json
from typing import Any

from tests.command import Home, lines, shop


def snapshot(home: Home) -> list[dict[str, Any]]:
    """The webshop's sessions as they stand, and which run published them."""
    return home.rows("select * from webshop.sessions order by actor, session_number")


def test_10_1_any_cut_into_runs_in_any_order_publishes_equal_tables(home: Home) -> None:
    """Copies that differ, late events and events that join sessions included."""
    records = [
        shop(
            number,
            f"1{hour}:{minute:02}:00",
            number % 3,
            ("page_view", "placed_order")[number % 5 == 0],
            page=f"/{minute}",
        )
        for number, (hour, minute) in enumerate([(at % 4, at * 7 % 60) for at in range(40)])
    ]
    records += [line.replace("10:", "09:") for line in records[::4]] + records[::3] + [shop(99, "10:00:00", None)]
    whole = lines(*records)
    cuts = [
        [whole],
        [lines(*records[at::3]) for at in range(3)],
        [lines(*part) for part in (records[20:], records[:20])],
    ]
    tables = []
    for cut in cuts:
        for at, part in enumerate(cut):
            home.run("webshop", part, "--mode", "add" if at else "replace")
        tables.append((snapshot(home), home.rows("select * from webshop.session_durations_by_referrer")))
    assert len(tables[0][0]) > 3
    assert tables[0] == tables[1] == tables[2]


def test_10_2_each_pipeline_publishes_into_a_schema_of_its_own_name(home: Home) -> None:
    """Equal table names do not meet; a run of one pipeline leaves the others' tables."""
    home.run("webshop", lines(shop(1, "10:00:00")))
    home.run("pageviews", lines('{"url": "/", "timestamp": "2018-01-02T10:00:00", "sessionId": "k"}'))
    home.run("webshop", lines(shop(2, "10:00:00", "d")))
    assert home.values("select count(*) from webshop.sessions") == [2]
    assert home.values("select count(*) from pageviews.sessions") == [1]
    listed = {(row["pipeline"], row["table"]) for row in home.call("tables", "--json").json}
    assert listed == {
        ("webshop", "sessions"),
        ("webshop", "session_durations_by_referrer"),
        ("webshop", "referrer_differences"),
        ("pageviews", "experiment_users"),
        ("pageviews", "experiments"),
        ("pageviews", "sessions"),
        ("pageviews", "pages"),
        ("pageviews", "hourly_activity"),
    }


def test_10_2_a_failed_run_changes_no_table_and_keeps_no_event(home: Home) -> None:
    """Its row in `runs` and its quarantine are written, so that one can see why."""
    home.run("webshop", lines(shop(1, "10:00:00")))
    before = snapshot(home)
    bad = home.path("bad.jsonl", lines(shop(2, "10:05:00"), "broken", shop(3, "10:06:00", "new")))
    failed = home.call("run", "webshop", bad, "--max-quarantined", "0", "--json")
    assert failed.status == 3
    assert snapshot(home) == before
    assert home.rows(
        "select status, read, quarantined, message is not null as says_why from sojourn.runs order by started_at"
    ) == [
        {"status": "done", "read": 1, "quarantined": 0, "says_why": False},
        {"status": failed.json["status"], "read": 3, "quarantined": 1, "says_why": True},
    ]
    assert failed.json["status"] != "done"
    assert home.rows("select run_id, line, raw from sojourn.quarantine") == [
        {"run_id": failed.json["run_id"], "line": 2, "raw": "broken"}
    ]
    ledger = home.run("webshop", lines(shop(4, "10:10:00")))["ledger"]
    assert ledger["accepted"] == 1
    assert home.values("select events from webshop.sessions") == [2]
    ledger = home.run("webshop", bad.read_bytes())["ledger"]
    assert (ledger["accepted"], ledger["duplicate"]) == (2, 0)


def test_10_2_a_replacement_that_fails_leaves_what_it_would_replace(home: Home) -> None:
    """Starting over is part of the run: it happens with its publication or not at all."""
    home.run("webshop", lines(shop(1, "10:00:00")))
    before = snapshot(home)
    bad = home.path("bad.jsonl", lines("broken"))
    assert home.call("run", "webshop", bad, "--mode", "replace", "--max-quarantined", "0").status == 3
    assert snapshot(home) == before
    assert home.run("webshop", lines(shop(1, "10:00:00")))["ledger"]["duplicate"] == 1


def test_10_2_every_run_stands_in_runs_with_its_ledger(home: Home) -> None:
    """One row per run; its report is what the run printed."""
    content = lines(shop(1, "10:00:00"), "", "broken", shop(2, "10:00:00", None))
    reports = [home.run("webshop", content), home.run("webshop", content), home.run("activity", content)]
    rows = home.rows("select * from sojourn.runs order by started_at")
    assert [row["run_id"] for row in rows] == [report["run_id"] for report in reports]
    assert len({row["run_id"] for row in rows}) == 3
    for row, report in zip(rows, reports, strict=True):
        ledger = report["ledger"]
        assert {key: row[key] for key in ("pipeline", "status", "read", "blank", "accepted", "duplicate")} == {
            "pipeline": report["pipeline"],
            "status": "done",
            **{key: ledger[key] for key in ("read", "blank", "accepted", "duplicate")},
        }
        assert row["dropped"] == sum(ledger["dropped"].values())
        assert row["quarantined"] == sum(ledger["quarantined"].values())
        assert json.loads(row["report"])["ledger"] == ledger
