"""Presence: when each device was online, by a table of rules that repair what missing events leave open.

Times are epoch microseconds throughout; relations that are needed on the way begin with `_`.
"""

from typing import NamedTuple

import ibis
import ibis.expr.types as ir

from sojourn.pipeline import Pipeline
from sojourn.tables.events import accepted
from sojourn.tables.order import nulls_first, total_order
from sojourn.tables.spans import lasting, merged


class Rule(NamedTuple):
    """Two neighbouring events of a device -> until when it is online from the first of them on.

    *until* names the moments that may end the interval: the earliest does, of equal ones the first named.
    """

    name: str | None
    current: str
    following: str | None
    server: str | None
    until: tuple[str, ...]


RULES = (
    Rule("online_same", "online", "online", "same", ("next",)),
    Rule("online_other", "online", "online", "other", ("next", "destruction")),
    Rule("offline_same", "online", "offline", "same", ("next",)),
    Rule("offline_other", "online", "offline", "other", ("destruction", "observation")),
    Rule("last", "online", None, None, ("destruction", "observation")),
    Rule(None, "offline", "any", "any", ()),  # an offline event only ends an interval
)
"""The rules, whole (docs/semantics.md, Presence)."""

_ENDED_BY = {"destruction": "server_destroyed", "observation": "observation_end"}
_NOT_REPAIRED = {("offline_same", "offline_event"), ("last", "observation_end")}
"""Rule and end of an interval that rest on events alone."""


def servers(landed: ir.Table) -> ir.Table:
    """One row per server, whatever the order of records: `id` and the earliest known `created_at`, `destroyed_at`."""
    return landed.group_by("id").aggregate(created_at=landed.created_at.min(), destroyed_at=landed.destroyed_at.min())


def server_duplicates(parts: ir.Table) -> ir.Table:
    """How many records of each new part tell of a server that is known already, and how many of them conflict.

    *parts* are landed records of servers with `_part` and `_is_new`. Grain: one row per part with duplicates;
    columns `_part, duplicate, conflicting`. A record conflicts when it has another time than one before it.
    """
    times = [parts.created_at.asc(nulls_first=False), parts.destroyed_at.asc(nulls_first=False)]
    before = ibis.window(
        group_by=parts.id, order_by=[parts["_is_new"].asc(), *times, parts["_part"].asc()], preceding=(None, 1)
    )
    differs = [
        (time.min().over(before) != time) | (time.max().over(before) != time)
        for time in (parts.created_at, parts.destroyed_at)
    ]
    placed = parts.mutate(
        _is_duplicate=parts.id.count().over(before) > 0,
        _differs=ibis.or_(*[differ.fill_null(False) for differ in differs]),
    )
    repeats = placed.filter(placed["_is_new"] & placed["_is_duplicate"])
    return repeats.group_by("_part").aggregate(
        duplicate=repeats.count(), conflicting=repeats["_differs"].cast("int64").sum()
    )


def observation(events: ir.Table, limits: ir.Table) -> ir.Table:
    """When observation ends: one row, `ends`. *limits* holds what the person said (`until`, or null).

    Of *events* copies do not matter, here and in `observed`.
    """
    latest = events.aggregate(latest=events.occurred_at.max())
    known = latest.cross_join(limits)
    return known.select(ends=ibis.coalesce(known.until, known.latest))


def presence(events: ir.Table, known_servers: ir.Table, ends: ir.Table, pipeline: Pipeline) -> ir.Table:
    """One row per interval in which a device was online.

    Columns: device_id, user_id (of the opening event), server_id, started_at, ended_at, duration_seconds,
    rule, ended_by, repaired.
    """
    paired = _paired(events, ends, pipeline)
    online = paired.filter(paired.connected).cross_join(ends)
    known = online.left_join(known_servers, online.server_id == known_servers.id).select(
        online, destroyed_at=known_servers.destroyed_at
    )
    ruled = known.mutate(rule=ibis.cases(*[(_holds(rule, known), rule.name) for rule in RULES if rule.name]))
    return _ended(ruled)


def extended(open_intervals: ir.Table, known_servers: ir.Table, ends: ir.Table) -> ir.Table:
    """Intervals that the end of observation closed, when it has moved on and nothing else has: as `presence`."""
    known = open_intervals.left_join(known_servers, open_intervals.server_id == known_servers.id).cross_join(ends)
    return _ended(
        known.select(
            *("device_id", "user_id", "server_id", "rule", "destroyed_at", "ends"),
            occurred_at=microseconds(known.started_at),
            next_at=ibis.null("int64"),
        )
    )


def _ended(ruled: ir.Table) -> ir.Table:
    """The intervals that events open, by their `rule` and the moments that may end them."""
    moments = {"next": ruled.next_at, "destruction": ruled.destroyed_at, "observation": ruled.ends}
    named = [rule for rule in RULES if rule.name is not None]
    ended = ruled.mutate(
        ending=ibis.cases(*[(ruled.rule == rule.name, _first([moments[m] for m in rule.until])) for rule in named])
    )
    closed = ended.mutate(
        ended_by=ibis.cases(*[(ended.rule == rule.name, _ended_by(rule, ended)) for rule in named]),
        # a server that was destroyed before the event leaves an interval of no length
        ended_at=ibis.greatest(ended.occurred_at, ended.ending),
    )
    sure = [(closed.rule == rule) & (closed.ended_by == end) for rule, end in sorted(_NOT_REPAIRED)]
    return closed.select(
        device_id=closed.device_id,
        user_id=closed.user_id,
        server_id=closed.server_id,
        started_at=closed.occurred_at,
        ended_at=closed.ended_at,
        duration_seconds=(closed.ended_at - closed.occurred_at).cast("float64") / 1_000_000,
        rule=closed.rule,
        ended_by=closed.ended_by,
        repaired=~ibis.or_(*sure),
    )


def repair_counts(intervals: ir.Table) -> ir.Table:
    """How many intervals rest on which rule. Grain: rule, ended_by; columns `intervals`, `microseconds`."""
    return intervals.group_by(["rule", "ended_by"]).aggregate(
        intervals=intervals.count(), microseconds=lasting(intervals).sum().cast("int64")
    )


def repairs(counted: ir.Table) -> ir.Table:
    """How much of the answer rests on which rule. Grain: rule, ended_by; `share` is of all intervals."""
    whole = counted.intervals.sum().over(ibis.window()).cast("int64")
    return counted.select(
        "rule", "ended_by", "intervals", share=counted.intervals / whole, hours=counted.microseconds / 3_600_000_000
    )


def unknown_servers(
    parts: ir.Table, repeats: ir.Table, ranks: ir.Table, known_servers: ir.Table, pipeline: Pipeline
) -> ir.Table:
    """How many accepted records of each new part name a server that no list has: `_part, events`."""
    chosen = parts.anti_join(known_servers, parts.server_id == known_servers.id)  # few, so that the rest is quick
    known = accepted(chosen, repeats, ranks, pipeline)
    unknown = known.anti_join(known_servers, known.server_id == known_servers.id)
    return unknown.group_by("_part").aggregate(events=unknown.count())


def observed(events: ir.Table, ends: ir.Table) -> ir.Table:
    """Since when each device has been observed: `device_id`, `first_at`."""
    known = events.cross_join(ends.rename(_ends="ends"))  # a field may be called ends
    known = known.filter(known.occurred_at <= known["_ends"])
    return known.group_by("device_id").aggregate(first_at=known.occurred_at.min())


def online_time(intervals: ir.Table) -> ir.Table:
    """How long each device was online, over the union of its intervals: `device_id`, `online` (microseconds)."""
    spans = intervals.select(
        "device_id", first=microseconds(intervals.started_at), last=microseconds(intervals.ended_at)
    )
    # only an interval whose next event was ignored can reach into others: few devices have one
    lapping = intervals.filter(intervals.rule == "offline_other").select("device_id").distinct()
    union = merged(spans.semi_join(lapping, "device_id"), ["device_id"], apart=0)
    every = spans.anti_join(lapping, "device_id").union(union)
    return every.group_by("device_id").aggregate(online=(every.last - every.first).sum().cast("int64"))


@ibis.udf.scalar.builtin(name="epoch_us", signature=(("timestamp('UTC', 6)",), "int64"))
def microseconds(instant):  # type: ignore[no-untyped-def] # types by signature: Python has none for an instant
    """Epoch microseconds of an instant of a published table."""


def _paired(events: ir.Table, ends: ir.Table, pipeline: Pipeline) -> ir.Table:
    """Observed events, each with the next one of its device: `next_at, next_server, next_connected`."""
    seen = events.cross_join(ends.rename(_ends="ends"))  # a field may be called ends
    seen = seen.filter(seen.occurred_at <= seen["_ends"])
    # offline before online: within one instant a hand-over ends before it begins
    keys = dict.fromkeys(["occurred_at", "connected", "server_id", *total_order(pipeline)])
    order = nulls_first(seen, [key for key in keys if key != "device_id"])
    stream = ibis.window(group_by=seen.device_id, order_by=order)
    return seen.select(
        "device_id", "user_id", "server_id", "connected", "occurred_at",
        next_at=seen.occurred_at.lead().over(stream),
        next_server=seen.server_id.lead().over(stream),
        next_connected=seen.connected.lead().over(stream),
    )  # fmt: skip


def _holds(rule: Rule, paired: ir.Table) -> ir.Value:
    """Whether *rule* is the one for an online event and what follows it."""
    if rule.following is None:
        return paired.next_at.isnull()
    same = paired.next_server == paired.server_id
    online = paired.next_connected
    return (online if rule.following == "online" else ~online) & (same if rule.server == "same" else ~same)


def _first(moments: list[ir.Value]) -> ir.Value:
    """The first of *moments*; Spark's `least` takes no single one."""
    return ibis.least(*moments) if len(moments) > 1 else moments[0]


def _ended_by(rule: Rule, ended: ir.Table) -> ir.Value:
    """What ended an interval of *rule*: of its moments the first that is the end."""
    names = {**_ENDED_BY, "next": "next_online" if rule.following == "online" else "offline_event"}
    moments = {"next": ended.next_at, "destruction": ended.destroyed_at, "observation": ended.ends}
    return ibis.cases(*[(moments[moment] == ended.ending, names[moment]) for moment in rule.until])
