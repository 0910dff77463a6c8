"""Cases inside one process: publishing into PostgreSQL, and the `orders` metric, beside the bare thing."""

import shutil
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import median
from typing import Any

import duckdb
from adbc_driver_postgresql import dbapi

from benchmarks.results import MB, Case, Row, answer
from benchmarks.servers import database_of_postgres
from benchmarks.setting import Setting
from sojourn import metrics
from sojourn.store.base import Publication, Store
from sojourn.store.manifest import Kept
from sojourn.store.opening import open_store

# As `sojourn run` makes them: four sessions an actor, an order in a quarter of them, up to 30 minutes long.
SESSIONS = """
create table sessions as
with numbers as (select range as i, hash(range) as h from range({rows})),
times as (
    select *, (h // 7 % 1800000000)::bigint as lasting,
           timestamp '2022-04-01' + to_microseconds((i % 4 * 86400000000 + h % 80000000000)::bigint) as began
    from numbers
)
select md5(i::varchar) as session_id, (10001 + i // 4)::varchar as actor, i % 4 + 1 as session_number,
       began as started_at, began + to_microseconds(lasting) as ended_at, lasting / 1e6 as duration_seconds,
       (1 + h % 9)::bigint as events, (h % 4)::bigint as page_views, (h % 4 = 0)::bigint as orders,
       h % 4 = 0 as converted, h % 4 = 1 as bounced,
       case when h % 2 = 0 then 'seekwell.example' end as referrer, '/boots' as landing_page,
       '/ropes/light-ropes-' || h % 9000 as exit_page
from times
"""

# What a PostgreSQL user would load with a bare ingest: the same rows, with times that carry their zone.
ROWS = """
select * replace (timezone('UTC', started_at) as started_at, timezone('UTC', ended_at) as ended_at)
from sessions
"""


def postgres(setting: Setting) -> Case:
    """Publishing a million session rows into PostgreSQL against a bare ADBC ingest of the same rows."""
    rows = setting.lines(MB)
    source = snapshot(setting, rows)
    with database_of_postgres() as url:
        store = open_store(str(setting.work / "home-postgres"), url)
        timed = _in_turns(
            {
                "store publish": lambda at: publish(store, source, rows, at),
                "bare ADBC ingest": lambda _: _ingest(url, source),
            },
            setting.rounds,
        )
    ratio = timed[0].wall / timed[1].wall
    question = f"PostgreSQL, {rows / MB:g} M session rows: publishing against a bare ADBC ingest"
    note = (
        "Publishing also replaces the tables of the run before, lists the run's files, and records it, "
        "all in one transaction."
    )
    return Case("Publishing into PostgreSQL", [answer(question, ratio, 1.5, "<=", "x the time")], timed, [note])


def orders(setting: Setting) -> Case:
    """The `orders` metric through the embedded store against its SQL in a bare DuckDB connection."""
    rows = setting.lines(MB)
    source = snapshot(setting, rows)
    store = open_store(str(setting.work / "home-embedded"), None)
    publish(store, source, rows, 0)
    sql = metrics.metric("orders").sql
    with duckdb.connect(str(source), read_only=True) as bare:
        said = bare.execute(sql).fetchall()

        def alone(_: int) -> float:
            return _seconds(lambda: bare.execute(sql).fetchall())

        def ours(_: int) -> float:
            return _seconds(lambda: metrics.evaluate("orders", store))

        timed = _in_turns({"metric": ours, "bare query": alone}, 5 * setting.rounds)
    value = metrics.evaluate("orders", store)
    assert isinstance(value, dict)
    same = "the same" if [tuple(value.values())] == said else f"**not the same**: {said}"
    note = (
        "Both in one process; the bare connection stays open, ours is opened and locked down each time. "
        f"The answers are {same}: {value}."
    )
    question = f"`orders` over {rows / MB:g} M sessions: against the bare query"
    ratio = timed[0].wall / timed[1].wall
    return Case("The orders metric", [answer(question, ratio, 2.0, "<=", "x the time")], timed, [note])


def _in_turns(contenders: dict[str, Callable[[int], float]], rounds: int) -> list[Row]:
    """Each contender's own seconds, round by round in turns."""
    seconds: dict[str, list[float]] = {name: [] for name in contenders}
    for at in range(rounds):
        for name, contender in contenders.items():
            seconds[name].append(contender(at))
    rows = [Row(name, rounds, median(walls), min(walls), max(walls)) for name, walls in seconds.items()]
    for row in rows:
        print(f"    {row.name}: {row.wall:.3f} s", flush=True)
    return rows


def snapshot(setting: Setting, rows: int) -> Path:
    """A DuckDB file as a run leaves it, with *rows* sessions."""
    path = setting.work / "sessions.duckdb"
    path.unlink(missing_ok=True)
    with duckdb.connect(str(path)) as connection:
        connection.execute(SESSIONS.format(rows=rows))
    return path


def publish(store: Store, source: Path, rows: int, at: int) -> float:
    """Publish a copy of the snapshot *source*; the seconds that `publish` itself took."""
    run_id = f"bench-{time.time_ns()}-{at}"
    ends: dict[str, Any] = {
        "read": 0,
        "blank": 0,
        "accepted": 0,
        "duplicate": 0,
        "dropped": {},
        "quarantined": {},
    }
    report = {
        "run_id": run_id, "pipeline": "webshop", "status": "done", "seconds": 0.0, "ledger": ends,
        "files": [], "tables": {"sessions": rows}, "started_at": "2022-04-01T00:00:00.000000Z",
    }  # fmt: skip
    with store.writing():
        copy = store.staging(run_id) / "snapshot.duckdb"
        shutil.copyfile(source, copy)
        publication = Publication(Kept(run_id, {"sessions": rows}), copy, report)
        return _seconds(lambda: store.publish(publication))


def _ingest(url: str, snapshot: Path) -> float:
    """Load the same rows with nothing but the driver; the seconds that it took."""
    _execute(url, ["drop schema if exists bare cascade", "create schema bare"])

    def load() -> None:
        with duckdb.connect(str(snapshot), read_only=True) as source, dbapi.connect(url) as connection:
            with connection.cursor() as cursor:
                reader = source.sql(ROWS).to_arrow_reader(100_000)
                cursor.adbc_ingest("sessions", reader, mode="create", db_schema_name="bare")
            connection.commit()

    return _seconds(load)


def _execute(url: str, statements: Sequence[str]) -> None:
    with dbapi.connect(url) as connection:
        with connection.cursor() as cursor:
            for statement in statements:
                cursor.execute(statement)
        connection.commit()


def _seconds(work: Callable[[], Any]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started
