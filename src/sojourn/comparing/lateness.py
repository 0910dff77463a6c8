"""Late events: those that a later run added although they had happened before the latest event that was known.

The *latest* is the latest time of an event that the earlier run kept. Of the events that the later run's kept files
have and the earlier run's have not, those with an earlier time are late, by the latest minus their own time. A copy of
a known event is no event.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sojourn.comparing import recuts
from sojourn.comparing.recuts import Spans
from sojourn.engines.duckdb import Connection, identifier, parquet, quote
from sojourn.engines.relations import number
from sojourn.pipeline import Pipeline
from sojourn.store.manifest import Kept, KeptFile

CLASSES = {
    "up_to_1_minute": 60,
    "up_to_1_hour": 3_600,
    "up_to_1_day": 86_400,
    "up_to_1_week": 604_800,
}
"""How late, in seconds at most; whatever is later is `more`."""

_MICROSECONDS = 1_000_000


@dataclass(frozen=True)
class Added:
    """What the kept files of a later run (*fresh*) have beside those of an earlier one (*old*): files of events."""

    old: Sequence[Path]
    fresh: Sequence[Path]


def added(before: Kept, after: Kept, path: Callable[[str], Path]) -> Added:
    """The files of events of two kept runs; *path* says where a kept file lies."""
    old = {file.name for file in before.files}
    return Added(
        [path(file.name) for file in before.files if _is_of_events(file)],
        [path(file.name) for file in after.files if _is_of_events(file) and file.name not in old],
    )


def report(connection: Connection, files: Added, pipeline: Pipeline, tables: Sequence[Spans]) -> dict[str, Any]:
    """Late events, how late they are, and which of the earlier *tables*' spans they cut anew.

    *connection* has the snapshots `before` and `after`.
    """
    latest = _latest(connection, files.old, pipeline)
    _keep_new(connection, files, pipeline)
    connection.execute(f"create or replace temp table _late as select * from _new where occurred_at < {latest}")
    new, late = number(connection, "select count(*) from _new"), number(connection, "select count(*) from _late")
    instant = connection.execute(f"select make_timestamp({latest}::bigint)").fetchall()[0][0]
    return {
        "new_events": new,
        "late_events": late,
        "share": late / new if new else None,
        "latest_before": instant,
        **_delays(connection, latest),
        "recut": {spans.table: _recut(connection, spans) for spans in tables},
    }


def _is_of_events(file: KeptFile) -> bool:
    return Path(file.name).name.startswith("events-") and file.rows > 0


def _latest(connection: Connection, old: Sequence[Path], pipeline: Pipeline) -> int:
    records = parquet(old)
    keys = [identifier(key) for key in pipeline.events.identity]
    if keys and "occurred_at" not in keys:  # of copies with one id the first is the event
        records = f"(select min(occurred_at) as occurred_at from {records} group by {', '.join(keys)})"
    return int(connection.execute(f"select max(occurred_at) from {records}").fetchall()[0][0])


def _keep_new(connection: Connection, files: Added, pipeline: Pipeline) -> None:
    """Make `_new`: one row for each new event, with its time and the spans it belongs to."""
    keys = [identifier(key) for key in pipeline.events.identity]
    whose = [f"{sql} as {name}" for name, sql in _whose(pipeline).items()]
    if not files.fresh:
        listed = ", ".join(["0::bigint as occurred_at", *(f"null::varchar as {name}" for name in _whose(pipeline))])
        connection.execute(f"create or replace temp table _new as select {listed} where false")
        return
    records = f"select {', '.join([*keys, 'occurred_at', *whose])} from {parquet(files.fresh)}"
    if keys:  # of copies with one id the first counts
        firsts = ", ".join(f"arg_min({name}, occurred_at) as {name}" for name in _whose(pipeline))
        listed = ", ".join([*keys, "min(occurred_at) as occurred_at", *([firsts] if firsts else [])])
        same = " and ".join(f"n.{key} is not distinct from o.{key}" for key in keys)
        records = (
            f"select n.* from (select {listed} from ({records}) group by {', '.join(keys)}) n "
            f"anti join {parquet(files.old)} o on {same}"
        )
    connection.execute(f"create or replace temp table _new as {records}")


def _whose(pipeline: Pipeline) -> dict[str, str]:
    """By the table of spans: SQL for what a span of it is known by, of an event."""
    whose = {}
    if "sessions" in pipeline.tables and pipeline.sessions is not None:
        named = f"md5({quote(f'{pipeline.name}|')} || session_key)"
        whose["of_sessions"] = {"gap": "actor::varchar", "key": named, "markers": "session_id"}[pipeline.sessions.rule]
    if "presence" in pipeline.tables:
        whose["of_presence"] = "device_id::varchar"
    return whose


def _delays(connection: Connection, latest: int) -> dict[str, Any]:
    """How late: quantiles in seconds, and counts by class."""
    seconds = f"({latest} - occurred_at) / {_MICROSECONDS}"
    names = ("p50_seconds", "p90_seconds", "p99_seconds", "max_seconds")
    quantiles, most = connection.execute(
        f"select quantile_cont({seconds}, [0.5, 0.9, 0.99]), max({seconds}) from _late"
    ).fetchall()[0]
    values = [*(quantiles or [None] * 3), most]
    counts, above = {}, -1
    for name, bound in [*CLASSES.items(), ("more", None)]:
        until = f" and {latest} - occurred_at <= {bound * _MICROSECONDS}" if bound is not None else ""
        counts[name] = number(
            connection, f"select count(*) from _late where {latest} - occurred_at > {above * _MICROSECONDS}{until}"
        )
        above = bound if bound is not None else above
    return {"delays": dict(zip(names, values, strict=True)), "by_delay": counts}


def _recut(connection: Connection, spans: Spans) -> dict[str, Any]:
    """How many spans of the earlier snapshot were cut in another way where a late event is.

    One is where a span of the later snapshot that touches it has a late event, or it has one itself.
    """
    recuts.moved(connection, spans)
    at = "make_timestamp(occurred_at)"
    name = f"of_{spans.table}"
    connection.execute(
        f"create or replace temp table _late_at as select distinct {name} as who, {at} as lo, {at} as hi from _late "
        f"where {name} is not null"
    )
    connection.execute(
        f"create or replace temp table _late_hit as {recuts.touching('_moved_after', '_late_at')} "
        "union all from _late_at"
    )
    recut = f"({recuts.touching('_moved_before', '_moved_after')})"
    count = number(connection, f"select count(*) from ({recuts.touching(recut, '_late_hit')})")
    whole = number(connection, f"select count(*) from before.{spans.table}")
    return {"before": whole, "recut": count, "share": count / whole if whole else None}
