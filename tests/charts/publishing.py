"""Published tables without a run: what charts read, made by SQL."""

from itertools import count
from pathlib import Path
from typing import Any

import duckdb

from sojourn.store.base import Publication, Store
from sojourn.store.embedded import Embedded
from sojourn.store.manifest import Kept

NAMES = ["1-2", "3-9", "10-99", "100-999", "1000+"]

SIZES = (
    "(values ('1-2', 900), ('3-9', 500), ('10-99', 1400), ('100-999', 250), ('1000+', 60)) sizes (fleet_size, usual)"
)

_numbers = count()
_NOTHING: dict[str, Any] = dict.fromkeys(("read", "blank", "accepted", "duplicate"), 0)


def publish(store: Store, pipeline: str, tables: dict[str, str]) -> None:
    """Publish *tables*, each the rows of its query, as *pipeline*'s only ones."""
    run_id = f"20260101T000000000000-{next(_numbers):06x}"
    ledger = {**_NOTHING, "dropped": {}, "quarantined": {}, "notes": {}}
    report = {
        "run_id": run_id, "pipeline": pipeline, "status": "done", "started_at": "2026-01-01T00:00:00Z",
        "seconds": 0.0, "ledger": ledger, "files": [], "tables": {},
    }  # fmt: skip
    with store.writing():
        snapshot = store.staging(run_id) / "snapshot.duckdb"
        with duckdb.connect(str(snapshot)) as connection:
            rows = {}
            for name, query in tables.items():
                connection.execute(f"create table {name} as {query}")
                rows[name] = connection.table(name).shape[0]
        store.publish(Publication(Kept(run_id, rows), snapshot, report))


def published(home: Path, pipeline: str, tables: dict[str, str]) -> Embedded:
    """A store under *home* that publishes *tables* of *pipeline*."""
    publish(store := Embedded(home), pipeline, tables)
    return store


def fleet(days: int, first: str = "2024-01-03", where: str = "true") -> str:
    """Rows of a fleet table, in no order: *days* from *first* on."""
    return f"""
        select date '{first}' + cast(n as integer) as day, fleet_size,
            cast(usual * (1 + n / 1000) + n % 7 as bigint) as devices, cast(10 as bigint) as users
        from range({days}) days (n), {SIZES} where {where} order by hash(n, fleet_size)"""


def projection(after: str, series: str = "daily", where: str = "true") -> str:
    """Rows of a projection: the 28 days after the day *after*."""
    return f"""
        select '{series}' as series, date '{after}' + cast(n as integer) as day, fleet_size,
            usual + n::double as devices, usual::double as lower, usual * 2.0::double as upper,
            1.5::double as error, 2.5::double as error_as_last_week
        from range(1, 29) days (n), {SIZES} where {where}"""


def hourly(hours: int, activities: int = 3) -> str:
    """Rows of `hourly_activity`; the later of the activities, `a0` to `a9`, are the rarer ones."""
    return f"""
        select strftime(timestamp '2024-02-28' + to_hours(n::int), '%Y%m%d%H') as time_bucket,
            'shop.example' as url_level1, 'p' || part as url_level2, 'a' || kind as activity,
            (20 - kind + n % 5)::bigint as activity_count, 2::bigint as user_count
        from range({hours}) hours (n), range(2) parts (part), range({activities}) kinds (kind)"""


def user_activity(hours: int) -> str:
    """Rows of `user_activity`: each hour the same two users at two places, and somebody unknown."""
    return f"""
        select user_id, timestamp '2024-02-28 00:10:00' + to_hours(n::int) as time_stamp,
            'shop.example' as url_level1, 'p' || part as url_level2, null::varchar as url_level3, 'a0' as activity
        from range({hours}) hours (n), range(2) parts (part), (values ('u1'), ('u2'), (null)) users (user_id)"""


def sessions(count: int, referrers: int = 3) -> str:
    """Rows of `sessions`, the columns that charts read: an order in every third of an actor's ten sessions."""
    return f"""
        select 'u' || (n - n % 10) as actor, (n % 10 + 1)::bigint as session_number,
            case when n % 4 = 0 then 0 else (hash(n) % 9000)::double end as duration_seconds,
            (n % 10 % 3 = 2)::bigint as orders, n % 10 % 3 = 2 as converted, n % 4 = 0 as bounced,
            timestamp '2024-02-28' + to_hours(n::int) as started_at,
            case when n % 7 > 0 then '/page-' || sqrt(n % 400)::int end as landing_page,
            case when n % 2 = 0 then null else 'r' || sqrt(n % ({referrers} * {referrers}))::int || '.example' end
                as referrer
        from range({count}) sessions (n)"""


def experiments(goals: int) -> str:
    """Rows of `experiments`, the columns that charts read: a control, a variant, and a mean beside the goals."""
    return f"""
        select 'default' as experiment, variant, 'goal_' || n as goal, 400::bigint as users,
            case when n > 0 then (20 * n)::bigint end as goal_users, n / 20 as rate,
            case when variant = 'b' then n / 50 - 0.05 end as difference,
            case when variant = 'b' then n / 50 - 0.12 end as ci_low,
            case when variant = 'b' then n / 50 + 0.03 end as ci_high,
            case when variant = 'b' then 0.2::double end as p_adjusted,
            case when n % 2 = 0 then '3 of the 900 sessions are suspect' end as warnings
        from range({goals}) goals (n), (values ('a'), ('b')) variants (variant)"""


TRANSITIONS = """
    select '/' || least(n % 13, n % 5) as from_page, '/' || n % 13 as to_page, 'a' || n % 2 as activity,
        (1 + n)::bigint as transitions, 1::bigint as users
    from range(100) steps (n)"""

REPAIRS = """
    select * from (values
        ('none', 'disconnect', 83211::bigint, 0.81::double, 120334.3::double),
        ('missing_disconnect', 'server_destroyed', 9120, 0.089, 4411.0),
        ('missing_disconnect', 'connect', 1200, 0.01, 900.2),
        ('open', null, 3, 0.00001, 0.2)
    ) repairs (rule, ended_by, intervals, share, hours)"""


def devices(days: int, **more: str) -> dict[str, str]:
    """The tables of `devices` that charts read; *more* tables, or others in their place."""
    return {"fleet_daily": fleet(days), "fleet_rolling_28d": fleet(days), "repairs": REPAIRS, **more}


def rows(spec: dict[str, Any], layer: dict[str, Any]) -> list[dict[str, Any]]:
    """The data of a layer (or panel) of a specification."""
    data: list[dict[str, Any]] = spec["datasets"][layer.get("data", spec.get("data", {}))["name"]]
    return data
