"""A pipeline: one TOML file that says what to read, what to keep, and which tables to publish.

Everything is frozen and checked when it is loaded; whatever is wrong is a `UsageError` in one sentence.
"""

import difflib
import os
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any, Literal, get_args, get_origin, get_type_hints

import msgspec
from msgspec import Struct

from sojourn import json_schema, times
from sojourn.errors import UsageError

FieldType = Literal["text", "integer", "number", "boolean", "time"]
TABLES: dict[str, tuple[str, ...]] = {
    "sessions": (),
    "session_durations_by_referrer": (),
    "user_activity": ("actor", "name", "url"),
    "hourly_activity": ("url",),
    "transitions": ("actor", "name", "url"),
    "pages": ("url", "session_key"),
}
"""Tables that a pipeline can publish -> the fields they need."""

DERIVED = {"url": ("url_level1", "url_level2", "url_level3", "url_page"), "referrer": ("referrer_host",)}
"""Columns that reading adds to events, by the field they come from."""

_VALUE_TYPES: dict[str, tuple[type, ...]] = {"text": (str,), "integer": (int,), "number": (int, float)}
_STRFTIME = re.compile(r"(?:[^%]|%[YymdHMSf%])+", re.DOTALL)
_RESERVED = {"sojourn", "main", "temp", "system", "public", "information_schema", "pg_catalog", "memory"}
_SIZE = re.compile(r"(\d+(?:\.\d+)?)\s*(?:([KMGT])(i?)B?|B)", re.IGNORECASE)


class Field(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, omit_defaults=True):
    """One field that the pipeline reads. *path* are the keys that lead to it."""

    path: str | tuple[str, ...]
    type: FieldType = "text"
    required: bool = False
    values: tuple[str | int | float, ...] = ()
    formats: tuple[str, ...] = ()

    def keys(self, source_format: str) -> tuple[str, ...]:
        """The path as keys; in CSV and Parquet a path is one column's name."""
        if isinstance(self.path, tuple):
            return self.path
        return tuple(self.path.split(".")) if source_format == "jsonl" else (self.path,)


class Source(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, omit_defaults=True):
    """Where records come from, and the contract they keep.

    *columns* names those of CSV files without a header line; *schema* is a JSON Schema, as text once
    it is loaded.
    """

    fields: dict[str, Field]
    format: Literal["jsonl", "csv", "parquet"] = "jsonl"
    timezone: str = "UTC"
    dedupe: Literal["id", "record", "off"] = "id"
    drop: tuple[Literal["anonymous"], ...] = ()
    strict: bool = False
    max_record: str = "16MiB"
    schema: str | None = None
    delimiter: str = ","
    columns: tuple[str, ...] = ()

    @property
    def landed(self) -> dict[str, FieldType]:
        """The columns of landed events: the fields in declared order, then what is derived from them."""
        derived = [name for field in self.fields for name in DERIVED.get(field, ())]
        return {name: field.type for name, field in self.fields.items()} | dict.fromkeys(derived, "text")


class Sessions(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """How events form sessions. *gap* is needed by the rule of that name."""

    rule: Literal["gap", "key"]
    gap: str = "30m"
    goal: str | None = None
    own_hosts: tuple[str, ...] = ()


class Csv(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """How one table is written as CSV: the text of a null, and a strftime pattern for instants."""

    null: str = ""
    time: str | None = None


class TableSettings(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Settings of one published table. *gap* is for `transitions`."""

    csv: Csv = Csv()
    gap: str = "30m"


class Pipeline(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A whole pipeline. *name* is the schema its tables are published under."""

    name: str
    title: str = ""
    source: dict[str, Source]
    sessions: Sessions | None = None
    bucket_timezone: str = "UTC"
    tables: dict[str, TableSettings] = {}

    @property
    def events(self) -> Source:
        """The source of events."""
        return self.source["events"]

    def fingerprint(self) -> dict[str, Any]:
        """What decides how records are read, and thus what landed events hold."""
        plain: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(self.source))  # as stores give it back
        return plain


@dataclass(frozen=True)
class Ready:
    """A pipeline that comes with Sojourn."""

    name: str
    text: str


def ready_pipelines() -> dict[str, Ready]:
    """The pipelines that come with Sojourn, by name."""
    folder = resources.files("sojourn") / "pipelines"
    files = sorted((file for file in folder.iterdir() if file.name.endswith(".toml")), key=lambda file: file.name)
    return {f.name[:-5]: Ready(f.name[:-5], f.read_text(encoding="utf-8")) for f in files}


def load(name_or_path: str) -> Pipeline:
    """The pipeline named *name_or_path*, or the one in that TOML file."""
    ready = ready_pipelines()
    if name_or_path in ready:
        return parse(ready[name_or_path].text, name=name_or_path, where=f"{name_or_path}.toml", folder=Path())
    path = Path(name_or_path)
    if not (path.suffix == ".toml" or os.path.exists(name_or_path)):  # noqa: PTH110 - it is False for any odd text
        raise UsageError(
            "unknown_pipeline",
            f"there is no pipeline {name_or_path!r}{did_you_mean(name_or_path, ready)} "
            f"use one of {', '.join(ready)}, or a path to a TOML file",
        )
    try:
        text = path.read_text(encoding="utf-8-sig")  # some editors begin a file with a byte-order mark
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "it is not UTF-8 text"
        raise UsageError("pipeline_unreadable", f"cannot read the pipeline {path}: {reason}") from error
    return parse(text, name=schema_name(path.stem), where=str(path), folder=path.parent)


def parse(text: str, *, name: str, where: str, folder: Path) -> Pipeline:
    """A checked pipeline from TOML *text*; *folder* is where its JSON Schema is looked for."""
    try:
        raw = tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise UsageError("bad_toml", f"{where} is not valid TOML: {error}") from error
    if "name" in raw:
        raise _bad(where, "$.name", "a pipeline is named after its file; remove this key")
    try:
        pipeline = msgspec.convert({**_spelled_out(raw, where), "name": name}, Pipeline)
    except (msgspec.ValidationError, RecursionError) as error:
        raise UsageError("bad_pipeline", f"{where}: {_explain(str(error))}") from error
    return _checked(pipeline, where, folder)


def schema_name(stem: str) -> str:
    """A pipeline's name from its file's: lower-case letters, digits and underscores."""
    name = re.sub(r"[^a-z0-9]+", "_", stem.lower()).strip("_") or "pipeline"
    name = f"p_{name}" if name[0].isdigit() or name in _RESERVED else name
    return name[:48]


def parse_size(text: str) -> int:
    """Bytes of a size such as ``400MB`` or ``16MiB``; `ValueError` otherwise."""
    found = _SIZE.fullmatch(text.strip())
    power = " KMGT".index((found[2] or " ").upper()) if found is not None else 0
    size = float(found[1]) * (1024 if found[3] else 1000) ** power if found is not None else 0.0
    if not 1 <= size < 1 << 62:
        raise ValueError(f"{text!r} is not a size; write a number with a unit, such as 400MB or 2GB")
    return int(size)


def did_you_mean(word: str, known: Mapping[str, Any] | list[str]) -> str:
    """``, did you mean 'sessions'?`` when *word* is close to something known, else ``;``: a sentence goes on."""
    close = difflib.get_close_matches(word, list(known), n=1)
    return f", did you mean {close[0]!r}?" if close else ";"


def _spelled_out(raw: dict[str, Any], where: str) -> dict[str, Any]:
    """The TOML with short forms spelled out, and every unknown key refused with a suggestion."""
    _known_keys(raw, Pipeline, "$", where)
    sources = raw.get("source", {})
    if isinstance(sources, dict) and "fields" in sources:
        raise _bad(where, "$.source", "name the source: [source.events] and [source.events.fields]")
    whole = dict(raw)
    if isinstance(sources, dict):
        if foreign := sorted(set(sources) - {"events"}):
            raise _bad(where, f"$.source.{foreign[0]}", "a pipeline has one source, named events: [source.events]")
        whole["source"] = {key: _source(value, f"$.source.{key}", where) for key, value in sources.items()}
    if "sessions" in raw:
        _known_keys(raw["sessions"], Sessions, "$.sessions", where)
        _of_kind(raw["sessions"], Sessions, "$.sessions", where)
    tables = raw.get("tables", {})
    if isinstance(tables, dict):
        for key, value in tables.items():
            if key not in TABLES:
                hint = did_you_mean(key, TABLES)
                raise _bad(where, f"$.tables.{key}", f"unknown table{hint} use some of {', '.join(TABLES)}")
            _known_keys(value, TableSettings, f"$.tables.{key}", where)
            _known_keys(isinstance(value, dict) and value.get("csv"), Csv, f"$.tables.{key}.csv", where)
            _of_kind(value, TableSettings, f"$.tables.{key}", where)
    return whole


def _source(raw: Any, path: str, where: str) -> Any:
    if not isinstance(raw, dict):
        return raw
    _known_keys(raw, Source, path, where)
    fields = raw.get("fields")
    if not isinstance(fields, dict):
        return raw
    spelled = {}
    for name, value in fields.items():
        entry: Any = {"path": value} if isinstance(value, str | list) else value
        if isinstance(entry, dict):
            _known_keys(entry, Field, f"{path}.fields.{name}", where)
            entry = ({"type": "time"} if name == "occurred_at" else {}) | {"path": name} | entry
            if name in ("occurred_at", "event_id", "session_key"):
                entry["required"] = True
        _of_kind(entry, Field, f"{path}.fields.{name}", where)
        spelled[name] = entry
    whole = {"dedupe": "id" if "event_id" in spelled else "record"} | raw | {"fields": spelled}
    _of_kind(whole, Source, path, where)
    return whole


def _known_keys(value: Any, kind: type[Struct], path: str, where: str) -> None:
    if not isinstance(value, dict):
        return
    known = [name for name in kind.__struct_fields__ if (kind, name) != (Pipeline, "name")]
    for key in value:
        if key not in known:
            hint = did_you_mean(key, known)
            raise _bad(where, f"{path}.{key}", f"unknown key{hint} known here are {', '.join(known)}")


def _of_kind(value: Any, kind: type[Struct], path: str, where: str) -> None:
    """Refuse what does not make a *kind*: with its place by name, and the words that would do."""
    try:
        msgspec.convert(value, kind)
    except (msgspec.ValidationError, RecursionError) as error:
        text, _, below = str(error).partition(" - at `$")
        key = re.split(r"[.\[`]", below.removeprefix("."))[0]
        words = _words(get_type_hints(kind).get(key))
        choice = f"; use one of {', '.join(words)}" if words else ""
        raise _bad(where, path + below.rstrip("`"), text + choice) from error


def _words(hint: Any) -> list[str]:
    """The words that a type lets one choose from."""
    if get_origin(hint) is Literal:
        return list(get_args(hint))
    return [word for part in get_args(hint) for word in _words(part)]


def _bad(where: str, path: str, message: str) -> UsageError:
    return UsageError("bad_pipeline", f"{where}: {path.removeprefix('$.')}: {message}")


def _explain(message: str) -> str:
    text, _, path = message.partition(" - at `")
    return f"{path.rstrip('`').removeprefix('$.')}: {text}" if path else text


def _checked(pipeline: Pipeline, where: str, folder: Path) -> Pipeline:
    if "events" not in pipeline.source or len(pipeline.source) > 1:
        raise _bad(where, "$.source", "a pipeline has one source named events: [source.events]")
    _check_source(pipeline.events, where)
    _check_sessions(pipeline, where)
    _check_zone(pipeline.bucket_timezone, "$.bucket_timezone", where)
    tables = pipeline.tables or ({"sessions": TableSettings()} if pipeline.sessions else {})
    if not tables:
        raise _bad(where, "$.tables", f"nothing to publish; add [tables.NAME] with a name of {', '.join(TABLES)}")
    for name, settings in tables.items():
        _check_table(pipeline, name, settings, where)
    source = pipeline.events
    if source.schema is not None:
        source = msgspec.structs.replace(source, schema=_schema_text(folder / source.schema, where))
    if pipeline.sessions is not None and pipeline.sessions.rule == "gap" and "anonymous" not in source.drop:
        source = msgspec.structs.replace(source, drop=(*source.drop, "anonymous"))
    return msgspec.structs.replace(pipeline, tables=tables, source={"events": source})


def _check_source(source: Source, where: str) -> None:
    at = "$.source.events"
    if "occurred_at" not in source.fields:
        raise _bad(where, f"{at}.fields", "the field occurred_at is needed: when an event happened")
    if source.fields["occurred_at"].type != "time":
        raise _bad(where, f"{at}.fields.occurred_at", "its type is time")
    if source.dedupe == "id" and "event_id" not in source.fields:
        raise _bad(where, f"{at}.dedupe", "dedupe by id needs the field event_id; or use dedupe = 'record'")
    if "anonymous" in source.drop and "actor" not in source.fields:
        raise _bad(where, f"{at}.drop", "anonymous events are those without the field actor; it is not declared")
    _check_zone(source.timezone, f"{at}.timezone", where)
    if (len(source.delimiter) != 1 or not source.delimiter.isascii()) or source.delimiter in '"\r\n':
        raise _bad(where, f"{at}.delimiter", "a delimiter is one character, such as ',' or ';' or a tab")
    if source.schema is not None and source.format != "jsonl":
        raise _bad(where, f"{at}.schema", "a JSON Schema belongs to a source of format jsonl")
    try:
        if parse_size(source.max_record) > 1 << 30:
            raise ValueError("max_record is at most 1GiB")
    except ValueError as error:
        raise _bad(where, f"{at}.max_record", str(error)) from error
    for name, field in source.fields.items():
        _check_field(name, field, source, f"{at}.fields.{name}", where)


def _check_field(name: str, field: Field, source: Source, at: str, where: str) -> None:
    if any(name in derived for derived in DERIVED.values()):
        raise _bad(where, at, "this name is taken; give the field another")
    if re.fullmatch(r"[a-z][a-z0-9_]*", name) is None:
        raise _bad(where, at, "a field's name has lower-case letters, digits and underscores only")
    if not all(field.keys(source.format)) or not field.keys(source.format):
        raise _bad(where, at, f"{field.path!r} is not a path; write keys joined by dots, such as event.timestamp")
    if name in ("event_id", "name", "actor", "session_key", "url", "referrer") and field.type not in (
        "text",
        "integer",
    ):
        raise _bad(where, at, "its type is text or integer")
    if name in ("name", "url", "referrer", "session_key") and field.type != "text":
        raise _bad(where, at, "its type is text")
    if field.formats and field.type != "time":
        raise _bad(where, at, "formats belong to fields of type time")
    for pattern in field.formats:
        if pattern != "iso" and pattern not in times.EPOCH_UNITS:
            try:
                times.pattern_regex(pattern)
            except ValueError as error:
                known = f"iso, {', '.join(times.EPOCH_UNITS)} or a strptime pattern"
                raise _bad(where, f"{at}.formats", f"{error} (a format is {known})") from error
    kinds = _VALUE_TYPES.get(field.type)
    if field.values and (kinds is None or not all(isinstance(value, kinds) for value in field.values)):
        raise _bad(where, f"{at}.values", f"the values of a {field.type} field must be of its type")
    most = (1 << 63) - 1 if field.type == "integer" else 1 << 53  # so far a double holds every whole number
    if any(isinstance(value, int) and abs(value) > most for value in field.values):
        raise _bad(where, f"{at}.values", f"whole numbers here are at most {most}")


def _check_sessions(pipeline: Pipeline, where: str) -> None:
    rule = pipeline.sessions
    if rule is None:
        return
    needed = "actor" if rule.rule == "gap" else "session_key"
    if needed not in pipeline.events.fields:
        raise _bad(where, "$.sessions", f"sessions by {rule.rule} need the field {needed} in [source.events.fields]")
    if rule.goal is not None and "name" not in pipeline.events.fields:
        raise _bad(where, "$.sessions.goal", "a goal is the name of an event; the field name is not declared")
    try:
        times.parse_duration(rule.gap)
    except ValueError as error:
        raise _bad(where, "$.sessions.gap", str(error)) from error


def _check_table(pipeline: Pipeline, name: str, settings: TableSettings, where: str) -> None:
    if name.startswith("session") and pipeline.sessions is None:
        raise _bad(where, f"$.tables.{name}", "needs [sessions], which says how events form sessions")
    for field in TABLES[name]:
        if field not in pipeline.events.fields:
            raise _bad(where, f"$.tables.{name}", f"needs the field {field} in [source.events.fields]")
    try:
        times.parse_duration(settings.gap)
    except ValueError as error:
        raise _bad(where, f"$.tables.{name}.gap", str(error)) from error
    if re.search(r'[,"\r\n]', settings.csv.null) is not None:
        raise _bad(where, f"$.tables.{name}.csv.null", "the text of a null has no comma, no quote and no line break")
    if settings.csv.time is not None and _STRFTIME.fullmatch(settings.csv.time) is None:
        known = "%Y %y %m %d %H %M %S %f %%"
        raise _bad(
            where, f"$.tables.{name}.csv.time", f"{settings.csv.time!r} is no way to write instants; use {known}"
        )


def _check_zone(name: str, path: str, where: str) -> None:
    try:
        times.zone_named(name)
    except ValueError as error:
        raise _bad(where, path, str(error)) from error


def _schema_text(path: Path, where: str) -> str:
    at = "$.source.events.schema"
    try:
        schema = msgspec.json.decode(path.read_bytes())
    except (OSError, ValueError, RecursionError) as error:
        reason = getattr(error, "strerror", None) or "it is not valid JSON"
        raise _bad(where, at, f"cannot read the JSON Schema {path}: {reason}") from error
    if not isinstance(schema, dict):
        raise _bad(where, at, f"{path} is not a JSON Schema: it holds no object")
    if (fault := json_schema.fault(schema)) is not None:
        raise _bad(where, at, f"{path} is not a JSON Schema: {fault}")
    return msgspec.json.encode(schema).decode()
