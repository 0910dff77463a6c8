"""The real files give the facts that are known of them."""

import json
import re
from collections import Counter
from datetime import datetime
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from tests.command import Home

CLEAN: dict[str, Any] = {"blank": 0, "duplicate": 0, "dropped": {}, "quarantined": {}, "notes": {}}


@pytest.fixture(scope="module")
def events(real: Path) -> list[dict[str, Any]]:
    """The website's events, as the standard library reads them."""
    return [json.loads(line) for line in (real / "etl" / "source_event_data.json").read_text().splitlines()]


@pytest.fixture(scope="module")
def views(real: Path) -> list[dict[str, Any]]:
    """The page views, as the standard library reads them."""
    return [json.loads(line) for line in (real / "pageviews" / "logs.txt").read_text().splitlines()]


@pytest.fixture(scope="module")
def activity(home: Home, real: Path) -> dict[str, Any]:
    """The report of a run over the website's events, exported as well."""
    path = real / "etl" / "source_event_data.json"
    report: dict[str, Any] = home.process("run", "activity", path, "--out", home.folder / "activity", "--json").json
    return report


@pytest.fixture(scope="module")
def pageviews(home: Home, real: Path) -> dict[str, Any]:
    """The report of a run over the page views."""
    report: dict[str, Any] = home.process("run", "pageviews", real / "pageviews" / "logs.txt", "--json").json
    return report


def test_every_event_of_the_website_is_accepted(activity: dict[str, Any], home: Home) -> None:
    """500 lines, 500 ids, 30 users, 4 actions, none malformed."""
    assert activity["ledger"] == {"read": 500, "accepted": 500, **CLEAN}
    assert activity["tables"]["user_activity"] == 500
    assert home.rows(
        "select count(distinct user_id) as users, count(distinct activity) as actions from activity.user_activity"
    ) == [{"users": 30, "actions": 4}]
    assert home.values("select sum(activity_count) from activity.hourly_activity") == [500]


def test_the_files_own_facts(events: list[dict[str, Any]]) -> None:
    """205 lines out of time order, 5 URLs without a scheme, 117 with a query, numbers as users: what is coped with."""
    times = [datetime.strptime(f"{event['timestamp']} +0000", "%d/%m/%Y %H:%M:%S %z") for event in events]
    assert sum(time < before for before, time in pairwise(times)) == 205
    assert sum("://" not in event["url"].partition("?")[0] for event in events) == 5
    assert sum("?" in event["url"] for event in events) == 117
    assert {type(event["user"]["id"]) for event in events} == {int}


def test_user_activity_is_the_events_in_order_day_first(
    activity: dict[str, Any], events: list[dict[str, Any]], home: Home
) -> None:
    """Every timestamp as it was written, sorted by instant and id."""
    lines = (home.folder / "activity" / "user_activity.csv").read_text().splitlines()
    assert lines[0] == "user_id,time_stamp,url_level1,url_level2,url_level3,activity"
    ordered = sorted(
        events,
        key=lambda event: (
            datetime.strptime(f"{event['timestamp']} +0000", "%d/%m/%Y %H:%M:%S %z"),
            event["event_id"].encode(),
        ),
    )
    written = [tuple(line.split(",")[at] for at in (0, 1, -1)) for line in lines[1:]]
    assert written == [(str(event["user"]["id"]), event["timestamp"], event["action"]) for event in ordered]


def test_urls_without_a_scheme_have_a_host_and_no_level_holds_a_query(activity: dict[str, Any], home: Home) -> None:
    """Every row has a host; no level has a question mark."""
    levels = "select url_level1, url_level2, url_level3 from activity.user_activity"
    rows = home.rows(levels)
    assert all(row["url_level1"] and not row["url_level1"].startswith("www.") for row in rows)
    assert not any("?" in (level or "") or "://" in (level or "") for row in rows for level in row.values())


def test_hourly_activity_is_a_count_of_the_other_table(activity: dict[str, Any], home: Home) -> None:
    """Counted again from the exported rows, users exactly."""
    counts: Counter[tuple[str, ...]] = Counter()
    users: dict[tuple[str, ...], set[str]] = {}
    for line in (home.folder / "activity" / "user_activity.csv").read_text().splitlines()[1:]:
        user, stamp, level1, level2, _, action = line.split(",")
        bucket = re.sub(r"(..)/(..)/(....) (..):.*", r"\3\2\1\4", stamp)
        counts[bucket, level1, level2, action] += 1
        users.setdefault((bucket, level1, level2, action), set()).add(user)
    written = {
        tuple(row.split(",")[:4]): tuple(map(int, row.split(",")[4:]))
        for row in (home.folder / "activity" / "hourly_activity.csv").read_text().splitlines()[1:]
    }
    assert written == {key: (count, len(users[key])) for key, count in counts.items()}


def test_every_page_view_is_accepted(pageviews: dict[str, Any], views: list[dict[str, Any]], home: Home) -> None:
    """12,000 lines with `T` and with a space, 12 users, 2,098 sessions of which 2,022 have one view."""
    assert Counter(view["timestamp"][10] for view in views) == {"T": 10_000, " ": 2_000}
    assert pageviews["ledger"] == {"read": 12_000, "accepted": 12_000, **CLEAN}
    assert home.rows(
        "select count(*) as sessions, count(distinct actor) as users, sum(events)::bigint as events, "
        "sum(bounced::integer)::bigint as bounced from pageviews.sessions"
    ) == [{"sessions": 2098, "users": 12, "events": 12_000, "bounced": 2022}]


def test_two_spellings_of_a_page_are_one(pageviews: dict[str, Any], views: list[dict[str, Any]], home: Home) -> None:
    """`pro-audio` 670 times beside `/pro-audio` 1,267 times."""
    spelled = Counter(view["url"] for view in views)
    assert (spelled["pro-audio"], spelled["/pro-audio"]) == (670, 1267)
    assert home.values("select views from pageviews.pages where url = '/pro-audio'") == [670 + 1267]
    assert home.values("select sum(views) from pageviews.pages") == [12_000]
    assert home.values("select sum(entries) from pageviews.pages") == [2098]


def test_the_last_2000_views_are_sessions_of_their_own(
    pageviews: dict[str, Any], views: list[dict[str, Any]], home: Home
) -> None:
    """Fractions of a millisecond apart, and told apart."""
    last = [view["timestamp"].replace(" ", "T") for view in views[-2000:]]
    assert last == sorted(set(last))
    since = home.values(f"select started_at from pageviews.sessions where started_at >= '{last[0]}' order by 1")
    assert since == [f"{text if '.' in text else text + '.000000'}Z" for text in last]


def test_sessions_are_those_of_a_plain_count(
    pageviews: dict[str, Any], views: list[dict[str, Any]], home: Home
) -> None:
    """First and last view, and how many, of every session; and its user."""
    expected: dict[str, list[Any]] = {}
    for view in views:
        when = view["timestamp"].replace(" ", "T")
        session = expected.setdefault(view["sessionId"], [str(view["userId"]), when, when, 0])
        session[2:] = [when, session[3] + 1]
    rows = home.rows("select actor, started_at, ended_at, events from pageviews.sessions")
    found = Counter((row["actor"], row["started_at"][:-1], row["ended_at"][:-1], row["events"]) for row in rows)
    whole = (
        (user, *(text if "." in text else f"{text}.000000" for text in (first, last)), count)
        for user, first, last, count in expected.values()
    )
    assert found == Counter(whole)


def test_the_schema_that_comes_with_the_events_is_kept(real: Path, home: Home) -> None:
    """It says that `user.id` is a string; every line holds a number, which is read as text."""
    own = home.path(
        "with_schema.toml",
        f"""
        [source.events]
        schema = "{real / "etl" / "source_data_schema.json"}"
        [source.events.fields]
        event_id    = "event_id"
        name        = {{ path = "action", required = true }}
        occurred_at = {{ path = "timestamp", formats = ["%d/%m/%Y %H:%M:%S"] }}
        actor       = "user.id"
        url         = "url"
        [tables.user_activity]
        """,
    )
    done = home.process("run", own, real / "etl" / "source_event_data.json", "--json")
    assert done.json["ledger"] == {"read": 500, "accepted": 500, **CLEAN}


def test_the_experiment_is_no_finding(pageviews: dict[str, Any], views: list[dict[str, Any]], home: Home) -> None:
    """Two users against ten, of whom three made 2,000 of the sessions at once: every row that compares says so, and
    nothing is below 0.05."""
    seen = {view["userId"]: view["experiments"] for view in views}
    assert Counter(seen.values()) == {"full-screen-ads": 10, "no-ads": 2}
    assert home.values("select count(*) from pageviews.sessions where suspect") == [2000]
    rows = home.metric("experiments")
    assert {(row["variant"], row["users"], row["sessions"]) for row in rows} == {
        ("full-screen-ads", 10, 2072),
        ("no-ads", 2, 26),
    }
    compared = [row for row in rows if row["difference"] is not None]
    assert [row["variant"] for row in compared] == ["no-ads"] * 6
    assert all("small sample: 2 users against 10" in row["warnings"] for row in compared)
    assert all("2,000 of the control's 2,072 sessions are suspect" in row["warnings"] for row in compared)
    assert min(row["p_value"] for row in compared if row["p_value"] is not None) > 0.05
