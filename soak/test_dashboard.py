"""A million sessions on the dashboard: how long a person waits for each view, its pictures included."""

import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from sojourn.web.dashboard.views import VIEWS
from tests.browser.conftest import Open
from tests.browser.watched import Watched
from tests.charts.publishing import REPAIRS, TRANSITIONS, fleet, projection, publish
from tests.postgres import Server
from tests.service.live.process import serving
from tests.store.places import Place

COUNT = 1_000_000
SECOND = 1.0
"""What a view may take."""

WAYS = "at once after a run / first after it was looked at / again / with a filter, the slower of two"

SETTLED = 8.0
"""Seconds after which the service has looked at what a run published."""

SESSIONS = f"""
    select md5(n::varchar) as session_id, (10001 + n // 4)::varchar as actor, n % 4 + 1 as session_number,
        began as started_at, began + to_microseconds(lasting) as ended_at, lasting / 1e6 as duration_seconds,
        1 + h % 9 as events, h % 4 as page_views, (h % 4 = 0)::bigint as orders, h % 4 = 0 as converted,
        h % 4 = 1 as bounced, case when h % 3 > 0 then 'site-' || sqrt(h % 900)::int || '.example' end as referrer,
        '/page-' || sqrt(h % 250000)::int as landing_page, '/page-' || h % 9000 as exit_page
    from (
        select n::bigint as n, (hash(n) % 1000000007)::bigint as h, (hash(n) // 7 % 1800000000)::bigint as lasting,
            timestamp '2022-04-01' + to_seconds(n % 4 * 86400 + hash(n) % 31000000) as began
        from range({COUNT}) numbers (n)
    )"""
USERS = f"""
    select (hash(n) % 50000)::varchar as user_id, timestamp '2022-04-01' + to_seconds(n * 31) as time_stamp,
        'shop-' || n % 7 || '.example' as url_level1, 'p' || n % 40 as url_level2, null::varchar as url_level3,
        'a' || n % 5 as activity
    from range({COUNT}) numbers (n)"""
HOURS = f"""
    select strftime(time_stamp, '%Y%m%d%H') as time_bucket, url_level1, url_level2, activity,
        count(*) as activity_count, count(distinct user_id) as user_count
    from ({USERS}) group by all"""
EXPERIMENTS = """
    select 'default' as experiment, 'v' || n % 2 as variant, 'goal_' || n // 2 as goal, 500000::bigint as users,
        500000::bigint as sessions, 900000::bigint as page_views, 250000 + n as goal_users, 0.5 + n / 1000 as rate,
        case when n % 2 = 1 then n / 1000 end as difference, null::double as ratio,
        case when n % 2 = 1 then n / 1000 - 0.01 end as ci_low, case when n % 2 = 1 then n / 1000 + 0.01 end as ci_high,
        0.01::double as p_value, 0.02::double as p_adjusted, null::varchar as warnings
    from range(12) numbers (n)"""


DEVICES = {
    "fleet_daily": fleet(730),
    "fleet_rolling_28d": fleet(730),
    "fleet_projection": projection("2026-01-01"),
    "repairs": REPAIRS,
}
TABLES = {
    "webshop": {"sessions": SESSIONS},
    "activity": {"user_activity": USERS, "hourly_activity": HOURS, "transitions": TRANSITIONS},
    "pageviews": {"sessions": SESSIONS, "experiments": EXPERIMENTS},
    "devices": DEVICES,
}
FILTERS = {
    "webshop": ("from=2022-05-01&to=2022-07-31", "referrer=site-29.example"),
    "activity": ("from=2022-05-01&to=2022-07-31", "site=shop-3.example"),
    "devices": ("from=2024-05-01&to=2025-07-31", "fleet=10-99"),
    "pageviews": (),
}
"""What people choose of each: some weeks, and one value."""


@pytest.fixture(params=["embedded", "postgres"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    """A home that publishes a million sessions, as many events of users, and devices of two years."""
    server: Server | None = request.getfixturevalue("server") if request.param == "postgres" else None
    place = Place(tmp_path / "home", server.database() if server is not None else None)
    for pipeline, tables in TABLES.items():
        publish(place.open(), pipeline, tables)
    return place


def waited(seen: Watched, path: str) -> float:
    """The seconds from asking for *path* until the page stood there with all its pictures."""
    answer = seen.page.goto(seen.base + path)
    assert answer is not None
    assert answer.status == 200
    seconds: float = seen.page.evaluate("performance.getEntriesByType('navigation')[0].loadEventEnd / 1000")
    return seconds


def waited_in_ways(place: Place, seen: Watched, path: str, pipeline: str) -> dict[str, float]:
    """The seconds for a view in each way to come to it."""
    publish(place.open(), pipeline, TABLES[pipeline])
    found = {"at once": waited(seen, path)}
    publish(place.open(), pipeline, TABLES[pipeline])
    time.sleep(SETTLED)
    found["first"] = waited(seen, path)
    found["again"] = waited(seen, path)
    chosen = [waited(seen, f"{path}?{words}") for words in FILTERS[pipeline]]
    return found | ({"filtered": max(chosen)} if chosen else {})


def test_every_view_of_a_million_sessions(place: Place, opened: Open, note: Callable[[str], None]) -> None:
    """Each is there within a second: first after a run, once more, and filtered. PostgreSQL is measured, no more."""
    told, late, load = [], [], os.getloadavg()[0]
    with serving(place) as service:
        seen = opened(service)
        told.append(f"Sessions at once when the service began {waited(seen, '/sessions'):.2f}")
        time.sleep(SETTLED)
        for view in VIEWS.values():
            found = waited_in_ways(place, seen, f"/{view.name}", view.scope.pipeline)
            told.append(f"{view.title} {' / '.join(f'{each:.2f}' for each in found.values())}")
            late += [f"{view.title} {way}" for way, each in found.items() if each > SECOND and way != "at once"]
            print(told[-1], flush=True)
        session = place.rows("select session_id from webshop.sessions limit 1")[0]["session_id"]
        others = {"Overview": "/", "Live": "/live", "Quarantine": "/quarantine", "one session": f"/sessions/{session}"}
        told += [f"{label} {waited(seen, path):.2f}" for label, path in others.items()]
        memory = service.memory()
    note(
        f"{COUNT:,} sessions in a real browser, seconds until all pictures stand there, {WAYS}: {', '.join(told)}; "
        f"the service takes {memory / 1e6:.0f} MB ({os.cpu_count()} cores with a load of {load:.1f} before)"
    )
    assert not (late and place.url is None), late
