"""Sessions by gap and by key (section 4): groups of events, and one row per group."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

from tests.reference.ledger import is_anonymous
from tests.reference.pipelines import in_order
from tests.reference.records import Event
from tests.reference.urls import host, page

if TYPE_CHECKING:
    from tests.reference.pipelines import Pipeline

Row = dict[str, Any]
Group = list[Event]  # the events of one session, in the total order


def time_of(event: Event) -> int:
    """Its occurred_at, epoch microseconds."""
    instant = event["occurred_at"]
    assert isinstance(instant, int)
    return instant


def text_of(event: Event, name: str) -> str | None:
    """A field's value as text; null, and what the source does not have, is null."""
    value = event.get(name)
    return None if value is None else str(value)


def is_named(event: Event, name: str) -> bool:
    """Whether the event bears the name, in any case of the ASCII letters."""
    return (text_of(event, "name") or "").encode().lower() == name.encode().lower()


def is_page_view(event: Event, pipeline: Pipeline) -> bool:
    """Named page_view, or any event of a source without names (semantics 4.6)."""
    return not pipeline.has_field("name") or is_named(event, "page_view")


def groups_by_gap(events: list[Event], pipeline: Pipeline) -> list[Group]:
    """An actor's events while no pause is longer than the gap; without an actor: in no session."""
    by_actor: dict[object, list[Group]] = {}
    for event in in_order(events, pipeline):
        if is_anonymous(event):
            continue
        groups = by_actor.setdefault(event["actor"], [])
        if groups and time_of(event) - time_of(groups[-1][-1]) <= pipeline.gap:
            groups[-1].append(event)
        else:
            groups.append([event])
    return [group for groups in by_actor.values() for group in groups]


def groups_by_key(events: list[Event], pipeline: Pipeline) -> list[Group]:
    """All events that name one session; only an event without any key is in none."""
    by_key: dict[object, Group] = {}
    for event in in_order(events, pipeline):
        if event.get("session_key") is not None:
            by_key.setdefault(event["session_key"], []).append(event)
    return list(by_key.values())


def sessions_by_gap(events: list[Event], pipeline: Pipeline) -> list[Row]:
    """One row per session; its id is made of pipeline, actor, start and the first event's id."""
    rows = []
    for group in groups_by_gap(events, pipeline):
        first = group[0]
        parts = [pipeline.name, str(first["actor"]), str(time_of(first)), text_of(first, "event_id") or ""]
        session = _session(group, pipeline)
        rows.append({"session_id": _md5(parts), **session, "suspect": _is_hasty(group, pipeline)})
    return _numbered(rows)


def sessions_by_key(events: list[Event], pipeline: Pipeline) -> list[Row]:
    """One row per session; its id is made of pipeline and key."""
    rows = []
    for group in groups_by_key(events, pipeline):
        parts = [pipeline.name, str(group[0]["session_key"])]
        session = _session(group, pipeline)
        rows.append({"session_id": _md5(parts), **session, "suspect": _is_hasty(group, pipeline)})
    _, most, within = pipeline.suspect
    for row in rows:
        for other in rows:  # a span of time that begins with another of the actor's sessions
            begins = other["started_at"]
            mates = [mate for mate in rows if mate["actor"] == row["actor"] not in (None, "")]
            together = [mate for mate in mates if begins <= mate["started_at"] <= begins + within]
            row["suspect"] |= row in together and len(together) > most
    return _numbered(rows)


def _is_hasty(group: Group, pipeline: Pipeline) -> bool:
    """More events within the time than a person makes (semantics 4.6)."""
    most, _, within = pipeline.suspect
    times = [time_of(event) for event in group]
    return any(sum(begins <= time <= begins + within for time in times) > most for begins in times)


def _md5(parts: list[str]) -> str:
    return hashlib.md5("|".join(parts).encode("utf-8"), usedforsecurity=False).hexdigest()


def _session(group: Group, pipeline: Pipeline) -> Row:
    views = [event for event in group if is_page_view(event, pipeline)]
    orders = [event for event in group if pipeline.goal is not None and is_named(event, pipeline.goal)]
    started_at, ended_at = time_of(group[0]), time_of(group[-1])
    return {
        "actor": None if is_anonymous(group[0]) else group[0]["actor"],
        "session_number": None,
        "started_at": started_at,
        "ended_at": ended_at,
        "duration_seconds": (ended_at - started_at) / 1_000_000,
        "events": len(group),
        "page_views": len(views),
        "orders": len(orders),
        "converted": len(orders) > 0,
        "bounced": len(views) == 1,
        "referrer": _referrer(group, pipeline),
        "landing_page": page(text_of(views[0], "url")) if views else None,
        "exit_page": page(text_of(views[-1], "url")) if views else None,
    }


def _referrer(group: Group, pipeline: Pipeline) -> str | None:
    """Host of the first external referrer; one without a host is not external."""
    own_hosts = {host(name) or host("//" + name) for name in pipeline.own_hosts}
    for event in group:
        from_host = host(text_of(event, "referrer"))
        page_host = host(text_of(event, "url"))
        if from_host is None:
            continue
        if page_host is not None and from_host != page_host:
            return from_host
        if page_host is None and from_host not in own_hosts:
            return from_host
    return None


def _numbered(rows: list[Row]) -> list[Row]:
    """Each actor's sessions counted from 1 by start, ties by session_id; no actor, no number."""
    rows = sorted(rows, key=lambda row: (row["started_at"], row["session_id"]))
    counts: dict[object, int] = {}
    for row in rows:
        if row["actor"] not in (None, ""):
            counts[row["actor"]] = counts.get(row["actor"], 0) + 1
            row["session_number"] = counts[row["actor"]]
    return rows
