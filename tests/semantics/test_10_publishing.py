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


def test_10_1_a_late_event_moves_what_it_touches_and_nothing_else(home: Home) -> None:
    """It joins two sessions, and numbers later ones anew; a record that wins over a kept one takes its place."""
    home.run("webshop", lines(shop(1, "10:00:00"), shop(2, "10:50:00"), shop(3, "12:00:00"), shop(4, "10:00:00", "d")))
    numbered = "select actor, session_number, events, duration_seconds from webshop.sessions order by 1, 2"
    before = [tuple(row.values()) for row in home.rows(numbered)]
    assert before == [("c", 1, 1, 0.0), ("c", 2, 1, 0.0), ("c", 3, 1, 0.0), ("d", 1, 1, 0.0)]
    home.run("webshop", lines(shop(5, "10:25:00")))
    joined = [("c", 1, 3, 3000.0), ("c", 2, 1, 0.0), ("d", 1, 1, 0.0)]
    assert [tuple(row.values()) for row in home.rows(numbered)] == joined
    ledger = home.run("webshop", lines(shop(3, "09:00:00", "d")))["ledger"]
    assert (ledger["accepted"], ledger["duplicate"], ledger["notes"]) == (0, 1, {"conflicting": 1})
    moved = [("c", 1, 3, 3000.0), ("d", 1, 1, 0.0), ("d", 2, 1, 0.0)]
    assert [tuple(row.values()) for row in home.rows(numbered)] == moved


def test_10_1_what_becomes_known_later_of_devices(home: Home) -> None:
    """A destruction that a later run tells of ends an interval of an earlier one; the end of observation moves on for
    devices of which nothing new came; an earlier event shortens what came after it."""

    def run(events: list[str], *servers: str) -> list[tuple[int, str, str]]:
        given = {"events": events, "servers": list(servers)}
        paths = [f"{name}={home.path(f'{name}.csv', lines(*rows))}" for name, rows in given.items() if rows]
        assert home.call("run", "devices", *paths).status == 0
        rows = home.rows("select device_id, ended_at, ended_by from devices.presence order by device_id, started_at")
        return [(row["device_id"], row["ended_at"][11:16], row["ended_by"]) for row in rows]

    open_ended = run(["2022-03-01 08:00:00,1,1,5,t", "2022-03-01 09:00:00,2,1,6,t"], "5,,", "6,,")
    assert open_ended == [(1, "09:00", "observation_end"), (2, "09:00", "observation_end")]
    moved_on = run(["2022-03-01 12:00:00,3,2,7,f"])
    assert moved_on == [(1, "12:00", "observation_end"), (2, "12:00", "observation_end")]
    destroyed = run(["2022-03-01 10:00:00,3,2,7,f"], "5,,2022-03-01 11:00:00")
    assert destroyed == [(1, "11:00", "server_destroyed"), (2, "12:00", "observation_end")]
    earlier = run(["2022-03-01 09:30:00,2,1,6,f", "2022-03-01 08:30:00,1,1,5,f"])
    assert earlier == [(1, "08:30", "offline_event"), (2, "09:30", "offline_event")]


def test_10_1_messages_of_a_live_session_in_any_order(home: Home) -> None:
    """An entry before the start waits for it; what comes after the end is refused, also when it came first."""
    start, end = (
        {"type": f"SESSION_{word}", "timestamp": at, "session_id": "a"} for word, at in (("START", 1), ("END", 9))
    )
    event = {"type": "EVENT", "timestamp": 5, "name": "x"}
    messages = {
        seq: json.dumps({"session_id": "a", "seq": seq, "events": [entry]})
        for seq, entry in enumerate((start, event, end, event), 1)
    }
    told = "select events, status from live.sessions"
    seen = []
    for seq in (4, 2, 1, 3):
        home.run("live", lines(messages[seq]))
        seen.append([tuple(row.values()) for row in home.rows(told)])
    assert seen == [[], [], [(2, "open")], [(1, "ended")]]
    assert [row["events"] for row in home.rows("select events from live.event_counts")] == [1]


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
