"""The steps from landed events to a pipeline's published tables, compiled to one engine's SQL."""

from collections.abc import Callable

import ibis
import ibis.expr.types as ir

from sojourn.pipeline import Pipeline, Source
from sojourn.tables import activity, experiments, fleet, pages, presence, referrers, sessions, streams
from sojourn.tables import events as event_tables

_TYPES = {
    "text": "string",
    "integer": "int64",
    "number": "float64",
    "boolean": "boolean",
    "time": "int64",
    "labels": "string",
}
_INSTANTS = {"started_at", "ended_at", "time_stamp"}
_NEW = {"_part": "int64", "_is_new": "boolean"}

Build = Callable[[ir.Table, Pipeline], ir.Table]
_OF_EVENTS: dict[str, Build] = {
    "sessions": sessions.sessions,
    "user_activity": activity.user_activity,
    "hourly_activity": activity.hourly_activity,
    "transitions": activity.transitions,
    "pages": pages.pages,
}
"""Published tables that are made from events alone."""


def compile_plan(pipeline: Pipeline, dialect: str = "duckdb") -> dict[str, str]:
    """SQL by name, in the order to execute it; each step reads the ones before it by their names.

    It begins with the relations `landed_events` (the pipeline's fields), `parts_events` (the same with `_part` and
    `_is_new`), the same of `servers`, and `limits`. Steps: `repeated`, `events`, `duplicates`, what begins with `_`
    (needed on the way), and the published tables.
    """
    steps = _events(pipeline) | (_presence(pipeline) if "presence" in pipeline.tables else {})
    events = ibis.table(_landed(pipeline.events), name="events")
    if pipeline.events.format == "streams":
        steps |= _streams(events, pipeline)
        events = streams.events(_made("_judged", steps))
    for name in pipeline.tables:
        if name == "sessions" and pipeline.sessions is not None and pipeline.sessions.rule == "markers":
            steps[name] = streams.sessions(_made("_judged", steps))
        elif name == "event_counts":
            steps[name] = streams.event_counts(events)
        elif name == "session_durations_by_referrer":
            steps[name] = sessions.session_durations_by_referrer(_made("sessions", steps))
        elif name == "referrer_differences":
            steps["_referrer_ranks"] = referrers.ranks(_made("sessions", steps))
            steps["_referrer_ties"] = referrers.ties(_made("sessions", steps))
        elif name == "experiment_users":
            steps |= _experiments(events, _made("sessions", steps), pipeline)
        elif name in _OF_EVENTS:
            steps[name] = _OF_EVENTS[name](events, pipeline)
    return {name: str(ibis.to_sql(table, dialect=dialect)) for name, table in steps.items()}


def _events(pipeline: Pipeline) -> dict[str, ir.Table]:
    """From landed records to events, and what that says of the records."""
    landed = ibis.table(_landed(pipeline.events), name="landed_events")
    parts, repeated = _parts(pipeline)
    steps: dict[str, ir.Table] = {}
    if event_tables.identity(pipeline):
        steps["repeated"] = event_tables.repeated(landed, pipeline)
        steps["duplicates"] = event_tables.duplicates(parts, repeated, pipeline)
    steps["events"] = event_tables.events(landed, repeated, pipeline)
    return steps


def _streams(entries: ir.Table, pipeline: Pipeline) -> dict[str, ir.Table]:
    """From the entries of live messages to what their sessions take of them."""
    steps = {"_judged": streams.judged(entries)}
    parts, repeated = _parts(pipeline)
    steps["_refused"] = streams.refused(parts, repeated, _made("_judged", steps), pipeline)
    return steps


def _experiments(events: ir.Table, made: ir.Table, pipeline: Pipeline) -> dict[str, ir.Table]:
    """From events and sessions to the users of experiments, and to what their statistics are made from."""
    steps = {"_experiment_users": experiments.users(events, made, pipeline)}
    known = _made("_experiment_users", steps)
    steps["experiment_users"] = experiments.experiment_users(known, pipeline)
    steps["_experiment_sums"] = experiments.sums(known, pipeline)
    steps["_experiment_spread"] = experiments.spread(known)
    return steps


def _parts(pipeline: Pipeline) -> tuple[ir.Table, ir.Table]:
    """The relations `parts_events` and `repeated`."""
    fields = {name: _TYPES[field.type] for name, field in pipeline.events.fields.items()}
    keys = event_tables.identity(pipeline)
    repeated = ibis.table({key: fields[key] for key in keys} or {"nothing": "int64"}, name="repeated")
    return ibis.table({**fields, **_NEW}, name="parts_events"), repeated


def _presence(pipeline: Pipeline) -> dict[str, ir.Table]:
    """From events and servers to presence, and to what is made from it; what takes long is made once."""
    columns = _landed(pipeline.source["servers"])
    parts, repeated = _parts(pipeline)
    events = ibis.table(_landed(pipeline.events), name="events")
    # copies of an event are equal unless ids make them one: then dedupe is needed to know when it was
    copies = events if pipeline.events.dedupe == "id" else ibis.table(_landed(pipeline.events), name="landed_events")
    steps = {
        "_servers": presence.servers(ibis.table(columns, name="landed_servers")),
        "_server_duplicates": presence.server_duplicates(ibis.table({**columns, **_NEW}, name="parts_servers")),
        "_observation": presence.observation(copies, ibis.table({"until": "int64"}, name="limits")),
    }
    servers, ends = _made("_servers", steps), _made("_observation", steps)
    steps["_unknown_servers"] = presence.unknown_servers(parts, repeated, servers, pipeline)
    steps["presence"] = presence.presence(events, servers, ends, pipeline)
    intervals = _made("presence", steps)
    steps["_days"] = fleet.days(intervals, pipeline)
    online = _made("_days", steps)
    uptime = (presence.observed(copies, ends), presence.online_time(intervals))
    made: dict[str, Callable[[], ir.Table]] = {
        "fleet_daily": lambda: fleet.fleets(online, ends, pipeline, 1),
        "fleet_rolling_28d": lambda: fleet.fleets(online, ends, pipeline, pipeline.fleet.window_days),
        "repairs": lambda: presence.repairs(intervals),
        "device_uptime": lambda: fleet.device_uptime(online, *uptime, ends, pipeline),
    }
    return steps | {name: made[name]() for name in pipeline.tables if name in made}


def _landed(source: Source) -> dict[str, str]:
    return {name: _TYPES[kind] for name, kind in source.landed.items()}


def _made(name: str, steps: dict[str, ir.Table]) -> ir.Table:
    """The relation that the step *name* makes; a published one holds instants, not microseconds."""
    schema = steps[name].schema()
    if name.startswith("_"):
        return ibis.table(schema, name=name)
    kinds = {column: "timestamp(6)" if column in _INSTANTS else kind for column, kind in schema.items()}
    return ibis.table(kinds, name=name)
