"""Whether a pipeline makes sense as a whole: what its parts cannot say of each other is checked here, once."""

import re
from pathlib import Path

import msgspec

from sojourn import json_schema, times
from sojourn.errors import UsageError
from sojourn.faults import faults
from sojourn.pipeline import (
    DERIVED,
    MADE_FROM,
    SOURCES,
    TABLES,
    Field,
    Pipeline,
    Sessions,
    Source,
    TableSettings,
    parse_size,
)

_VALUE_TYPES: dict[str, tuple[type, ...]] = {"text": (str,), "integer": (int,), "number": (int, float)}
_OF_VISITS = ("session_durations_by_referrer", "referrer_differences", "experiment_users")
_SERVERS = "id, created_at and destroyed_at"
_STRFTIME = re.compile(r"(?:[^%]|%[YymdHMSf%])+", re.DOTALL)


def bad(where: str, path: str, message: str) -> UsageError:
    """The error for the place *path* of the file *where*."""
    return UsageError("bad_pipeline", f"{where}: {path.removeprefix('$.')}: {message}")


def checked(pipeline: Pipeline, where: str, folder: Path) -> Pipeline:
    """The *pipeline*, complete with what it leaves out, when its parts fit each other; else a `UsageError`."""
    if "events" not in pipeline.source:
        raise bad(where, "$.source", "a pipeline has a source named events: [source.events]")
    for name, source in pipeline.source.items():
        _check_source(name, source, where)
    if "servers" in pipeline.source:
        _check_servers(pipeline.source["servers"], pipeline.events, where)
    if "presence" in pipeline.tables:
        _check_presence(pipeline, where)
    for path, message in faults(pipeline):
        raise bad(where, path, message)
    _check_sessions(pipeline, where)
    _check_zone(pipeline.bucket_timezone, "$.bucket_timezone", where)
    tables = pipeline.tables or ({"sessions": TableSettings()} if pipeline.sessions else {})
    if not tables:
        raise bad(where, "$.tables", f"nothing to publish; add [tables.NAME] with a name of {', '.join(TABLES)}")
    for name, settings in tables.items():
        _check_table(pipeline, name, settings, where)
    sources = {name: _completed(name, pipeline, where, folder) for name in pipeline.source}
    ordered = {name: tables[name] for name in TABLES if name in tables}
    return msgspec.structs.replace(pipeline, tables=ordered, source=sources)


def _completed(name: str, pipeline: Pipeline, where: str, folder: Path) -> Source:
    """The source with its JSON Schema as text, and the drop rule that its sessions bring."""
    source = pipeline.source[name]
    if source.schema is not None:
        source = msgspec.structs.replace(source, schema=_schema_text(name, folder / source.schema, where))
    by_gap = name == "events" and pipeline.sessions is not None and pipeline.sessions.rule == "gap"
    if by_gap and "anonymous" not in source.drop:
        source = msgspec.structs.replace(source, drop=(*source.drop, "anonymous"))
    return source


def _check_source(kind: str, source: Source, where: str) -> None:
    at = f"$.source.{kind}"
    if kind == "events" and "occurred_at" not in source.fields:
        raise bad(where, f"{at}.fields", "the field occurred_at is needed: when an event happened")
    if kind == "events" and source.fields["occurred_at"].type != "time":
        raise bad(where, f"{at}.fields.occurred_at", "its type is time")
    if source.format == "streams" and kind != "events":
        raise bad(where, f"{at}.format", "only events come in streams; use jsonl, csv or parquet")
    if "event_id" in source.identity and "event_id" not in source.fields:
        raise bad(where, f"{at}.dedupe", "dedupe by id needs the field event_id; or use dedupe = 'record'")
    if "anonymous" in source.drop and "actor" not in source.fields:
        raise bad(where, f"{at}.drop", "anonymous events are those without the field actor; it is not declared")
    if source.bots == "drop" and "user_agent" not in source.fields:
        raise bad(where, f"{at}.bots", "bots are known by the field user_agent; it is not declared")
    _check_zone(source.timezone, f"{at}.timezone", where)
    if (len(source.delimiter) != 1 or not source.delimiter.isascii()) or source.delimiter in '"\r\n':
        raise bad(where, f"{at}.delimiter", "a delimiter is one character, such as ',' or ';' or a tab")
    if source.schema is not None and source.format != "jsonl":
        raise bad(where, f"{at}.schema", "a JSON Schema belongs to a source of format jsonl")
    try:
        if parse_size(source.max_record) > 1 << 30:
            raise ValueError("max_record is at most 1GiB")
    except ValueError as error:
        raise bad(where, f"{at}.max_record", str(error)) from error
    for name, field in source.fields.items():
        _check_field(name, field, source, f"{at}.fields.{name}", where)


def _check_presence(pipeline: Pipeline, where: str) -> None:
    """What presence needs: a list of servers, and events of devices on them."""
    events = pipeline.events.fields
    if pipeline.events.format == "streams":
        raise bad(where, "$.tables.presence", "is made from events of format jsonl, csv or parquet, not from streams")
    if "servers" not in pipeline.source:
        raise bad(where, "$.tables.presence", "needs the list of servers: [source.servers]")
    for name in TABLES["presence"]:
        if name in events and not events[name].required:
            raise bad(where, f"$.source.events.fields.{name}", "presence needs it in every event: required = true")
    if "connected" in events and events["connected"].type != "boolean":
        raise bad(where, "$.source.events.fields.connected", "its type is boolean")


def _check_servers(servers: Source, events: Source, where: str) -> None:
    for name in SOURCES["servers"]:
        if name not in servers.fields:
            raise bad(where, "$.source.servers.fields", f"the field {name} is needed; of servers, {_SERVERS} are read")
    for name in servers.fields:
        if name not in SOURCES["servers"]:
            raise bad(where, f"$.source.servers.fields.{name}", f"unknown field; of servers, {_SERVERS} are read")
    for name in ("created_at", "destroyed_at"):
        if servers.fields[name].type != "time":
            raise bad(where, f"$.source.servers.fields.{name}", "its type is time")
    if "server_id" in events.fields and events.fields["server_id"].type != servers.fields["id"].type:
        kind = events.fields["server_id"].type
        raise bad(where, "$.source.servers.fields.id", f"its type is that of the events' server_id: {kind}")


def _check_field(name: str, field: Field, source: Source, at: str, where: str) -> None:
    if any(name in derived for derived in DERIVED.values()):
        raise bad(where, at, "this name is taken; give the field another")
    if re.fullmatch(r"[a-z][a-z0-9_]*", name) is None:
        raise bad(where, at, "a field's name has lower-case letters, digits and underscores only")
    if not all(field.keys(source.format)) or not field.keys(source.format):
        raise bad(where, at, f"{field.path!r} is not a path; write keys joined by dots, such as event.timestamp")
    _check_type(name, field, at, where)
    if field.formats and field.type != "time":
        raise bad(where, at, "formats belong to fields of type time")
    for pattern in field.formats:
        if pattern != "iso" and pattern not in times.EPOCH_UNITS:
            try:
                times.pattern_regex(pattern)
            except ValueError as error:
                known = f"iso, {', '.join(times.EPOCH_UNITS)} or a strptime pattern"
                raise bad(where, f"{at}.formats", f"{error} (a format is {known})") from error
    kinds = _VALUE_TYPES.get(field.type)
    if field.values and (kinds is None or not all(isinstance(value, kinds) for value in field.values)):
        raise bad(where, f"{at}.values", f"the values of a {field.type} field must be of its type")
    most = (1 << 63) - 1 if field.type == "integer" else 1 << 53  # so far a double holds every whole number
    if any(isinstance(value, int) and abs(value) > most for value in field.values):
        raise bad(where, f"{at}.values", f"whole numbers here are at most {most}")


def _check_type(name: str, field: Field, at: str, where: str) -> None:
    if name in ("event_id", "actor") and field.type not in ("text", "integer"):
        raise bad(where, at, "its type is text or integer")
    if name in ("name", "url", "referrer", "session_key", "user_agent") and field.type != "text":
        raise bad(where, at, "its type is text")
    if (name == "experiments") != (field.type == "labels"):
        raise bad(where, at, "the type labels is that of the field experiments, and of no other")


def _check_sessions(pipeline: Pipeline, where: str) -> None:
    rule = pipeline.sessions
    if rule is None:
        return
    if rule.rule == "markers":
        _check_markers(pipeline, rule, where)
        return
    needed = "actor" if rule.rule == "gap" else "session_key"
    if needed not in pipeline.events.fields:
        raise bad(where, "$.sessions", f"sessions by {rule.rule} need the field {needed} in [source.events.fields]")
    if rule.goal is not None and "name" not in pipeline.events.fields:
        raise bad(where, "$.sessions.goal", "a goal is the name of an event; the field name is not declared")
    try:
        times.parse_duration(rule.gap)
    except ValueError as error:
        raise bad(where, "$.sessions.gap", str(error)) from error


def _check_markers(pipeline: Pipeline, rule: Sessions, where: str) -> None:
    if pipeline.events.format != "streams":
        told = 'sessions by markers are made from streams: [source.events] with format = "streams"'
        raise bad(where, "$.sessions.rule", told)
    for name in ("goal", "own_hosts", "suspect"):
        if getattr(rule, name) != getattr(Sessions(rule="markers"), name):
            raise bad(where, f"$.sessions.{name}", "sessions by markers have none; use sessions by gap or by key")


def _check_table(pipeline: Pipeline, name: str, settings: TableSettings, where: str) -> None:
    if (name.startswith("session") or name in _OF_VISITS) and pipeline.sessions is None:
        raise bad(where, f"$.tables.{name}", "needs [sessions], which says how events form sessions")
    if name == "event_counts" and pipeline.events.format != "streams":
        raise bad(where, f"$.tables.{name}", 'counts entries of streams: [source.events] with format = "streams"')
    if name in _OF_VISITS and pipeline.sessions and pipeline.sessions.rule == "markers":
        told = "needs sessions by gap or by key: those by markers have no referrer and no actor"
        raise bad(where, f"$.tables.{name}", told)
    for source in MADE_FROM.get(name, ()):
        if source not in pipeline.tables:
            raise bad(where, f"$.tables.{name}", f"is made from the table {source}; add [tables.{source}]")
    for field in TABLES[name]:
        if field not in pipeline.events.fields:
            raise bad(where, f"$.tables.{name}", f"needs the field {field} in [source.events.fields]")
    try:
        times.parse_duration(settings.gap)
    except ValueError as error:
        raise bad(where, f"$.tables.{name}.gap", str(error)) from error
    if re.search(r'[,"\r\n]', settings.csv.null) is not None:
        raise bad(where, f"$.tables.{name}.csv.null", "the text of a null has no comma, no quote and no line break")
    if settings.csv.time is not None and _STRFTIME.fullmatch(settings.csv.time) is None:
        known = "%Y %y %m %d %H %M %S %f %%"
        raise bad(where, f"$.tables.{name}.csv.time", f"{settings.csv.time!r} is no way to write instants; use {known}")


def _check_zone(name: str, path: str, where: str) -> None:
    try:
        times.zone_named(name)
    except ValueError as error:
        raise bad(where, path, str(error)) from error


def _schema_text(source: str, path: Path, where: str) -> str:
    at = f"$.source.{source}.schema"
    try:
        schema = msgspec.json.decode(path.read_bytes())
    except (OSError, ValueError, RecursionError) as error:
        reason = getattr(error, "strerror", None) or "it is not valid JSON"
        raise bad(where, at, f"cannot read the JSON Schema {path}: {reason}") from error
    if not isinstance(schema, dict):
        raise bad(where, at, f"{path} is not a JSON Schema: it holds no object")
    if (fault := json_schema.fault(schema)) is not None:
        raise bad(where, at, f"{path} is not a JSON Schema: {fault}")
    return msgspec.json.encode(schema).decode()
