"""Activity, sessions, orders and repairs: what is shown is what the tables hold."""

from collections import Counter

import pytest

from sojourn import charts, metrics
from sojourn.charts import visits
from sojourn.store.embedded import Embedded
from tests.charts.publishing import (
    REPAIRS,
    TRANSITIONS,
    experiments,
    hourly,
    publish,
    published,
    rows,
    sessions,
    user_activity,
)


def test_events_add_up_and_users_are_distinct(home):
    """Above, events of all places by activity; below, each user once an hour, as every event is published."""
    spec = charts.specification("hourly_activity", Embedded(home))
    above, below = spec["vconcat"]
    events = rows(spec, above)
    assert len(events) == 150
    assert {
        "start": "2024-02-28T00:00:00Z",
        "end": "2024-02-28T01:00:00Z",
        "activity": "a0",
        "place": 1,
        "events": 40,
    } in events
    assert {row["users"] for row in rows(spec, below)} == {2}
    assert "unique users" in spec["title"]["subtitle"][1]
    assert above["encoding"]["color"]["scale"]["domain"] == ["a0", "a1", "a2"]


def test_users_that_can_only_be_summed_are_said_to_be_summed(home):
    """Page views publish no single events: users of places are added up, and the picture says so."""
    spec = charts.specification("hourly_activity", Embedded(home), "pageviews")
    assert {row["users"] for row in rows(spec, spec["vconcat"][1])} == {4}
    assert "summed" in spec["title"]["subtitle"][1]
    assert "unique" not in str(spec["title"])


def test_rare_activities_are_one(drawn):
    """Eight have a colour each, the most frequent first; nothing is lost."""
    spec = drawn("hourly_activity", "activity", {"hourly_activity": hourly(5, 10)})
    domain = spec["vconcat"][0]["encoding"]["color"]["scale"]["domain"]
    assert domain == [*(f"a{at}" for at in range(8)), "(other)"]
    total = Counter[str]()
    for row in rows(spec, spec["vconcat"][0]):
        total[row["activity"]] += row["events"]
    assert total["(other)"] == sum((20 - kind + n) * 2 for kind in (8, 9) for n in range(5))


@pytest.mark.parametrize(("hours", "unit", "bars"), [(300, "hour", 300), (2400, "day", 100), (87_600, "week", 522)])
def test_many_hours_are_days_or_weeks(hours, unit, bars, drawn):
    """The picture stays legible, the file small, and it says what a bar is; users of a day are counted once."""
    tables = {"hourly_activity": hourly(hours, 1), "user_activity": user_activity(hours)}
    spec = drawn("hourly_activity", "activity", tables)
    above, below = spec["vconcat"]
    assert len(rows(spec, above)) == len(rows(spec, below)) == bars
    assert {row["users"] for row in rows(spec, below)} == {2}
    assert sum(row["events"] for row in rows(spec, above)) == sum((20 + n % 5) * 2 for n in range(hours))
    assert above["encoding"]["y"]["axis"]["title"] == f"events per {unit}"
    assert (f"each bar is a {unit}" in spec["title"]["subtitle"][0]) == (unit != "hour")


def test_durations_by_referrer_add_up(drawn):
    """Eight referrers and the others, by how many sessions they led to; shares of each are whole."""
    spec = drawn("session_durations", "webshop", {"sessions": sessions(5000, 12)})
    encoding = spec["layer"][0]["encoding"]
    names = encoding["y"]["sort"]
    assert len(names) == 9
    assert names[0].startswith("(direct)\n2,500 sessions, median ")
    assert names[-1].startswith("(other)\n")
    shares: dict[str, float] = dict.fromkeys(names, 0)
    counted = 0
    for row in rows(spec, spec["layer"][0]):
        shares[row["name"]] += row["share"]
        counted += row["sessions"]
    assert counted == 5000
    assert shares == {name: pytest.approx(1, abs=1e-4) for name in names}
    assert encoding["color"]["sort"][0] == "0 s"


def test_classes_of_length_hold_their_bounds(drawn):
    """Zero is a class of its own; a bound belongs to the shorter class."""
    seconds = [0, 0.5, 60, 60.5, 300, 900, 1800, 3600, 3600.5]
    values = ", ".join(f"(null, {each}::double)" for each in seconds)
    query = f"select * from (values {values}) s (referrer, duration_seconds)"
    spec = drawn("session_durations", "webshop", {"sessions": query})
    counts = {row["length"]: row["sessions"] for row in rows(spec, spec["layer"][0])}
    assert counts == {"0 s": 1, "up to 1 min": 2, "5 min": 2, "15 min": 1, "30 min": 1, "1 h": 1, "longer": 1}


def test_visits_before_an_order_are_those_of_the_metric(home):
    """The same sessions, and the same median."""
    store = Embedded(home)
    spec = charts.specification("visits_before_order", store)
    marked = rows(spec, spec["layer"][1])[0]["median"]
    metric = metrics.evaluate("orders", store)
    assert isinstance(metric, dict)
    assert marked == metric["median_visits_before_order"]
    shown = {row["visits"]: row["purchases"] for row in rows(spec, spec["layer"][0])}
    assert shown == {3: 150}


@pytest.mark.parametrize(("counts", "median"), [([1], 1), ([1, 1], 1.5), ([5, 0, 4], 1), ([2, 1, 1], 1.5), ([1, 3], 2)])
def test_the_median_of_counts(counts, median):
    """Halfway between the two in the middle of an even number."""
    given = [{"visits": at, "purchases": count} for at, count in enumerate(counts, 1) if count]
    spec = visits.histogram("x", given)
    assert rows(spec, spec["layer"][1])[0]["median"] == median


def test_a_long_tail_of_visits_is_one_bar():
    """Nothing is cut off."""
    spec = visits.histogram("x", [{"visits": at, "purchases": 1000 // at} for at in range(1, 500)])
    bars = rows(spec, spec["layer"][0])
    assert len(bars) == 31
    assert bars[-1]["purchases"] == sum(1000 // at for at in range(31, 500))


def test_repairs_are_bars_with_their_numbers(drawn):
    """The most frequent first; what nothing ended has the rule's name alone."""
    spec = drawn("repairs", "devices", {"repairs": REPAIRS})
    bars = rows(spec, spec["layer"][0])
    assert [row["name"] for row in bars] == [
        "none, disconnect",
        "missing_disconnect, server_destroyed",
        "missing_disconnect, connect",
        "open",
    ]
    assert bars[0]["text"] == "83,211 (81.0%, 120,334 h)"


@pytest.mark.parametrize("name", charts.CHARTS)
def test_no_data_is_a_picture_that_says_so(name, tmp_path):
    """Published, but without a row."""
    full = {
        "fleet_daily": "select null::date as day, '' as fleet_size, 0 as devices",
        "repairs": REPAIRS,
        "hourly_activity": hourly(1),
        "user_activity": user_activity(1),
        "sessions": sessions(1),
        "transitions": TRANSITIONS,
        "experiments": experiments(1),
    }
    full["fleet_rolling_28d"] = full["fleet_daily"]
    tables = {table: f"from ({query}) limit 0" for table, query in full.items()}
    store = published(tmp_path / "home", charts.CHARTS[name].pipeline, tables)
    charts.draw(name, store, target := tmp_path / "x.svg")
    assert "No data yet" in target.read_text()


def test_sessions_without_orders_are_no_data(tmp_path):
    """Nobody bought: there is nothing to count."""
    publish(store := Embedded(tmp_path), "webshop", {"sessions": f"from ({sessions(90)}) where orders = 0"})
    assert charts.specification("visits_before_order", store)["datasets"] == {"nothing": [{}]}
