"""`sojourn diff`: what moved between two kept runs, or would move by other rules, in both stores."""

import json
from pathlib import Path
from typing import Any

import pytest

from sojourn import samples
from sojourn.metrics import metrics
from tests.command import shop, sojourn, write
from tests.store.places import Place

FIRST = (
    shop(1, "09:00:00", "ann", page="/a"),
    shop(2, "09:50:00", "ann"),
    shop(3, "10:50:00", "ann"),
    shop(4, "10:00:00", "bob"),
    shop(5, "08:00:00", "cat"),
    shop(6, "11:00:00", "dan"),  # the latest
    shop(5, "18:00:00", "cat"),  # a copy that comes after the event, and is none
)
SECOND = (
    shop(7, "09:25:00", "ann"),  # late by 95 minutes: joins ann's first two sessions, her third becomes her second
    shop(8, "09:40:00", "bob", "placed_order"),  # late by 80 minutes: bob's session begins earlier
    shop(9, "10:59:30", "eve"),  # late by 30 seconds, and cuts nothing
    shop(10, "11:20:00", "dan"),  # in time: dan's session ends later
    shop(5, "08:00:00", "cat"),  # a copy, which is no event
    shop(11, "12:00:00", "fay"),
)


@pytest.fixture
def twice(place: Place, tmp_path: Path) -> list[str]:
    """The ids of two runs, the second with late events."""
    runs = [place.run("webshop", write(tmp_path / f"{at}.jsonl", *lines)) for at, lines in enumerate((FIRST, SECOND))]
    return [run["run_id"] for run in runs]


def diff(place: Place, *words: object) -> Any:
    """What `sojourn diff WORDS... --json` prints."""
    done = place.call("diff", *words, "--json")
    assert done.status == 0, done.err
    return done.json


def refused(place: Place, *words: object) -> str:
    """The one sentence with which `sojourn diff WORDS...` is refused."""
    done = place.call("diff", *words)
    assert (done.status, done.out) == (2, "")
    assert done.err.startswith("error: ")
    assert done.err.count("\n") == 1
    return done.err


def test_what_moved_between_two_runs(place: Place, twice: list[str]) -> None:
    """Rows by key, sessions by their bounds, what sessions add up to, and metrics."""
    found = diff(place, *twice)
    assert (found["pipeline"], found["is_equal"], found["rules"]) == ("webshop", False, [])
    assert [found[side] for side in ("before", "after")] == [
        {"run_id": twice[0], "events": 6},
        {"run_id": twice[1], "events": 11},
    ]
    sessions = found["tables"]["sessions"]
    # ann's first keeps its id (its first event is the same), bob's does not; ann's second is gone; eve and fay are new
    assert {name: sessions[name] for name in ("before", "after", "changed", "removed", "added")} == {
        "before": 6, "after": 7, "changed": 3, "removed": 2, "added": 3,
    }  # fmt: skip
    moved = found["sessions"]
    assert {name: moved[name] for name in ("same", "new", "gone", "recut", "renumbered", "amended")} == {
        "same": 2, "new": 2, "gone": 0, "recut": {"before": 4, "after": 3}, "renumbered": 1, "amended": 0,
    }  # fmt: skip
    assert moved["counts"]["events"] == {"before": 6, "after": 11, "change": 5}
    assert moved["counts"]["actors"] == {"before": 4, "after": 6, "change": 2}
    assert moved["counts"]["orders"] == {"before": 0, "after": 1, "change": 1}
    # ann: 50 minutes instead of none, bob: 20, dan: 20
    assert moved["counts"]["seconds"] == {"before": 0, "after": 5400, "change": 5400}
    orders = found["metrics"]["orders"]
    assert orders["moved"] == 1
    assert orders["rows"][0]["values"]["median_visits_before_order"] == {"before": None, "after": 1, "change": None}
    assert orders["rows"][0]["values"]["median_session_duration_minutes_before_order"]["after"] == 20


def test_what_came_late(place: Place, twice: list[str]) -> None:
    """Late is what happened before the latest event known; delays, and the sessions that late events cut anew."""
    late = diff(place, *twice)["late"]
    assert (late["new_events"], late["late_events"], late["share"]) == (5, 3, 0.6)
    assert late["latest_before"] == "2022-03-01T11:00:00.000000Z"
    assert late["delays"]["p50_seconds"] == 80 * 60
    assert late["delays"]["max_seconds"] == 95 * 60
    assert late["delays"]["p90_seconds"] == pytest.approx(80 * 60 + 0.8 * 15 * 60)
    assert late["by_delay"] == {
        "up_to_1_minute": 1, "up_to_1_hour": 0, "up_to_1_day": 2, "up_to_1_week": 0, "more": 0,
    }  # fmt: skip
    # two of ann's and bob's; dan's was cut anew by an event in time
    assert late["recut"] == {"sessions": {"before": 6, "recut": 3, "share": 0.5}}


def test_the_other_way_round_nothing_is_new(place: Place, twice: list[str]) -> None:
    """From the later run to the earlier one rows are removed, and no event is late."""
    found = diff(place, "current", "previous")
    assert (found["before"]["run_id"], found["after"]["run_id"]) == (twice[1], twice[0])
    assert (found["sessions"]["new"], found["sessions"]["gone"]) == (0, 2)
    assert (found["late"]["new_events"], found["late"]["share"]) == (0, None)
    assert found["late"]["recut"]["sessions"]["recut"] == 0


def test_a_run_is_equal_to_itself(place: Place, twice: list[str]) -> None:
    """Nothing moved, no example is shown."""
    found = diff(place, "webshop", twice[0], twice[0])
    assert found["is_equal"]
    assert not any(table["examples"] for table in found["tables"].values())
    assert found["sessions"]["same"] == 6
    assert not any(metric["moved"] for metric in found["metrics"].values())
    assert "every table holds the same rows" in place.call("diff", twice[0], twice[0]).out


def test_examples_show_rows_with_their_key(place: Place, twice: list[str]) -> None:
    """Of a row that changed both sides are shown, instants as text."""
    examples = diff(place, *twice)["tables"]["sessions"]["examples"]
    changed = {row["before"]["actor"]: row for row in examples if row["before"] and row["after"]}
    assert changed["dan"]["before"]["ended_at"] == "2022-03-01T11:00:00.000000Z"
    assert changed["dan"]["after"]["ended_at"] == "2022-03-01T11:20:00.000000Z"
    assert changed["dan"]["key"] == {"session_id": changed["dan"]["after"]["session_id"]}


def test_a_person_reads_sentences(place: Place, twice: list[str]) -> None:
    """What moved and what was late, in words and short tables."""
    told = " ".join(place.call("diff", "previous", "current").out.split())
    for part in (
        f"from run {twice[0]} to run {twice[1]}",
        "with the same bounds 2 2 of these with another number only 1 1 of these with other values 0 0 ",
        "cut in another way 4 3 gone 0 - new - 2 ",
        "median_visits_before_order - 1 - ",
        "half of them came within 1.3 h",
        "3 of 5 new events (60.00%) were late",
        "they cut 3 of 6 sessions (50.00%) in another way",
    ):
        assert part in told


def test_other_rules_are_supposed(place: Place, twice: list[str]) -> None:
    """A gap of 20 minutes against the 30 that are published: computed aside, and the store is as it was."""
    before = sorted((path, path.stat().st_mtime_ns) for path in place.home.rglob("*") if path.is_file())
    found = diff(place, "webshop", "--set", "sessions.gap=20m")
    assert found["rules"] == [{"rule": "sessions.gap", "before": "30m", "after": "20m"}]
    assert found["after"] == {"run_id": None, "events": 11, "set": ["sessions.gap=20m"]}
    assert found["late"] is None
    # ann's 09:00, 09:25, 09:50 fall apart; bob's and dan's pause of exactly 20 minutes stays
    assert found["sessions"]["recut"] == {"before": 1, "after": 3}
    assert (found["sessions"]["same"], found["sessions"]["renumbered"]) == (6, 1)
    assert found["tables"]["sessions"]["after"] == 9
    assert sorted((path, path.stat().st_mtime_ns) for path in place.home.rglob("*") if path.is_file()) == before
    assert place.statuses() == ["done", "done"]
    assert diff(place, twice[1], "current")["is_equal"]


def test_goals_and_tables_are_supposed(place: Place, twice: list[str]) -> None:
    """A goal is a rule; a table that is not published yet comes as a whole."""
    assert len(twice) == 2
    found = diff(place, "webshop", "--set", "sessions.goal = search", "--set", "sessions.gap=1h")
    assert [rule["rule"] for rule in found["rules"]] == ["sessions.gap", "sessions.goal"]
    assert found["sessions"]["counts"]["orders"] == {"before": 1, "after": 10, "change": 9}
    table = diff(place, "webshop", "--set", "tables.hourly_activity={}")["tables"]["hourly_activity"]
    assert (table["before"], table["added"], table["is_equal"]) == (0, table["after"], False)
    assert table["after"] > 0


def test_a_file_stands_for_its_rules(place: Place, tmp_path: Path) -> None:
    """A pipeline of one's own: what its changed file would make, before anything is published."""
    own = tmp_path / "own.toml"
    own.write_text(sojourn("pipelines", "webshop").out)
    place.run(own, write(tmp_path / "in.jsonl", *FIRST, *SECOND))
    assert diff(place, own)["is_equal"]
    own.write_text(own.read_text().replace('"30m"', '"20m"'))
    assert diff(place, own)["sessions"]["recut"] == {"before": 1, "after": 3}
    assert diff(place, "own", "--set", "sessions.gap=20m")["sessions"]["recut"] == {"before": 1, "after": 3}
    own.write_text(own.read_text().replace('"event.referrer"', '"event.ref"'))
    assert "sojourn rebuild" in refused(place, own)


@pytest.mark.parametrize(
    ("setting", "code", "said"),
    [
        ("source.events.timezone=UTC", "reading_setting", "the raw files are needed"),
        ("sesions.gap=20m", "unknown_setting", "did you mean 'sessions'?"),
        ("sessions.gpa=20m", "bad_pipeline", "did you mean 'gap'?"),
        ("sessions.gap=20 parsecs", "bad_pipeline", "is not a duration"),
        ("sessions.gap=20", "bad_pipeline", 'a number with its unit, such as "30m"'),
        ("sessions.suspect.within=10", "bad_pipeline", 'a number with its unit, such as "10s"'),
        ("sessions.rule=key", "bad_pipeline", "need the field session_key"),
        ("tables.sesions={}", "bad_pipeline", "did you mean 'sessions'?"),
        ("bucket_timezone=Mars/Olympus", "bad_pipeline", "is not a time zone"),
        ("sessions", "bad_set", "write a name and a value"),
        ("=20m", "bad_set", "write a name and a value"),
        ("sessions..gap=20m", "bad_set", "--set sessions..gap=20m"),
    ],
)
def test_what_cannot_be_supposed(embedded: Place, tmp_path: Path, setting: str, code: str, said: str) -> None:
    """Readings need the raw files; what is unknown or makes no sense is told as for a pipeline's file."""
    embedded.run("webshop", write(tmp_path / "in.jsonl", *FIRST))
    told = refused(embedded, "webshop", "--set", setting)
    assert f"[{code}]" in told
    assert said in told


def test_runs_that_cannot_be_chosen(place: Place, tmp_path: Path, twice: list[str]) -> None:
    """Each error says which runs there are."""
    source = write(tmp_path / "activity.jsonl", "{}")
    assert place.call("run", "activity", source, "--max-quarantined", 0).status == 3
    [failed] = [row["run_id"] for row in place.rows("select run_id from sojourn.runs where status <> 'done'")]
    told = refused(place, "nonsense", "current")
    assert "there is no run 'nonsense'" in told
    assert all(run in told for run in twice)
    assert "[unknown_run]" in told
    assert "published nothing (too_many_quarantined)" in refused(place, failed, "current")
    common = twice[0][:4]
    assert "[ambiguous_run]" in refused(place, common, "current")
    assert "[bad_diff]" in refused(place, twice[0])
    assert "[bad_diff]" in refused(place, *twice, "--set", "sessions.gap=20m")
    assert place.call("diff", "--set", "sessions.gap=20m").status == 0  # there is one pipeline only
    assert "[not_published]" in refused(place, "activity", *twice)
    assert "[not_published]" in refused(place, "activity", "--set", "bucket_timezone=UTC")
    place.run("live", write(tmp_path / "live.jsonl", json.dumps({"session_id": "s", "seq": 1, "events": []})))
    assert "[which_pipeline]" in refused(place, "previous", "current")
    live = place.rows("select run_id from sojourn.runs where pipeline = 'live'")[0]["run_id"]
    assert "[other_pipeline]" in refused(place, twice[0], live)
    assert "[no_previous]" in refused(place, "live", "previous", "current")


def test_a_snapshot_that_is_gone_is_told(place: Place, twice: list[str]) -> None:
    """A run that is listed and whose tables were removed by hand."""
    store = place.open()
    store.kept("webshop")
    store.snapshot_path("webshop", twice[0]).unlink()
    done = place.call("diff", *twice)
    assert done.status == 1
    assert f"the tables of the run {twice[0]} are gone" in done.err


def test_devices_are_cut_anew(place: Place, tmp_path: Path) -> None:
    """An earlier event of a device that comes later cuts its interval; that of another grew by itself."""
    servers = write(tmp_path / "servers.csv", "id,created_at,destroyed_at", "1,2024-01-01T00:00:00Z,")
    parts = [
        ["2024-05-01T10:00:00Z,1,7,1,true", "2024-05-01T12:00:00Z,1,7,1,false", "2024-05-01T11:00:00Z,2,7,1,true"],
        ["2024-05-01T11:00:00Z,1,7,1,false", "2024-05-01T13:00:00Z,3,7,1,true"],
    ]
    for at, lines in enumerate(parts):
        events = write(tmp_path / f"{at}.csv", "timestamp,device_id,user_id,server_id,connected", *lines)
        place.run("devices", f"events={events}", *([f"servers={servers}"] if not at else []))
    found = diff(place, "previous", "current")
    assert found["presence"] == {"same": 0, "new": 1, "gone": 0, "recut": {"before": 2, "after": 2}}
    assert found["sessions"] is None
    assert (found["late"]["new_events"], found["late"]["late_events"]) == (2, 1)
    assert found["late"]["delays"]["max_seconds"] == 3600
    assert found["late"]["recut"] == {"presence": {"before": 2, "recut": 1, "share": 0.5}}


def test_sessions_with_names_are_known_by_them(place: Place, tmp_path: Path) -> None:
    """By key: a late view moves the session that it names, and no other of that user at the same time."""
    views = [
        {"sessionId": name, "timestamp": f"2024-05-01T{clock}:00Z", "url": "/a", "userId": "u"}
        for name, clock in (("x", "10:00"), ("x", "11:00"), ("y", "10:30"), ("z", "10:45"), ("y", "10:10"))
    ]
    for at, part in enumerate((views[:3], views[3:])):
        place.run("pageviews", write(tmp_path / f"{at}.jsonl", *map(json.dumps, part)))
    found = diff(place, "previous", "current")
    moved = {name: found["sessions"][name] for name in ("same", "new", "gone", "recut")}
    assert moved == {"same": 1, "new": 1, "gone": 0, "recut": {"before": 1, "after": 1}}
    assert found["late"]["late_events"] == 2
    assert found["late"]["recut"] == {"sessions": {"before": 2, "recut": 1, "share": 0.5}}


@pytest.mark.parametrize("pipeline", samples.PIPELINES)
def test_every_metric_has_one_row_for_each_key(embedded: Place, tmp_path: Path, pipeline: str) -> None:
    """The columns before a metric's first number tell its rows apart; a metric is told where its tables are."""
    source = tmp_path / f"sample.{'csv' if pipeline == 'devices' else 'jsonl'}"
    samples.write(pipeline, source, lines=1500, seed=7)
    embedded.run(pipeline, *[f"{name}={path}" for name, path in samples.sources(pipeline, source).items()])
    found = diff(embedded, pipeline, "current", "current")["metrics"]
    own = {name: metric for name, metric in metrics().items() if metric.pipeline == pipeline}
    assert own.keys() <= found.keys()
    for name in own:
        value = embedded.call("metrics", name, "--json").json
        assert found[name]["before"] == found[name]["after"] == (len(value) if isinstance(value, list) else 1)
        assert found[name]["moved"] == 0
