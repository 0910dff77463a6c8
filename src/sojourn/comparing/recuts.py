"""Sessions, and intervals of presence, that are cut in another way in one snapshot than in another.

Spans of time are known by who and when: by gap, sessions of one actor, and intervals of one device, where they touch;
sessions that have names of their own by these, whenever they are.
"""

from collections.abc import Set
from dataclasses import dataclass
from typing import Any

from sojourn.comparing.multisets import columns
from sojourn.engines.duckdb import Connection, identifier
from sojourn.engines.relations import number

COUNTS = {
    "sessions": "count(*)",
    "actors": "count(distinct actor)",
    "events": "sum(events)",
    "page_views": "sum(page_views)",
    "orders": "sum(orders)",
    "converted": "count(*) filter (converted)",
    "bounced": "count(*) filter (bounced)",
    "suspect": "count(*) filter (suspect)",
    "seconds": "sum(duration_seconds)",
}
"""What sessions add up to, where they have the column of that name (`sessions` always, `actors` the column actor)."""


@dataclass(frozen=True)
class Spans:
    """A published *table* of spans: *who* they are of, and what else tells two with the same bounds apart."""

    table: str
    who: str
    identity: tuple[str, ...]
    has_names: bool = False


PRESENCE = Spans("presence", "device_id", ("device_id", "user_id", "server_id"))


def sessions(rules: Set[str]) -> Spans:
    """Sessions as the *rules* of both sides make them: by gap they have no name that outlives a late event."""
    if rules == {"gap"}:
        return Spans("sessions", "actor", ("session_id", "actor"))
    return Spans("sessions", "session_id", ("session_id",), has_names=True)


def moved(connection: Connection, spans: Spans) -> dict[str, Any]:
    """How many spans of the snapshots `before` and `after` are the same, new, gone and cut in another way.

    Leaves the temporary tables `_moved_before` and `_moved_after` (who, lo, hi): spans without an equal.
    """
    for side, other in (("before", "after"), ("after", "before")):
        connection.execute(f"create or replace temp table _moved_{side} as {_unlike(spans, side, other)}")
    recut = {
        side: _count(connection, f"({touching(f'_moved_{side}', f'_moved_{other}')})")
        for side, other in (("before", "after"), ("after", "before"))
    }
    all_before, unlike, come = (
        _count(connection, name) for name in (f"before.{spans.table}", "_moved_before", "_moved_after")
    )
    return {
        "same": all_before - unlike,
        "new": come - recut["after"],
        "gone": unlike - recut["before"],
        "recut": recut,
    }


def touching(rows: str, others: str) -> str:
    """SQL for those of *rows* that share an instant with some of *others*, of the same `who`."""
    reach = "max(hi) over (partition by who order by lo range between unbounded preceding and current row)"
    return (
        f"select r.* from {rows} r asof join (select who, lo, {reach} as reach from {others}) o "
        "on r.who = o.who and r.hi >= o.lo where o.reach >= r.lo"
    )


def amended(connection: Connection) -> dict[str, int]:
    """Of sessions with the same id and bounds: how many have another number only, and how many differ in more."""
    left, right = (columns(connection, f"{side}.sessions") for side in ("before", "after"))
    bounds = ("session_id", "started_at", "ended_at")
    others = [
        f"b.{identifier(name)} is distinct from a.{identifier(name)}"
        for name, kind in left.items()
        if right.get(name) == kind and name not in (*bounds, "session_number", "duration_seconds")
    ]
    is_renumbered = "b.session_number is distinct from a.session_number" if "session_number" in left else "false"
    same = " and ".join(f"b.{name} is not distinct from a.{name}" for name in bounds)
    renumbered, more = connection.execute(
        "select count(*) filter (is_renumbered and not differs), count(*) filter (differs) from ("
        f"select {is_renumbered} as is_renumbered, {' or '.join(others) or 'false'} as differs "
        f"from before.sessions b join after.sessions a on {same})"
    ).fetchall()[0]
    return {"renumbered": renumbered, "amended": more}


def counts(connection: Connection) -> dict[str, dict[str, Any]]:
    """What the sessions of both sides add up to, where both have it, and how much that moved."""
    both = set(columns(connection, "before.sessions")) & set(columns(connection, "after.sessions"))
    needed = {"sessions": "session_id", "actors": "actor", "seconds": "duration_seconds"}
    known = {name: sql for name, sql in COUNTS.items() if needed.get(name, name) in both}
    before, after = (
        connection.execute(f"select {', '.join(known.values())} from {side}.sessions").fetchall()[0]
        for side in ("before", "after")
    )
    return {
        name: {"before": b or 0, "after": a or 0, "change": (a or 0) - (b or 0)}
        for name, b, a in zip(known, before, after, strict=True)
    }


def _count(connection: Connection, relation: str) -> int:
    return number(connection, f"select count(*) from {relation}")


def _unlike(spans: Spans, side: str, other: str) -> str:
    """SQL for the spans of one *side* that have no equal on the *other*: who, and the bounds `lo` and `hi`."""
    names = dict.fromkeys([*spans.identity, "started_at", "ended_at"])
    same = " and ".join(f"s.{name} is not distinct from o.{name}" for name in names)
    bounds = (
        "timestamp '-infinity' as lo, timestamp 'infinity' as hi"
        if spans.has_names
        else "s.started_at as lo, s.ended_at as hi"
    )
    return (
        f"select s.{spans.who}::varchar as who, {bounds} from {side}.{spans.table} s "
        f"anti join {other}.{spans.table} o on {same}"
    )
