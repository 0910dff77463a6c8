"""Activity: events by user and place, by the hour, and steps from page to page."""

import ibis
import ibis.expr.types as ir

from sojourn.pipeline import Pipeline
from sojourn.tables.order import actor_text, nulls_first, total_order
from sojourn.times import parse_duration

_HOUR = 3_600_000_000


@ibis.udf.scalar.builtin(signature=(("int64",), "timestamp('UTC', 6)"))
def make_timestamptz(microseconds):  # type: ignore[no-untyped-def] # types by signature: Python has none for an instant
    """The instant of epoch microseconds, which Ibis' `as_timestamp` does not know on DuckDB."""


@ibis.udf.scalar.builtin(signature=(("string", "timestamp('UTC', 6)"), "timestamp(6)"))
def timezone(zone, instant):  # type: ignore[no-untyped-def] # as above
    """Local date and time of an instant."""


@ibis.udf.scalar.builtin(signature=(("timestamp(6)",), "int64"))
def epoch_us(local):  # type: ignore[no-untyped-def] # as above
    """Microseconds of a local date and time, exactly; Ibis' `epoch_seconds` would round them."""


def user_activity(events: ir.Table, pipeline: Pipeline) -> ir.Table:
    """One row per event, in the total order: who did what, when, where.

    Columns: user_id, time_stamp (epoch microseconds), url_level1, url_level2, url_level3, activity.
    """
    ordered = events.order_by(nulls_first(events, total_order(pipeline)))
    return ordered.select(
        user_id=ordered.actor,
        time_stamp=ordered.occurred_at,
        url_level1=ordered.url_level1,
        url_level2=ordered.url_level2,
        url_level3=ordered.url_level3,
        activity=ordered.name,
    )


def hourly_activity(events: ir.Table, pipeline: Pipeline) -> ir.Table:
    """Events and distinct users. Grain: time_bucket (`YYYYMMDDHH`), url_level1, url_level2, activity."""
    placed = events.select(
        hour=_hour(events.occurred_at, pipeline.bucket_timezone),
        url_level1=events.url_level1,
        url_level2=events.url_level2,
        activity=events.name if "name" in events.columns else ibis.literal("page_view"),
        user=actor_text(events),
    )
    counted = placed.group_by(["hour", "url_level1", "url_level2", "activity"]).aggregate(
        activity_count=placed.count(), user_count=placed.user.nunique()
    )
    return counted.select(
        time_bucket=_bucket(counted.hour), **{name: counted[name] for name in counted.columns if name != "hour"}
    )


def hours(events: ir.Table, pipeline: Pipeline) -> ir.Table:
    """The hours that *events* stand in: `hour` (its start on the clock, in seconds), `time_bucket`."""
    found = events.select(hour=_hour(events.occurred_at, pipeline.bucket_timezone)).distinct()
    return found.mutate(time_bucket=_bucket(found.hour))


def of_hours(events: ir.Table, chosen: ir.Table, pipeline: Pipeline) -> ir.Table:
    """The *events* that stand in the *chosen* hours."""
    return events.semi_join(chosen, _hour(events.occurred_at, pipeline.bucket_timezone) == chosen.hour)


def transitions(events: ir.Table, pipeline: Pipeline) -> ir.Table:
    """Steps between neighbouring events of a user, within sessions by gap.

    Grain: from_page, to_page, activity (of the later event); repetitions of one page are kept.
    Columns besides: transitions, users.
    """
    known = events.mutate(actor=actor_text(events))
    known = known.filter(known.actor.notnull())
    ordered = ibis.window(group_by=known.actor, order_by=nulls_first(known, total_order(pipeline)))
    steps = known.select(
        from_page=known.url_page.lag().over(ordered),
        to_page=known.url_page,
        activity=known.name,
        actor=known.actor,
        pause=known.occurred_at - known.occurred_at.lag().over(ordered),
    )
    steps = steps.filter(steps.pause <= parse_duration(pipeline.tables["transitions"].gap))
    return steps.group_by(["from_page", "to_page", "activity"]).aggregate(
        transitions=steps.count(), users=steps.actor.nunique()
    )


def _bucket(hour: ir.Value) -> ir.Value:
    return hour.as_timestamp("s").strftime("%Y%m%d%H")


def on_the_clock(instant: ir.Value, zone: str) -> ir.Value:
    """Epoch microseconds as microseconds of the local time in *zone*."""
    return instant if zone == "UTC" else epoch_us(timezone(zone, make_timestamptz(instant)))


def _hour(occurred_at: ir.Value, zone: str) -> ir.Value:
    """The hour's start on the clock of *zone*, in seconds; an hour that comes twice is one."""
    local = on_the_clock(occurred_at, zone)
    within = (local % _HOUR + _HOUR) % _HOUR
    return ((local - within) / 1_000_000).cast("int64")
