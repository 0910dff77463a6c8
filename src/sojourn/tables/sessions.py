"""Sessions of events, by gap or by key."""

from typing import Any

import ibis
import ibis.expr.types as ir

from sojourn.pipeline import Pipeline, Suspect
from sojourn.reading import urls
from sojourn.tables.order import (
    NO_TEXT,
    actor_text,
    first_text,
    is_named,
    is_page_view,
    last_text,
    nulls_first,
    total_order,
)
from sojourn.times import parse_duration

_EVER = (1 << 63) - 1


def sessions(events: ir.Table, pipeline: Pipeline) -> ir.Table:
    """One row per session, by the pipeline's rule.

    Columns: session_id, actor, session_number, started_at, ended_at (epoch microseconds),
    duration_seconds, events, page_views, orders (with a goal only), converted, bounced, referrer,
    landing_page, exit_page, suspect.
    """
    rule = pipeline.sessions
    assert rule is not None, "checked when the pipeline was loaded"
    facts = _facts(events, pipeline)
    if rule.rule == "gap":
        placed = by_gap(facts, pipeline, parse_duration(rule.gap))
        return _finished(_summed(placed, ["actor", "session_number"]), pipeline)
    placed = by_key(facts, pipeline)
    numbered = _numbered(_summed(placed, ["session_key"]), pipeline)
    return _finished(_crowded(numbered, rule.suspect), pipeline)


def by_gap(events: ir.Table, pipeline: Pipeline, gap: int) -> ir.Table:
    """Events of actors with `session_number` and `place` (their order within the actor).

    A pause longer than *gap* microseconds opens a new session; exactly the gap stays.
    """
    known = events.mutate(actor=actor_text(events))
    known = known.filter(known.actor.notnull())
    ordered = ibis.window(group_by=known.actor, order_by=nulls_first(known, total_order(pipeline)))
    known = known.mutate(
        place=ibis.row_number().over(ordered),
        pause=known.occurred_at - known.occurred_at.lag().over(ordered),
        _hurries=_hurries(known.occurred_at, ordered, pipeline, at_most=gap),
    )
    opens = ((known.pause > gap) | known.pause.isnull()).cast("int64")
    so_far = ibis.window(group_by=known.actor, order_by=known.place, preceding=None, following=0)
    return known.mutate(session_number=opens.sum().over(so_far)).drop("pause")


def by_key(events: ir.Table, pipeline: Pipeline) -> ir.Table:
    """Events with `place`, their order within the session that the source names."""
    order = nulls_first(events, total_order(pipeline))
    ordered = ibis.window(group_by=events.session_key, order_by=order)
    return events.mutate(
        actor=actor_text(events),
        place=ibis.row_number().over(ordered),
        _hurries=_hurries(events.occurred_at, ordered, pipeline),
    )


def _hurries(occurred_at: ir.Value, ordered: Any, pipeline: Pipeline, at_most: int = _EVER) -> ir.Value:
    """Whether with an event more of them begin than a person makes in the time that is set.

    That time is *at_most* the gap: so much later another session has begun.
    """
    suspect = pipeline.sessions.suspect if pipeline.sessions is not None else Suspect()
    within = min(parse_duration(suspect.within), at_most)
    return (occurred_at.lead(suspect.events).over(ordered) - occurred_at <= within).fill_null(False)


def _facts(events: ir.Table, pipeline: Pipeline) -> ir.Table:
    """Of each event only what sessions are made of: sorting carries every column along.

    What is worked out here begins with `_`, as no field of a pipeline does.
    """
    rule = pipeline.sessions
    assert rule is not None, "checked when the pipeline was loaded"
    view = is_page_view(events)
    page = events.url_page if "url" in events.columns else ibis.null("string")
    keys = [name for name in ("actor", "session_key") if name in events.columns]
    return events.select(
        *dict.fromkeys([*total_order(pipeline), *keys]),
        _is_view=view,
        _is_goal=is_named(events, rule.goal) if rule.goal is not None else events.occurred_at.isnull(),
        _viewed=ibis.ifelse(view, page.fill_null(NO_TEXT), None),
        _outside=_outside(events, pipeline),
    )


def _outside(events: ir.Table, pipeline: Pipeline) -> ir.Value:
    """The referrer's host where it is external: not the page's own host, nor one of the pipeline's."""
    if "referrer" not in events.columns:
        return ibis.null("string")
    assert pipeline.sessions is not None, "checked when the pipeline was loaded"
    host = events.referrer_host
    own = events.url_level1 if "url" in events.columns else ibis.null("string")
    hosts = [urls.host(name) or urls.host(f"//{name}") for name in pipeline.sessions.own_hosts]
    ours = [name for name in hosts if name is not None]
    stranger = ibis.ifelse(own.notnull(), host != own, ~host.isin(ours) if ours else True)
    return ibis.ifelse(stranger, host, None)


def _summed(placed: ir.Table, session: list[str]) -> ir.Table:
    """One row per session with what its events add up to."""
    event_id = placed.event_id.cast("string") if "event_id" in placed.columns else ibis.null("string")
    sums = {
        "started_at": placed.occurred_at.min(),
        "ended_at": placed.occurred_at.max(),
        "events": placed.count(),
        "page_views": placed["_is_view"].cast("int64").sum(),
        "orders": placed["_is_goal"].cast("int64").sum(),
        "first_id": first_text(event_id, placed),
        "landing_page": first_text(placed["_viewed"], placed),
        "exit_page": last_text(placed["_viewed"], placed),
        "referrer": first_text(placed["_outside"], placed),
        "_hurried": placed["_hurries"].any(),
    }
    if "actor" not in session:
        sums["actor"] = first_text(placed.actor.fill_null(NO_TEXT), placed)
    return placed.group_by(session).aggregate(**sums)


def _numbered(summed: ir.Table, pipeline: Pipeline) -> ir.Table:
    """Sessions by key with the actor's count of them, in order of start, ties by `session_id`."""
    identified = summed.mutate(session_id=(ibis.literal(f"{pipeline.name}|") + summed.session_key).hexdigest("md5"))
    order = [identified.started_at.asc(), identified.session_id.asc()]
    number = ibis.row_number().over(ibis.window(group_by=identified.actor, order_by=order)) + 1
    return identified.mutate(session_number=ibis.ifelse(identified.actor.notnull(), number, None))


def _crowded(numbered: ir.Table, suspect: Suspect) -> ir.Table:
    """Sessions with `_crowded`: they are among more of their actor's that begin in the time that is set."""
    by_actor = {"group_by": numbered.actor, "order_by": numbered.session_number}
    started = numbered.started_at
    pause = started.lead(suspect.sessions).over(ibis.window(**by_actor)) - started
    marked = numbered.mutate(_begins=(pause <= parse_duration(suspect.within)).fill_null(False))
    reaching = ibis.window(**by_actor, preceding=suspect.sessions, following=0)
    return marked.mutate(_crowded=marked["_begins"].any().over(reaching) & marked.actor.notnull())


def _finished(summed: ir.Table, pipeline: Pipeline) -> ir.Table:
    rule = pipeline.sessions
    assert rule is not None, "checked when the pipeline was loaded"
    named = summed
    if "session_id" not in summed.columns:
        parts = [summed.actor, summed.started_at.cast("string"), summed.first_id.fill_null("")]
        text = ibis.literal(pipeline.name).concat(*[piece for part in parts for piece in ("|", part)])
        named = summed.mutate(session_id=text.hexdigest("md5"))
    suspect = named["_hurried"] | named["_crowded"] if "_crowded" in named.columns else named["_hurried"]
    orders = {"orders": named.orders} if rule.goal is not None else {}
    return named.select(
        session_id=named.session_id,
        actor=named.actor,
        session_number=named.session_number.cast("int64"),
        started_at=named.started_at,
        ended_at=named.ended_at,
        duration_seconds=(named.ended_at - named.started_at).cast("float64") / 1_000_000,
        events=named.events,
        page_views=named.page_views,
        **orders,
        converted=named.orders > 0,
        bounced=named.page_views == 1,
        referrer=named.referrer,
        landing_page=named.landing_page,
        exit_page=named.exit_page,
        suspect=suspect,
    )
