"""Identity."""

import json
from itertools import permutations
from typing import Any

import pytest

from tests.command import Home, lines, shop

READINGS = """
[source.events]
SETTINGS

[source.events.fields]
occurred_at = "at"
actor       = "who"
size        = { path = "size", type = "number" }
is_on       = { path = "on", type = "boolean" }

[sessions]
rule = "gap"
"""


def test_3_1_of_copies_the_first_in_the_total_order_is_kept_whatever_came_first(home: Home) -> None:
    """Three copies of one id in every order: the earliest is the event, one counts accepted, two duplicate."""
    copies = [
        shop(1, "10:00:00", kind="page_view", page="/first"),
        shop(1, "10:00:00", kind="page_view", page="/second"),
        shop(1, "10:00:01", kind="page_view", page="/"),
    ]
    for order in permutations(copies):
        ledger = home.run("webshop", lines(*order), "--mode", "replace")["ledger"]
        assert (ledger["accepted"], ledger["duplicate"], ledger["notes"]) == (1, 2, {"conflicting": 2})
        rows = home.rows("select events, landing_page, started_at from webshop.sessions")
        assert rows == [{"events": 1, "landing_page": "/first", "started_at": "2022-03-01T10:00:00.000000Z"}]


def test_3_1_equal_copies_do_not_conflict(home: Home) -> None:
    """Only fields that the pipeline reads matter, and times as instants."""
    ledger = home.run(
        "webshop",
        lines(
            shop(1, "2022-03-01T10:00:00", ip="10.0.0.1"),
            shop("1", "2022-03-01 11:00:00.0000001+01:00", ip="10.0.0.2"),
            shop(1, "2022-03-01T10:00:00Z", query="x"),
        ),
    )["ledger"]
    assert (ledger["accepted"], ledger["duplicate"], ledger["notes"]) == (1, 2, {})


def test_3_1_a_later_run_that_wins_replaces_the_event_and_counts_as_duplicate(home: Home) -> None:
    """The tables hold the winner; the ledger of the later run says duplicate, and conflicting."""
    home.run("webshop", lines(shop(1, "10:00:00", "late"), shop(2, "10:00:00", "other")))
    ledger = home.run("webshop", lines(shop(1, "09:00:00", "early")))["ledger"]
    assert (ledger["accepted"], ledger["duplicate"], ledger["notes"]) == (0, 1, {"conflicting": 1})
    assert home.values("select actor from webshop.sessions order by 1") == ["early", "other"]
    ledger = home.run("webshop", lines(shop(1, "09:30:00", "middle")))["ledger"]
    assert (ledger["accepted"], ledger["duplicate"], ledger["notes"]) == (0, 1, {"conflicting": 1})
    assert home.values("select actor from webshop.sessions order by 1") == ["early", "other"]


def test_3_2_without_an_id_equal_records_are_one_event(home: Home) -> None:
    """Equal in every field that is read, after normalising; what is not read does not matter."""
    own = home.path("readings.toml", READINGS.replace("SETTINGS", ""))
    same = [
        {"at": "2022-03-01T10:00:00", "who": 7, "size": 1.5, "on": True},
        {"at": "2022-03-01T10:00:00Z", "who": "7", "size": "15e-1", "on": True, "unread": 1},
        {"on": True, "size": 1.50, "who": "7", "at": "2022-03-01 12:00:00.0000004+02:00"},
    ]
    others = [same[0] | {"size": 1.5000001}, same[0] | {"on": False}, same[0] | {"on": None}, same[0] | {"who": "07"}]
    ledger = home.run(own, lines(*map(json.dumps, same + others)))["ledger"]
    assert (ledger["accepted"], ledger["duplicate"], ledger["notes"]) == (5, 2, {})


def test_3_2_spellings_of_a_boolean_in_csv_are_one_value(home: Home) -> None:
    """`True` and `t` are equal once they are read, and so are the records that hold them."""
    own = home.path("readings.toml", READINGS.replace("SETTINGS", 'format = "csv"'))
    rows = lines("at,who,size,on", *(f"2022-03-01T10:00:00,c,1,{word}" for word in ("True", "t", "1", "F")))
    ledger = home.run(own, rows, name="rows.csv")["ledger"]
    assert (ledger["accepted"], ledger["duplicate"]) == (2, 2)


@pytest.mark.parametrize(("dedupe", "accepted", "duplicate"), [("record", 1, 2), ("off", 3, 0)])
def test_3_2_dedupe_off_keeps_all(home: Home, dedupe: str, accepted: int, duplicate: int) -> None:
    """Off, equal records are events of their own, also over several runs."""
    own = home.path("readings.toml", READINGS.replace("SETTINGS", f'dedupe = "{dedupe}"'))
    record = '{"at": "2022-03-01T10:00:00", "who": "c"}'
    ledger = home.run(own, lines(record, record, record))["ledger"]
    assert (ledger["accepted"], ledger["duplicate"]) == (accepted, duplicate)
    home.run(own, lines(record))
    assert home.values("select events from readings.sessions") == [accepted + (dedupe == "off")]


def test_3_2_page_views_default_to_record(home: Home) -> None:
    """Page views carry no id: the same view twice is one."""
    view = '{"url": "/", "timestamp": "2018-01-02T10:00:00", "sessionId": "k", "userId": 4}'
    ledger = home.run("pageviews", lines(view, view))["ledger"]
    assert (ledger["accepted"], ledger["duplicate"]) == (1, 1)


def test_3_3_reading_a_file_again_publishes_equal_tables(home: Home) -> None:
    """What was accepted is duplicate now; dropped and quarantined records end as before."""
    content = lines(shop(1, "10:00:00"), shop(2, "10:01:00"), shop(2, "10:01:00"), shop(3, "10:00:00", None), "broken")
    out = home.folder / "out"
    first = home.run("webshop", content, "--out", out)["ledger"]
    tables = {path.name: path.read_bytes() for path in out.glob("*.csv")}
    second = home.run("webshop", content, "--out", out)["ledger"]
    assert {path.name: path.read_bytes() for path in out.glob("*.csv")} == tables
    assert (first["accepted"], first["duplicate"]) == (2, 1)
    assert (second["accepted"], second["duplicate"]) == (0, 3)
    for end in ("read", "dropped", "quarantined"):
        assert second[end] == first[end]


def list_servers(home: Home, *rows: str, mode: str = "add") -> dict[str, Any]:
    """Run `devices` over servers and two events: 1 and 2 online at eight, the end of observation at sixteen."""
    events = [f"2022-03-01 08:00:00,{server},7,{server},t" for server in (1, 2)] + ["2022-03-01 16:00:00,3,7,1,f"]
    sources = [f"events={home.path('events.csv', lines(*events))}", f"servers={home.path('servers.csv', lines(*rows))}"]
    done = home.call("run", "devices", *sources, "--mode", mode, "--json")
    assert done.status == 0, done.err
    by_source = {entry["source"]: entry for entry in done.json["files"]}
    entry: dict[str, Any] = by_source["servers"]
    return entry | {"unknown": by_source["events"]["notes"].get("unknown_server", 0)}


def hours_online(home: Home) -> list[float]:
    """How long each device was online."""
    return home.values("select online_seconds / 3600 from devices.device_uptime where device_id < 3 order by device_id")


def test_3_4_rows_of_one_server_merge_whatever_came_first(home: Home) -> None:
    """The earliest time that any row tells; one row is accepted, and two that disagree with an earlier one count."""
    rows = [
        "1,2022-01-02 00:00:00,2022-03-01 12:00:00",
        "1,2022-01-01 00:00:00,2022-03-01 12:00:00",
        "1,,2022-03-01 10:00:00",
        "1,,",
    ]
    for number, order in enumerate(permutations(rows)):
        if number % 5 == 0:
            ledger = list_servers(home, *order, mode="replace")
            assert (ledger["accepted"], ledger["duplicate"], ledger["notes"]) == (1, 3, {"conflicting": 2})
            assert hours_online(home) == [2, 8]


def test_3_4_a_time_beside_none_is_no_conflict(home: Home) -> None:
    """Nor are equal rows, in any spelling, and the row of another server."""
    ledger = list_servers(
        home, "1,,", "1,2022-01-01 00:00:00,", "1,,2022-03-01 09:00:00", "1,2022-01-01T01:00:00+01:00,", "2,,"
    )
    assert (ledger["accepted"], ledger["duplicate"], ledger["notes"]) == (2, 3, {})
    assert hours_online(home) == [1, 8]


def test_3_4_a_later_run_may_add_a_destruction(home: Home) -> None:
    """And a server that was unknown; a later destruction than the known one changes nothing but counts."""
    assert list_servers(home, "1,2022-01-01 00:00:00,")["unknown"] == 1
    assert hours_online(home) == [8, 8]
    ledger = list_servers(home, "1,2022-01-01 00:00:00,2022-03-01 12:00:00", "2,,2022-03-01 09:00:00")
    assert (ledger["accepted"], ledger["duplicate"], ledger["notes"]) == (1, 1, {})
    assert hours_online(home) == [4, 1]
    ledger = list_servers(home, "1,,2022-03-01 13:00:00")
    assert (ledger["accepted"], ledger["duplicate"], ledger["notes"]) == (0, 1, {"conflicting": 1})
    assert hours_online(home) == [4, 1]
    assert list_servers(home)["read"] == 0
    assert hours_online(home) == [4, 1]
