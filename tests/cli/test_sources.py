"""Pipelines with several sources, the formats of their files, and `--until`: the ready pipeline of devices."""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.command import Home, lines, shop, sojourn

EVENTS = [
    "2024-05-01 10:00:00,1,7,1,true",
    "2024-05-01T11:30:00.250,1,7,1,False",
    "2024-05-02 09:00:00,2,7,2,t",
    "2024-05-03 09:00:00,2,7,2,0",
]
SERVERS = ["1,2024-01-01 00:00:00,", "2,2024-01-01 00:00:00,2024-06-01 00:00:00"]
PRESENCE = [
    {"device_id": 1, "started_at": "2024-05-01T10:00:00.000000Z", "ended_at": "2024-05-01T11:30:00.250000Z"},
    {"device_id": 2, "started_at": "2024-05-02T09:00:00.000000Z", "ended_at": "2024-05-03T09:00:00.000000Z"},
]
QUERY = "select device_id, started_at, ended_at from devices.presence order by 1, 2"


def sources(home: Home, events: list[str] | None = None, servers: list[str] | None = None) -> list[str]:
    """The two SOURCE arguments, of files with these lines."""
    return [
        f"events={home.path('events.csv', lines(*(EVENTS if events is None else events)))}",
        f"servers={home.path('servers.csv', lines(*(SERVERS if servers is None else servers)))}",
    ]


def test_each_source_is_named(home: Home) -> None:
    """Both are read under their names, and each file's ledger says which source it is."""
    done = home.call("run", "devices", *sources(home), "--json").json
    assert [(entry["source"], entry["read"]) for entry in done["files"]] == [("events", 4), ("servers", 2)]
    assert done["ledger"]["accepted"] == 6
    assert home.rows(QUERY) == PRESENCE


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["events.csv", "servers.csv"], "devices reads events and servers"),
        (["event=events.csv"], "has no source 'event', did you mean 'events'?"),
        (["events=-", "servers=-"], "standard input can be one source only"),
        (["events=nowhere.csv"], "there is no file nowhere.csv"),
        (["events=events.csv", "--until", "2024-05-01"], "'2024-05-01' is no date and time"),
        (["events=events.csv", "events=events.jsonl"], "several formats (csv, jsonl)"),
    ],
)
def test_mistakes_with_sources(home: Home, words: list[str], said: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """One sentence that says what would work."""
    monkeypatch.chdir(home.folder)
    sources(home)
    home.path("events.jsonl", b"{}\n")
    done = home.call("run", "devices", *words)
    assert (done.status, done.err.count("\n")) == (2, 1)
    assert said in done.err


def test_until_belongs_to_devices(home: Home) -> None:
    """A pipeline without presence has no end of observation."""
    path = home.path("x.jsonl", lines(shop(1, "10:00:00")))
    done = home.call("run", "webshop", path, "--until", "2024-05-01T00:00:00")
    assert (done.status, "publishes no presence" in done.err) == (2, True)


def test_until_ends_the_observation(home: Home) -> None:
    """Later events are dropped; what is still open then ends; a later run without it accepts them."""
    given = sources(home)
    done = home.call("run", "devices", *given, "--until", "2024-05-02T21:00:00Z", "--json").json
    assert (done["ledger"]["dropped"], done["ledger"]["accepted"]) == ({"after_until": 1}, 5)
    assert home.rows(QUERY)[1]["ended_at"] == "2024-05-02T21:00:00.000000Z"
    again = home.call("run", "devices", *given, "--json").json["ledger"]
    assert (again["accepted"], again["duplicate"], again["dropped"]) == (1, 5, {})
    assert home.rows(QUERY) == PRESENCE
    early = home.call("run", "devices", *given, "--until", "2024-05-02T21:00:00", "--json").json["ledger"]
    assert early["dropped"] == {"after_until": 1}
    assert home.rows(QUERY)[1]["ended_at"] == "2024-05-02T21:00:00.000000Z"


@pytest.mark.parametrize("form", ["plain", "header", "mixed header", "tsv", "jsonl", "parquet"])
def test_any_format_gives_the_same(home: Home, form: str) -> None:
    """With or without a header line, its columns in any order and case; JSON lines and Parquet, by the file's name."""
    rows = [dict(zip(NAMES, line.split(","), strict=True)) for line in EVENTS]
    typed = [
        {
            "timestamp": row["timestamp"],
            **{name: int(row[name]) for name in NAMES[1:4]},
            "connected": row["connected"] in ("true", "t"),
        }
        for row in rows
    ]
    if form == "jsonl":
        path = home.path("e.jsonl", lines(*map(json.dumps, typed)))
    elif form == "tsv":
        path = home.path("e.tsv", lines(*(line.replace(",", "\t") for line in EVENTS)))
    elif form == "parquet":
        path = home.folder / "e.parquet"
        pq.write_table(pa.Table.from_pylist(typed), path)
    else:
        names = NAMES if form == "header" else ["CONNECTED", "Note", *NAMES[3::-1]]
        head = [] if form == "plain" else [",".join(names)]
        body = [",".join(row.get(name.lower(), "x") for name in names) for row in rows] if head else EVENTS
        path = home.path("e.csv", lines(*head, *body))
    done = home.call("run", "devices", f"events={path}", sources(home)[1], "--json").json
    assert (done["ledger"]["quarantined"], done["files"][0]["accepted"]) == ({}, 4)
    assert home.rows(QUERY) == PRESENCE


NAMES = ["timestamp", "device_id", "user_id", "server_id", "connected"]


def test_servers_may_come_later(home: Home) -> None:
    """A run with servers alone tells of a destruction; intervals that it ends are cut."""
    events = ["2024-05-01 10:00:00,1,7,1,true", "2024-05-09 10:00:00,2,7,2,true"]
    first = home.call("run", "devices", *sources(home, events, ["2,2024-01-01 00:00:00,"]), "--json").json["ledger"]
    assert first["notes"] == {"unknown_server": 1}
    destroyed = "1,2024-01-01 00:00:00,2024-05-03 00:00:00"
    later = home.call("run", "devices", sources(home, [], [destroyed])[1], "--json").json
    assert (later["ledger"]["accepted"], [entry["source"] for entry in later["files"]]) == (1, ["servers"])
    [ended, _] = home.rows("select ended_at, ended_by from devices.presence order by device_id")
    assert ended == {"ended_at": "2024-05-03T00:00:00.000000Z", "ended_by": "server_destroyed"}


def test_exports_among_the_sources_are_no_records(home: Home) -> None:
    """`--out` into the folder that is read: its files are results of ours."""
    folder = home.path("data/x.jsonl", lines(shop(1, "10:00:00"), "broken")).parent
    for _ in range(2):
        done = home.call("run", "webshop", folder, "--out", folder, "--json").json
        assert (len(done["files"]), done["ledger"]["read"]) == (1, 2)
    assert (folder / "quarantine.jsonl").read_bytes()


def test_charts_are_drawn_with_a_run(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    """`--chart` draws what the pipeline's tables allow, into `--out`, and says where."""
    monkeypatch.chdir(home.folder)
    done = home.call("run", "devices", *sources(home), "--out", "pictures", "--chart", "--json")
    names = ["fleet_daily", "fleet_rolling_28d", "repairs"]
    assert done.json["charts"] == [str(Path("pictures", f"{name}.png")) for name in names]
    for name in names:
        assert Path("pictures", f"{name}.png").read_bytes().startswith(b"\x89PNG")
    told = home.call("run", "devices", *sources(home), "--chart")
    assert "chart: fleet_daily.png" in told.out
    view = json.dumps({"sessionId": "s", "timestamp": "2024-05-01 10:00:00", "url": "/a"})
    views = home.call("run", "pageviews", home.path("x.jsonl", lines(view)), "--chart", "--json").json
    of_sessions = ["session_durations", "sessions_over_time", "session_lengths", "landing_pages"]
    assert views["charts"] == [f"{name}.png" for name in ("hourly_activity", *of_sessions, "experiments")]


@pytest.mark.parametrize("years", [("9990", "9999"), ("0001", "0010")])
def test_clocks_at_both_ends_of_the_calendar(home: Home, years: tuple[str, str]) -> None:
    """Devices with broken clocks, up to the last instant there is: the run ends, and all is told."""
    first, last = years
    events = [f"{first}-01-01 00:00:00,1,7,1,true", f"{last}-12-31 23:59:59.999999,2,7,1,true"]
    done = home.call("run", "devices", *sources(home, events, []), "--json").json
    assert (done["ledger"]["accepted"], done["tables"]["presence"]) == (2, 2)
    assert done["tables"]["fleet_projection"] == (0 if last == "9999" else 56)  # no day follows the last one
    assert done["tables"]["fleet_daily"] == 3652
    assert home.rows("select devices from devices.fleet_rolling_28d order by day desc limit 1") == [{"devices": 2}]


def test_a_json_schema_judges_json_alone(home: Home) -> None:
    """A file of another format is refused, and not read without the schema."""
    home.path("schema.json", b'{"type": "object"}')
    text = '[source.events]\nschema = "schema.json"\n[source.events.fields]\noccurred_at = "at"\nactor = "who"\n'
    path = home.path("mine.toml", text + '[sessions]\nrule = "gap"\n')
    done = sojourn("check", path, home.path("x.csv", b"at,who\n2024-05-01 10:00:00,a\n"))
    assert (done.status, "judges JSON lines, not csv" in done.err) == (2, True)


@pytest.mark.parametrize("words", [["metrics", "fleet"], ["chart", "fleet_daily"]])
def test_what_to_begin_with_names_both_sources(home: Home, words: list[str]) -> None:
    """The command that it tells is one that works."""
    done = home.call(*words)
    assert (done.status, "sojourn run devices events=FILE servers=FILE" in done.err) == (1, True)
