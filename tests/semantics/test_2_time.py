"""Time."""

import json
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest

from tests.command import Home, lines, shop

ACCEPTED = {
    "2022-04-28T07:38:46.290271": "2022-04-28T07:38:46.290271Z",
    "2022-04-28 07:38:46": "2022-04-28T07:38:46.000000Z",
    "2022-04-28T07:38:46Z": "2022-04-28T07:38:46.000000Z",
    "2022-04-28 07:38:46.5Z": "2022-04-28T07:38:46.500000Z",
    "2022-04-28T07:38:46+02:00": "2022-04-28T05:38:46.000000Z",
    "2022-04-28 07:38:46.000001-05:30": "2022-04-28T13:08:46.000001Z",
    "2022-01-01T00:30:00+01:00": "2021-12-31T23:30:00.000000Z",
    "2022-04-28T07:38:46.9999999": "2022-04-28T07:38:46.999999Z",
    "2022-04-28T07:38:46.999999999Z": "2022-04-28T07:38:46.999999Z",
    "1969-12-31T23:59:59.9999995": "1969-12-31T23:59:59.999999Z",
    "2020-02-29T00:00:00": "2020-02-29T00:00:00.000000Z",
    "0001-01-01T00:00:00": "0001-01-01T00:00:00.000000Z",
    "9999-12-31T23:59:59.999999": "9999-12-31T23:59:59.999999Z",
}
REFUSED = [
    "2022-04-28",
    "2022-04-28T07:38",
    "2022-04-28T07:38:60",
    "2022-04-28T24:00:00",
    "2022-04-28T07:60:00",
    "2022-13-01T00:00:00",
    "2021-02-29T00:00:00",
    "2022-04-31T00:00:00",
    "0000-01-01T00:00:00",
    "2022-4-28T07:38:46",
    "2022-04-28T07:38:46.",
    "2022-04-28T07:38:46.1234567890",
    "2022-04-28T07:38:46+24:00",
    "2022-04-28T07:38:46+02:60",
    " 2022-04-28T07:38:46",
    "2022-04-28T07:38:46 ",
    "2022-04-28  07:38:46",
    "20220428T073846",
    "28/04/2022 07:38:46",
    "02/03/2017 07:38:46",
    "2022/04/28 07:38:46",
    "1651131526",
    "\uff12022-04-28T07:38:46",
    "now",
    "",
]
TICKS = """
[source.events]
timezone = "Europe/Berlin"

[source.events.fields]
event_id    = "id"
occurred_at = { path = "at", formats = FORMATS }
actor       = "id"

[sessions]
rule = "gap"
"""
KEYED = """
[source.events.fields]
session_key = "key"
occurred_at = "at"
rank        = { path = "rank", type = "integer" }
size        = { path = "size", type = "number" }
word        = "word"
url         = "url"

[sessions]
rule = "key"
"""


def starts(home: Home, pipeline: str) -> dict[str, str]:
    """When each actor's only session began."""
    return {row["actor"]: row["started_at"] for row in home.rows(f"select actor, started_at from {pipeline}.sessions")}


def test_2_1_iso_times_with_and_without_offset_are_utc_microseconds(home: Home) -> None:
    """`T` or space, `Z` or an offset, 0 to 9 digits, all in one file; further digits are cut off."""
    home.run("webshop", lines(*(shop(text, text, text) for text in ACCEPTED)))
    assert starts(home, "webshop") == ACCEPTED


@pytest.mark.parametrize("ending", ["", "Z"], ids=["plain", "all with Z"])
def test_2_1_a_file_of_one_kind_reads_as_a_mixed_one(home: Home, ending: str) -> None:
    """Columns of one kind of time give the instants that each time gives alone."""
    texts = [
        f"2022-04-28{between}07:38:46{fraction}{ending}" for between in "T " for fraction in ("", ".1", ".1234567")
    ]
    home.run("webshop", lines(*(shop(text, text, text) for text in texts)))
    fractions = {"": "000000", ".1": "100000", ".1234567": "123456"}
    assert starts(home, "webshop") == {
        text: f"2022-04-28T07:38:46.{fractions[text.removesuffix('Z')[19:]]}Z" for text in texts
    }


def test_2_1_what_is_no_instant_is_bad_time(home: Home) -> None:
    """A date alone, missing seconds, `:60`, `24:00`, days that do not exist, a day-month order to guess."""
    home.run("webshop", lines(*(shop(1, text) for text in REFUSED)))
    found = home.rows("select reason, path, value from sojourn.quarantine order by line")
    assert found == [{"reason": "bad_time", "path": "$.event.timestamp", "value": text} for text in REFUSED]


def test_2_1_declared_formats_are_the_only_ones(home: Home) -> None:
    """With `%d/%m/%Y` declared the day comes first and ISO text is no time; several may be declared."""
    day_first = home.path(
        "day_first.toml", TICKS.replace("FORMATS", '["%d/%m/%Y %H:%M:%S"]').replace("Europe/Berlin", "UTC")
    )
    content = lines(*(json.dumps({"id": text, "at": text}) for text in ("02/03/2017 20:22:00", "2017-03-02T20:22:00")))
    assert home.run(day_first, content)["ledger"]["quarantined"] == {"bad_time": 1}
    assert starts(home, "day_first") == {"02/03/2017 20:22:00": "2017-03-02T20:22:00.000000Z"}
    either = home.path("either.toml", day_first.read_text().replace('%S"]', '%S", "iso"]'))
    assert home.run(either, content)["ledger"]["accepted"] == 2
    assert set(starts(home, "either").values()) == {"2017-03-02T20:22:00.000000Z"}


@pytest.mark.parametrize(
    ("unit", "number"),
    [
        ("epoch_s", "1646128800.123456"),
        ("epoch_ms", "1646128800123.4569"),
        ("epoch_us", "1646128800123456.9"),
        ("epoch_ns", "1646128800123456999"),
    ],
)
def test_2_1_epoch_numbers_in_the_declared_unit(home: Home, unit: str, number: str) -> None:
    """One instant in four units; digits past the microsecond are cut off, whole numbers are exact."""
    own = home.path("ticks.toml", TICKS.replace("FORMATS", f'["{unit}"]'))
    whole = number.partition(".")[0]
    home.run(own, lines(f'{{"id": "decimals", "at": {number}}}', f'{{"id": "whole", "at": {whole}}}'))
    shown = {"epoch_s": "000000", "epoch_ms": "123000"}.get(unit, "123456")
    assert starts(home, "ticks") == {
        "decimals": "2022-03-01T10:00:00.123456Z",
        "whole": f"2022-03-01T10:00:00.{shown}Z",
    }


def test_2_1_local_times_around_a_change_of_clocks(home: Home) -> None:
    """Twice: the earlier instant. Not at all: shifted forward by the gap. An offset needs no zone."""
    own = home.path("ticks.toml", TICKS.replace("FORMATS", '["iso"]'))
    expected = {
        "2024-10-27T02:30:00": "2024-10-27T00:30:00.000000Z",
        "2024-10-27T02:30:00+01:00": "2024-10-27T01:30:00.000000Z",
        "2024-10-27T02:59:59.999999": "2024-10-27T00:59:59.999999Z",
        "2024-10-27T03:00:00": "2024-10-27T02:00:00.000000Z",
        "2024-03-31T01:59:59.999999": "2024-03-31T00:59:59.999999Z",
        "2024-03-31T02:00:00": "2024-03-31T01:00:00.000000Z",
        "2024-03-31T02:30:00": "2024-03-31T01:30:00.000000Z",
        "2024-03-31T03:00:00": "2024-03-31T01:00:00.000000Z",
        "2024-03-31T02:30:00Z": "2024-03-31T02:30:00.000000Z",
        "2024-07-01T00:00:00": "2024-06-30T22:00:00.000000Z",
    }
    home.run(own, lines(*(json.dumps({"id": text, "at": text}) for text in expected)))
    assert starts(home, "ticks") == expected


def test_2_2_order_is_nulls_first_numbers_numerically_text_by_bytes(home: Home) -> None:
    """At one instant the other fields decide, in their declared order, and not the order of arrival."""
    own = home.path("keyed.toml", KEYED)
    ordered: list[dict[str, object]] = [
        {"rank": None, "size": 7},
        {"rank": -1, "size": 7},
        {"rank": 9, "size": 7},
        {"rank": 10, "size": None, "word": "z"},
        {"rank": 10, "size": 2.5, "word": "z"},
        {"rank": 10, "size": 11, "word": None},
        {"rank": 10, "size": 11, "word": ""},
        {"rank": 10, "size": 11, "word": "Z"},
        {"rank": 10, "size": 11, "word": "Za"},
        {"rank": 10, "size": 11, "word": "a"},
        {"rank": 10, "size": 11, "word": "\u00e9"},
        {"rank": 10, "size": 11, "word": "\uff5e"},
        {"rank": 10, "size": 11, "word": "\U00010000"},
    ]
    pairs = [
        {"key": f"{at:02}", "at": "2022-03-01T10:00:00", "url": url, **record}
        for at, (first, second) in enumerate(pairwise(ordered))
        for url, record in (("/second", second), ("/first", first))
    ]
    home.run(own, lines(*map(json.dumps, pairs)))
    rows = home.rows("select landing_page, exit_page from keyed.sessions")
    assert rows == [{"landing_page": "/first", "exit_page": "/second"}] * (len(ordered) - 1)


@pytest.mark.parametrize("pipeline", ["webshop", "activity", "pageviews"])
def test_2_2_tables_do_not_depend_on_the_order_of_records(home: Home, pipeline: str) -> None:
    """The same records forwards and backwards give the same tables to the byte, session ids included."""
    users = ["a", "b", None]

    def record(at: int) -> dict[str, object]:
        time, url, user = f"1{at % 7}:00:00", f"/{at % 4}", users[at % 3]
        match pipeline:
            case "webshop":
                event = {"customer-id": user, "timestamp": f"2022-03-01T{time}", "page": url}
                kind = ("page_view", "placed_order")[at % 3 == 0]
                return {"id": at % 20, "type": kind, "event": event | {"referrer": f"//r{at % 5}.example"}}
            case "activity":
                place = {"timestamp": f"01/03/2022 {time}", "url": url, "user": {"id": user}}
                return {"event_id": str(at % 20), "action": f"a{at % 2}", **place}
            case _:
                view: dict[str, object] = {
                    "sessionId": f"k{at % 3}",
                    "timestamp": f"2022-03-01T{time}",
                    "url": url,
                    "userId": user,
                }
                return view | {"experiments": "calm" if user == "a" else "bold"}

    records = [record(at) for at in range(40)]
    written = []
    for at, given in enumerate((records, records[::-1], records[::2] + records[1::2])):
        out = home.folder / f"out{at}"
        home.run(pipeline, lines(*map(json.dumps, given)), "--mode", "replace", "--out", out)
        written.append({path.name: path.read_text() for path in out.glob("*.csv")})
    assert written[0] == written[1] == written[2]
    assert all(text.count("\n") > 1 for text in written[0].values())


def test_2_3_hours_are_calendar_slots_in_the_bucket_timezone(home: Home) -> None:
    """A Berlin day has 23 hours in spring; in autumn 25, of which two share a slot. UTC is the default."""
    own = home.path(
        "clock.toml",
        """
        bucket_timezone = "Europe/Berlin"
        [source.events.fields]
        event_id    = "at"
        occurred_at = "at"
        url         = "at"
        [tables.hourly_activity]
        """,
    )

    def hours_of(first: datetime, count: int) -> bytes:
        instants = [first + timedelta(hours=at, minutes=59, seconds=59, microseconds=999_999) for at in range(count)]
        return lines(*(f'{{"at": "{instant:%Y-%m-%dT%H:%M:%S.%fZ}"}}' for instant in instants))

    counted = (
        "select time_bucket, sum(activity_count)::bigint as events from clock.hourly_activity group by all order by all"
    )
    home.run(own, hours_of(datetime(2024, 3, 30, 23, tzinfo=UTC), 23))
    spring = [f"20240331{hour:02}" for hour in range(24) if hour != 2]
    assert home.rows(counted) == [{"time_bucket": hour, "events": 1} for hour in spring]
    home.run(own, hours_of(datetime(2024, 10, 26, 22, tzinfo=UTC), 25), "--mode", "replace")
    autumn = [{"time_bucket": f"20241027{hour:02}", "events": 1 + (hour == 2)} for hour in range(24)]
    assert home.rows(counted) == autumn


def test_2_4_an_hour_is_half_open(home: Home) -> None:
    """The instant between two hours belongs to the later one; the microsecond before it to the earlier."""
    record = '{{"url": "/", "timestamp": "2022-03-01T{}", "sessionId": "k"}}'
    times = ["10:59:59.999999", "11:00:00.000000", "11:59:59.9999999"]
    home.run("pageviews", lines(*(record.format(time) for time in times)))
    rows = home.rows("select time_bucket, activity_count from pageviews.hourly_activity order by 1")
    assert rows == [
        {"time_bucket": "2022030110", "activity_count": 1},
        {"time_bucket": "2022030111", "activity_count": 2},
    ]


def test_2_5_quantiles_interpolate(home: Home) -> None:
    """Durations of 0, 10, 20 and 40 seconds: quartiles 7.5, 15 and 25 lie between them."""
    stays = {"a": 0, "b": 10, "c": 20, "d": 40}
    both = [(who, second) for who, last in stays.items() for second in {0, last}]
    home.run("webshop", lines(*(shop(f"{who}{second}", f"10:00:{second:02}", who) for who, second in both)))
    assert home.metric("session_durations") == [
        {
            "referrer": "(direct)",
            "sessions": 4,
            "median_seconds": 15,
            "p25_seconds": 7.5,
            "p75_seconds": 25,
            "mean_seconds": 17.5,
        }
    ]
