"""The steps from landed events to a pipeline's published tables, compiled to one engine's SQL."""

from collections.abc import Callable

import ibis
import ibis.expr.types as ir

from sojourn.pipeline import Pipeline
from sojourn.tables import activity, pages, sessions
from sojourn.tables import events as event_tables

_TYPES = {"text": "string", "integer": "int64", "number": "float64", "boolean": "boolean", "time": "int64"}


_BUILDERS: dict[str, Callable[[ir.Table, Pipeline], ir.Table]] = {
    "sessions": sessions.sessions,
    "user_activity": activity.user_activity,
    "hourly_activity": activity.hourly_activity,
    "transitions": activity.transitions,
    "pages": pages.pages,
}


def compile_plan(pipeline: Pipeline, dialect: str = "duckdb") -> dict[str, str]:
    """SQL by name: `repeated`, `events`, `duplicates`, then the published tables in order.

    It reads the relations `landed` (the pipeline's fields), `parts` (the same with `_part` and
    `_is_new`), and those that it names itself.
    """
    columns = {name: _TYPES[kind] for name, kind in pipeline.events.landed.items()}
    fields = {name: columns[name] for name in pipeline.events.fields}
    landed = ibis.table(columns, name="landed")
    events = ibis.table(columns, name="events")
    steps: dict[str, ir.Table] = {}
    keys = event_tables.identity(pipeline)
    repeated = ibis.table({key: fields[key] for key in keys} or {"nothing": "int64"}, name="repeated")
    if keys:
        parts = ibis.table({**fields, "_part": "int64", "_is_new": "boolean"}, name="parts")
        steps["repeated"] = event_tables.repeated(landed, pipeline)
        steps["duplicates"] = event_tables.duplicates(parts, repeated, pipeline)
    steps["events"] = event_tables.events(landed, repeated, pipeline)
    for name in pipeline.tables:
        if name == "session_durations_by_referrer":
            schema = sessions.sessions(events, pipeline).schema()
            steps[name] = sessions.session_durations_by_referrer(ibis.table(schema, name="sessions"))
        else:
            steps[name] = _BUILDERS[name](events, pipeline)
    return {name: str(ibis.to_sql(table, dialect=dialect)) for name, table in steps.items()}
