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
_NEW = {"_part": "int64", "_is_new": "boolean", "_file": "int64", "_row": "int64"}
_RANKED = {"_place": "int64", "_first_old": "int64", "_is_duplicate": "boolean"}

_CHANGES = {"low": "int64", "at": "int64", "devices": "int64", "users": "int64"}
_SINCE = ibis.table({"day": "int64"}, name="since")

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

    It begins with the relations `landed_events` (the pipeline's fields), `parts_events` (the same with `_part`,
    `_is_new`, `_file` and `_row`), the same of `servers`, `limits`, and `since`. Steps: `repeated`, `ranked`,
    `duplicates`, `events`, what begins with `_` (needed on the way), and the published tables.
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
            steps[name] = referrers.session_durations_by_referrer(_made("sessions", steps))
        elif name == "referrer_differences":
            steps["_referrer_ranks"] = referrers.ranks(_made("sessions", steps))
        elif name == "experiment_users":
            steps |= _experiments(events, _made("sessions", steps), pipeline)
        elif name in _OF_EVENTS:
            steps[name] = _OF_EVENTS[name](events, pipeline)
    return _compiled(steps, dialect)


def compile_touched(pipeline: Pipeline, dialect: str = "duckdb") -> dict[str, str]:
    """SQL by name of what else is asked when only a part is made anew.

    `hours` (of the relation `delta`) and `events_of_hours` (of `after` and `hours`), for `hourly_activity`;
    `extended` (intervals, of `presence`), `moved_on` (spans of days, of `_days` and `presence`) and `changed_since`
    (of `before`, `after` and `since`), for fleets.
    """
    landed = _landed(pipeline.events)
    asked: dict[str, ir.Table] = {}
    if "hourly_activity" in pipeline.tables:
        asked["hours"] = activity.hours(ibis.table(landed, name="delta"), pipeline)
        hours = ibis.table(asked["hours"].schema(), name="hours")
        asked["events_of_hours"] = activity.of_hours(ibis.table(landed, name="after"), hours, pipeline)
    if "presence" in pipeline.tables:
        steps = _presence(pipeline)
        intervals, online = _made("presence", steps), _made("_days", steps)
        asked["extended"] = presence.extended(intervals, _made("_servers", steps), _made("_observation", steps))
        asked["moved_on"] = fleet.moved_on(online, intervals, pipeline)
        before, after = (ibis.table(_CHANGES, name=name) for name in ("before", "after"))
        asked["changed_since"] = fleet.changed_since(before, after, _SINCE)
    return _compiled(asked, dialect)


def _compiled(steps: dict[str, ir.Table], dialect: str) -> dict[str, str]:
    if dialect != "duckdb":
        getattr(ibis, dialect)  # its compiler reads settings that come with the engine's own module
    return {name: str(ibis.to_sql(table, dialect=dialect)) for name, table in steps.items()}


def _events(pipeline: Pipeline) -> dict[str, ir.Table]:
    """From landed records to events, and what that says of the records."""
    landed = ibis.table(_landed(pipeline.events), name="landed_events")
    parts, repeated, ranked = _parts(pipeline)
    steps: dict[str, ir.Table] = {}
    if event_tables.identity(pipeline):
        steps["repeated"] = event_tables.repeated(landed, pipeline)
        steps["ranked"] = event_tables.ranked(parts, repeated, pipeline)
        steps["duplicates"] = event_tables.duplicates(ranked, pipeline)
    steps["events"] = event_tables.events(landed, repeated, ranked, pipeline)
    return steps


def _streams(entries: ir.Table, pipeline: Pipeline) -> dict[str, ir.Table]:
    """From the entries of live messages to what their sessions take of them."""
    steps = {"_judged": streams.judged(entries)}
    steps["_refused"] = streams.refused(*_parts(pipeline), _made("_judged", steps), pipeline)
    return steps


def _experiments(events: ir.Table, made: ir.Table, pipeline: Pipeline) -> dict[str, ir.Table]:
    """From events and sessions to the users of experiments, and to what their statistics are made from."""
    steps = {"_experiment_users": experiments.users(events, made, pipeline)}
    known = _made("_experiment_users", steps)
    steps["experiment_users"] = experiments.experiment_users(known, pipeline)
    steps["_experiment_sums"] = experiments.sums(known, pipeline)
    steps["_experiment_spread"] = experiments.spread(known)
    return steps


def _parts(pipeline: Pipeline) -> tuple[ir.Table, ir.Table, ir.Table]:
    """The relations `parts_events`, `repeated` and `ranked`."""
    fields = _landed(pipeline.events)
    repeated = {key: fields[key] for key in event_tables.identity(pipeline)} or {"nothing": "int64"}
    parts = {**fields, **_NEW}
    return (
        ibis.table(parts, name="parts_events"),
        ibis.table(repeated, name="repeated"),
        ibis.table({**parts, **_RANKED}, name="ranked"),
    )


def _presence(pipeline: Pipeline) -> dict[str, ir.Table]:
    """From events and servers to presence, and to what is made from it; what takes long is made once."""
    columns = _landed(pipeline.source["servers"])
    parts, repeated, ranked = _parts(pipeline)
    events = ibis.table(_landed(pipeline.events), name="events")
    # copies of an event are equal unless ids make them one: then dedupe is needed to know when it was
    copies = events if pipeline.events.dedupe == "id" else ibis.table(_landed(pipeline.events), name="landed_events")
    steps = {
        "_servers": presence.servers(ibis.table(columns, name="landed_servers")),
        "_server_duplicates": presence.server_duplicates(ibis.table({**columns, **_NEW}, name="parts_servers")),
        "_observation": presence.observation(copies, ibis.table({"until": "int64"}, name="limits")),
    }
    servers, ends = _made("_servers", steps), _made("_observation", steps)
    steps["_unknown_servers"] = presence.unknown_servers(parts, repeated, ranked, servers, pipeline)
    steps["presence"] = presence.presence(events, servers, ends, pipeline)
    intervals = _made("presence", steps)
    steps["_days"] = fleet.days(intervals, pipeline)
    steps["_observed"] = presence.observed(copies, ends)
    steps["_online"] = presence.online_time(intervals)
    return steps | _fleets(steps, ends, pipeline)


def _fleets(steps: dict[str, ir.Table], ends: ir.Table, pipeline: Pipeline) -> dict[str, ir.Table]:
    """The tables that are made from presence and the days it touches."""
    online, intervals = _made("_days", steps), _made("presence", steps)
    windows = {"fleet_daily": 1, "fleet_rolling_28d": pipeline.fleet.window_days}
    made: dict[str, ir.Table] = {}
    for name in pipeline.tables:
        if name in windows:
            made[f"_{name}"] = fleet.fleet_changes(online, ends, _SINCE, pipeline, windows[name])
            made[name] = fleet.fleets(_made(f"_{name}", made), online, ends, pipeline)
        elif name == "repairs":
            made["_repairs"] = presence.repair_counts(intervals)
            made[name] = presence.repairs(_made("_repairs", made))
        elif name == "device_uptime":
            times = _made("_observed", steps), _made("_online", steps)
            made[name] = fleet.device_uptime(online, *times, ends, pipeline)
    return made


def _landed(source: Source) -> dict[str, str]:
    return {name: _TYPES[kind] for name, kind in source.landed.items()}


def _made(name: str, steps: dict[str, ir.Table]) -> ir.Table:
    """The relation that the step *name* makes; a published one holds instants, not microseconds."""
    schema = steps[name].schema()
    if name.startswith("_"):
        return ibis.table(schema, name=name)
    kinds = {column: "timestamp(6)" if column in _INSTANTS else kind for column, kind in schema.items()}
    return ibis.table(kinds, name=name)
