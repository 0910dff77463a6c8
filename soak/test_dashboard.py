"""A million sessions on the dashboard: how long a person waits for each view, its pictures included."""

import os
from collections.abc import Callable

import pytest
from playwright.sync_api import Page

from sojourn.web.dashboard.pages import NAVIGATION
from tests.browser.conftest import Open
from tests.charts.publishing import REPAIRS, TRANSITIONS, fleet, projection, publish
from tests.service.live.process import serving
from tests.store.places import Place

COUNT = 1_000_000
PATIENCE = 10.0
"""Seconds that no view may take, on the busiest machine."""

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
    select 'default' as experiment, 'v' || n % 2 as variant, 'goal_' || n // 2 as goal, 500000 as users,
        500000 as sessions, 900000 as page_views, 250000 + n as goal_users, 0.5 + n / 1000 as rate,
        case when n % 2 = 1 then n / 1000 end as difference, null::double as ratio,
        case when n % 2 = 1 then n / 1000 - 0.01 end as ci_low, case when n % 2 = 1 then n / 1000 + 0.01 end as ci_high,
        0.01 as p_value, 0.02 as p_adjusted, null::varchar as warnings
    from range(12) numbers (n)"""


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Place:
    """A home that publishes a million sessions, as many events of users, and devices of two years."""
    place = Place(tmp_path_factory.mktemp("million") / "home")
    store = place.open()
    publish(store, "webshop", {"sessions": SESSIONS})
    publish(store, "activity", {"user_activity": USERS, "hourly_activity": HOURS, "transitions": TRANSITIONS})
    publish(store, "pageviews", {"sessions": SESSIONS, "experiments": EXPERIMENTS})
    devices = {"fleet_daily": fleet(730), "fleet_rolling_28d": fleet(730), "repairs": REPAIRS}
    publish(store, "devices", {**devices, "fleet_projection": projection("2026-01-01")})
    return place


def waited(page: Page, address: str) -> float:
    """The seconds from asking for *address* until the page stood there with all its pictures."""
    answer = page.goto(address)
    assert answer is not None
    assert answer.status == 200
    seconds: float = page.evaluate("performance.getEntriesByType('navigation')[0].loadEventEnd / 1000")
    return seconds


def test_every_view_of_a_million_sessions(place: Place, opened: Open, note: Callable[[str], None]) -> None:
    """Each is there soon: looked at for the first time since the run, once more, and narrowed to some weeks."""
    views = {label: path for _, label, path in NAVIGATION}
    narrow = {label: f"{path}?from=2022-05-01&to=2022-07-31" for label, path in views.items()}
    told, load = [], os.getloadavg()[0]
    with serving(place) as service:
        seen = opened(service)
        session = place.rows("select session_id from webshop.sessions limit 1")[0]["session_id"]
        for label, path in {**views, "one session": f"/sessions/{session}"}.items():
            first = waited(seen.page, seen.base + path)
            again = waited(seen.page, seen.base + path)
            asked = [waited(seen.page, seen.base + narrow[label])] if label in narrow else []
            told.append(f"{label} {' / '.join(f'{one:.2f}' for one in (first, again, *asked))}")
            print(told[-1], flush=True)
            assert max(first, again, *asked) < PATIENCE, label
        memory = service.memory()
    note(
        f"{COUNT:,} sessions in a real browser, seconds until all pictures stand there, first / again / other dates: "
        f"{', '.join(told)}; the service takes {memory / 1e6:.0f} MB "
        f"({os.cpu_count()} cores with a load of {load:.1f} before)"
    )
