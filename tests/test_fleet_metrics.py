"""The metrics over devices: equal on DuckDB and PostgreSQL, and what was worked out by hand."""

from __future__ import annotations

from contextlib import closing
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import duckdb
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from sojourn.metrics import metric
from sojourn.store.adbc import connect
from tests import postgres
from tests.laws.effort import EFFORT, each, examples

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from sojourn.store.adbc import Session

    Rows = list[dict[str, Any]]
    Ask = Callable[..., Rows]

TABLES = {
    "presence": "device_id bigint, user_id bigint, server_id bigint, started_at INSTANT, ended_at INSTANT, "
    "duration_seconds double precision, rule text, ended_by text, repaired boolean",
    "fleet_daily": "day date, fleet_size text, devices bigint, users bigint",
    "fleet_rolling_28d": "day date, fleet_size text, devices bigint, users bigint",
    "device_uptime": "device_id bigint, fleet_size text, observed_seconds double precision, "
    "online_seconds double precision, uptime double precision",
    "fleet_projection": "series text, day date, fleet_size text, devices double precision, lower double precision, "
    "upper double precision, error double precision, error_as_last_week double precision",
}
"""What the devices pipeline publishes, as far as metrics read it; instants have a type of their own in each store."""

MONDAY = datetime(2024, 1, 1, tzinfo=UTC)
HOUR = timedelta(hours=1)
WEEK = timedelta(weeks=1)
TICK = timedelta(microseconds=1)


@pytest.fixture(scope="module")
def session() -> Iterator[Session]:
    """PostgreSQL with the tables, and a zone in which a week begins hours after it does in UTC."""
    with postgres.running() as server:
        url = server.database()
        postgres.execute(url, f"alter role {postgres.name_of(url)} set timezone to 'America/Los_Angeles'")
        with connect(url) as opened:
            for name, columns in TABLES.items():
                opened.execute(f"create table {name} ({columns.replace('INSTANT', 'timestamptz')})")
            yield opened


@pytest.fixture(scope="module")
def engine() -> Iterator[duckdb.DuckDBPyConnection]:
    """DuckDB with the tables."""
    with closing(duckdb.connect()) as opened:
        for name, columns in TABLES.items():
            opened.execute(f"create table {name} ({columns.replace('INSTANT', 'timestamp')})")
        yield opened


@pytest.fixture(scope="module")
def ask(session: Session, engine: duckdb.DuckDBPyConnection) -> Ask:
    """A function that gives a metric's rows over some tables, having seen that both engines agree."""

    def rows(name: str, **tables: Rows) -> Rows:
        sql = metric(name).sql
        assert set(metric(name).tables) == tables.keys()
        for table, content in tables.items():
            session.execute(f"delete from {table}")
            engine.execute(f"delete from {table}")
            if content:
                session.execute(insertion(table, content, "timestamptz '{:%F %T.%f}+00'"))
                engine.execute(insertion(table, content, "timestamp '{:%F %T.%f}'"))
        here: Rows = engine.sql(sql).to_arrow_table().to_pylist()
        assert here == session.rows(sql)
        return here

    return rows


def insertion(table: str, rows: Rows, instant: str) -> str:
    """The statement that adds *rows*."""

    def literal(value: object) -> str:
        if isinstance(value, datetime):
            return instant.format(value)
        if isinstance(value, date):
            return f"date '{value}'"
        return "null" if value is None else repr(value)

    values = ", ".join(f"({', '.join(literal(value) for value in row.values())})" for row in rows)
    return f"insert into {table} ({', '.join(rows[0])}) values {values}"


def interval(device: int, start: datetime, end: datetime, user: int | None = None) -> dict[str, Any]:
    """A row of `presence`, as far as churn reads it; a device is its own user unless given."""
    return {"device_id": device, "user_id": device if user is None else user, "started_at": start, "ended_at": end}


def fleet(counts: dict[str, dict[int, tuple[int, int]]]) -> Rows:
    """Rows of a fleet table: class -> day of January -> devices and users."""
    return [
        {"day": date(2024, 1, day), "fleet_size": fleet_size, "devices": devices, "users": users}
        for fleet_size, days in counts.items()
        for day, (devices, users) in days.items()
    ]


def test_fleet_tells_the_latest_day(ask: Ask) -> None:
    """Classes in the order of their numbers, each against the same class a week before."""
    daily = fleet({
        "1000+": {1: (0, 0), 2: (0, 0), 8: (0, 0), 9: (2000, 2)},
        "10-99": {1: (5, 1), 2: (30, 2), 8: (7, 1), 9: (20, 1)},
        "2-9": {1: (5, 1), 2: (8, 2), 8: (7, 1), 9: (8, 4)},
        "1": {1: (5, 5), 2: (8, 8), 8: (7, 7), 9: (6, 6)},
    })  # fmt: skip
    rolling = fleet({
        "1": {2: (10, 10), 9: (11, 11)},
        "2-9": {2: (9, 2), 9: (9, 4)},
        "100-999": {2: (0, 0), 9: (100, 1)},
    })  # fmt: skip
    names = each("fleet_size devices users devices_change devices_28d users_28d devices_28d_change day")
    day = date(2024, 1, 9)
    assert ask("fleet", fleet_daily=daily, fleet_rolling_28d=rolling) == [
        dict(zip(names, row, strict=True))
        for row in (
            ("1", 6, 6, -2, 11, 11, 1, day),
            ("2-9", 8, 4, 0, 9, 4, 0, day),
            ("10-99", 20, 1, -10, 0, 0, 0, day),
            ("100-999", 0, 0, 0, 100, 1, 100, day),
            ("1000+", 2000, 2, 2000, 0, 0, 0, day),
        )
    ]


def test_a_young_fleet_has_no_change(ask: Ask) -> None:
    """The day a week before would lie before the table; no table, no rows."""
    young = fleet({"1+": dict.fromkeys(range(1, 8), (4, 2))})
    (row,) = ask("fleet", fleet_daily=young, fleet_rolling_28d=young)
    assert (row["devices"], row["devices_change"], row["devices_28d_change"]) == (4, None, None)
    assert ask("fleet", fleet_daily=[], fleet_rolling_28d=[]) == []


def test_uptime_by_class(ask: Ask) -> None:
    """The median and the fifth percentile lie between devices where none is exactly there; no class, no row."""
    shares = {"10-99": [0.0, 1.0], "1-9": [0.25 * step for step in range(5)], None: [0.5]}
    rows: Rows = [{"fleet_size": name, "uptime": share} for name, uptimes in shares.items() for share in uptimes]
    assert ask("uptime", device_uptime=rows) == [
        {"fleet_size": "1-9", "devices": 5, "median_uptime": 0.5, "p5_uptime": 0.05},
        {"fleet_size": "10-99", "devices": 2, "median_uptime": 0.5, "p5_uptime": 0.05},
    ]
    assert ask("uptime", device_uptime=[]) == []


def test_fleet_projection_in_order(ask: Ask) -> None:
    """By series, by class, by day."""
    places = [
        (series, size, date(2024, 1, day))
        for series in ("daily", "rolling_28d")
        for size in ("3-9", "10-99")
        for day in (1, 2)
    ]
    numbers = {"devices": 2.5, "lower": 1.0, "upper": 4.0, "error": 0.5, "error_as_last_week": 0.75}
    rows: Rows = [{"series": series, "fleet_size": size, "day": day, **numbers} for series, size, day in places]
    assert ask("fleet_projection", fleet_projection=rows[::-1]) == rows


def test_churn_by_hand(ask: Ask) -> None:
    """Stays of several intervals, a gap of a week, a week that nobody is online, a user with two devices."""
    rows = [
        interval(1, MONDAY, MONDAY + WEEK + HOUR, user=7),  # weeks 0 and 1
        interval(1, MONDAY + 2 * WEEK, MONDAY + 2 * WEEK + HOUR, user=7),  # and on in week 2
        interval(2, MONDAY + HOUR, MONDAY + 2 * HOUR, user=7),  # week 0
        interval(2, MONDAY + 2 * WEEK - HOUR, MONDAY + 2 * WEEK, user=7),  # week 1: it ends as week 2 begins
        interval(3, MONDAY + WEEK, MONDAY + WEEK, user=8),  # week 1: no length, but there
        interval(3, MONDAY + 4 * WEEK - TICK, MONDAY + 4 * WEEK + TICK, user=8),  # weeks 3 and 4
        interval(4, MONDAY + 6 * WEEK, MONDAY + 6 * WEEK + HOUR, user=9),  # week 6; nobody in week 5
    ]
    names = ("devices", "devices_came", "devices_went", "users", "users_came", "users_went")
    expected = [
        (2, 2, 0, 1, 1, 0),
        (3, 1, 0, 2, 1, 0),
        (1, 0, 2, 1, 0, 1),
        (1, 1, 1, 1, 1, 1),
        (1, 0, 0, 1, 0, 0),
        (0, 0, 1, 0, 0, 1),
        (1, 1, 0, 1, 1, 0),
    ]
    assert ask("churn", presence=rows) == [
        {"week": (MONDAY + number * WEEK).date(), **dict(zip(names, row, strict=True))}
        for number, row in enumerate(expected)
    ]
    assert ask("churn", presence=[]) == []


halves = st.builds(lambda half, ticks: 12 * half * HOUR + ticks * TICK, st.integers(0, 60), st.integers(-1, 1))
lengths = st.builds(lambda half, ticks: 12 * half * HOUR + ticks * TICK, st.integers(0, 40), st.integers(0, 1))
intervals = st.builds(
    lambda device, start, length, user: interval(device, MONDAY + start, MONDAY + start + length, user),
    st.integers(1, 4), halves, st.just(timedelta()) | lengths, st.sampled_from([None, 1, 2]),
)  # fmt: skip


@given(rows=st.lists(intervals, min_size=1, max_size=12))
@example(rows=[interval(1, datetime(1960, 2, 29, tzinfo=UTC), datetime(1960, 3, 7, tzinfo=UTC))])
@settings(examples(60), deadline=None, derandomize=EFFORT == 1)
def test_churn_is_what_weeks_one_by_one_give(ask: Ask, rows: Rows) -> None:
    """Random intervals, many of them ending or beginning about a Monday, against who is online in each week."""
    assert ask("churn", presence=rows) == churn_week_by_week(rows)


def churn_week_by_week(rows: Rows) -> Rows:
    """The same from the definition: the members of each week, and those of the week before."""
    first = week_of(min(row["started_at"] for row in rows))
    weeks = [first]
    while any(touches(row, weeks[-1] + WEEK) or row["started_at"] >= weeks[-1] + WEEK for row in rows):
        weeks.append(weeks[-1] + WEEK)
    found: Rows = []
    for before, week in pairwise([first - WEEK, *weeks]):
        entry: dict[str, Any] = {"week": week.date()}
        for name in ("device", "user"):
            then, now = ({row[f"{name}_id"] for row in rows if touches(row, start)} for start in (before, week))
            entry |= {f"{name}s": len(now), f"{name}s_came": len(now - then), f"{name}s_went": len(then - now)}
        found.append(entry)
    return found


def week_of(instant: datetime) -> datetime:
    """The Monday that begins an instant's week."""
    midnight = instant.replace(hour=0, minute=0, second=0, microsecond=0)
    return midnight - timedelta(days=midnight.weekday())


def touches(row: dict[str, Any], week: datetime) -> bool:
    """Whether an interval touches the week that begins at *week*."""
    start, end = row["started_at"], row["ended_at"]
    return bool(start < week + WEEK and (end > week or start == end == week))


def test_a_device_without_a_user_is_a_device(ask: Ask) -> None:
    """It counts among devices, and among no users."""
    (row,) = ask("churn", presence=[{**interval(1, MONDAY, MONDAY + HOUR), "user_id": None}])
    assert (row["devices"], row["users"]) == (1, 0)
