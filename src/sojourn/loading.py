"""Loading pipelines: TOML to a checked `Pipeline`; whatever is wrong is a `UsageError` in one sentence."""

import os
import re
import tomllib
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any, Literal, get_args, get_origin, get_type_hints

import msgspec
from msgspec import Struct

from sojourn.checks import bad, checked
from sojourn.errors import UsageError
from sojourn.pipeline import (
    SOURCES,
    STREAM_FIELDS,
    TABLES,
    Csv,
    Experiment,
    Field,
    Fleet,
    Goal,
    Pipeline,
    Sessions,
    Source,
    Suspect,
    TableSettings,
    did_you_mean,
)

_TIMES = {"events": ("occurred_at",), "servers": ("created_at", "destroyed_at")}
_LABELS = ("experiments",)
_REQUIRED = {"events": ("occurred_at", "event_id", "session_key"), "servers": ("id",)}
_MEASURES = {"gap": '"30m"', "within": '"10s"', "max_record": '"16MiB"'}
_RESERVED = {"sojourn", "main", "temp", "system", "public", "information_schema", "pg_catalog", "memory", "state"}


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


def to_begin(name: str) -> str:
    """The command that publishes the pipeline *name* for the first time."""
    is_ready = name in ready_pipelines()
    sources = list(load(name).source) if is_ready else []
    given = [f"{source}=FILE" for source in sources] if len(sources) > 1 else ["FILE"]
    return f"sojourn run {name}{'' if is_ready else '.toml'} {' '.join(given)}"


def parse(text: str, *, name: str, where: str, folder: Path) -> Pipeline:
    """A checked pipeline from TOML *text*; *folder* is where its JSON Schema is looked for."""
    try:
        raw = tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise UsageError("bad_toml", f"{where} is not valid TOML: {error}") from error
    if "name" in raw:
        raise bad(where, "$.name", "a pipeline is named after its file; remove this key")
    return checked(_converted({**_spelled_out(raw, where), "name": name}, where), where, folder)


def with_rules(pipeline: Pipeline, changes: dict[str, Any], where: str) -> Pipeline:
    """*pipeline* with other rules, checked as a file's are, for *changes* as TOML has them; its sources stay.

    Raises `UsageError` ``bad_pipeline``, also for changes after which records would be read in another way.
    """
    plain = {name: value for name, value in msgspec.to_builtins(pipeline).items() if value is not None}
    del plain["name"], plain["source"]
    rules = _spelled_out(_merged(plain, changes), where)
    # a source as it is loaded holds the text of its JSON Schema, where a file names the schema's file
    sources = {name: msgspec.structs.replace(source, schema=None) for name, source in pipeline.source.items()}
    whole = {**rules, "name": pipeline.name, "source": msgspec.to_builtins(sources)}
    changed = checked(_converted(whole, where), where, Path())
    if changed.source != sources:
        raise bad(where, "$.sessions.rule", "would set other records aside than were; see: sojourn rebuild")
    return msgspec.structs.replace(changed, source=pipeline.source)


def _merged(base: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    """*base* with *changes*, section by section."""
    merged = dict(base)
    for key, value in changes.items():
        below = merged.get(key)
        merged[key] = _merged(below, value) if isinstance(below, dict) and isinstance(value, dict) else value
    return merged


def _converted(raw: dict[str, Any], where: str) -> Pipeline:
    try:
        return msgspec.convert(raw, Pipeline)
    except (msgspec.ValidationError, RecursionError) as error:
        raise UsageError("bad_pipeline", f"{where}: {_explain(str(error))}") from error


def schema_name(stem: str) -> str:
    """A pipeline's name from its file's: lower-case letters, digits and underscores."""
    name = re.sub(r"[^a-z0-9]+", "_", stem.lower()).strip("_") or "pipeline"
    name = f"p_{name}" if name[0].isdigit() or name in _RESERVED else name
    return name[:48]


def _spelled_out(raw: dict[str, Any], where: str) -> dict[str, Any]:
    """The TOML with short forms spelled out, and every unknown key refused with a suggestion."""
    _known_keys(raw, Pipeline, "$", where)
    sources = raw.get("source", {})
    if isinstance(sources, dict) and "fields" in sources:
        raise bad(where, "$.source", "name the source: [source.events] and [source.events.fields]")
    whole = dict(raw)
    if isinstance(sources, dict):
        if foreign := sorted(set(sources) - set(SOURCES)):
            hint = did_you_mean(foreign[0], SOURCES)
            known = "[source.events], and [source.servers] for servers that devices connect to"
            raise bad(where, f"$.source.{foreign[0]}", f"unknown source{hint} a pipeline has {known}")
        whole["source"] = {key: _source(value, key, where) for key, value in sources.items()}
    if "sessions" in raw:
        _known_keys(raw["sessions"], Sessions, "$.sessions", where)
        if isinstance(raw["sessions"], dict):
            _known_keys(raw["sessions"].get("suspect"), Suspect, "$.sessions.suspect", where)
        _of_kind(raw["sessions"], Sessions, "$.sessions", where)
    if "fleet" in raw:
        _known_keys(raw["fleet"], Fleet, "$.fleet", where)
        _of_kind(raw["fleet"], Fleet, "$.fleet", where)
    for section, kind in (("experiments", Experiment), ("goals", Goal)):
        for key, value in raw.get(section, {}).items() if isinstance(raw.get(section), dict) else ():
            _known_keys(value, kind, f"$.{section}.{key}", where)
            _of_kind(value, kind, f"$.{section}.{key}", where)
    tables = raw.get("tables", {})
    if isinstance(tables, dict):
        for key, value in tables.items():
            if key not in TABLES:
                hint = did_you_mean(key, TABLES)
                raise bad(where, f"$.tables.{key}", f"unknown table{hint} use some of {', '.join(TABLES)}")
            _known_keys(value, TableSettings, f"$.tables.{key}", where)
            _known_keys(isinstance(value, dict) and value.get("csv"), Csv, f"$.tables.{key}.csv", where)
            _of_kind(value, TableSettings, f"$.tables.{key}", where)
    return whole


def _source(raw: Any, source: str, where: str) -> Any:
    path = f"$.source.{source}"
    if not isinstance(raw, dict):
        return raw
    _known_keys(raw, Source, path, where)
    if source == "servers" and (idle := sorted({"dedupe", "drop"} & set(raw))):
        raise bad(where, f"{path}.{idle[0]}", "servers are always merged by id; remove this key")
    is_stream = raw.get("format") == "streams"
    fields = raw.get("fields", {} if is_stream else None)
    if not isinstance(fields, dict):
        return raw
    if is_stream:
        _nothing_that_streams_bring(raw, fields, path, where)
    spelled = {}
    for name, value in fields.items():
        entry: Any = {"path": value} if isinstance(value, str | list) else value
        if isinstance(entry, dict):
            _known_keys(entry, Field, f"{path}.fields.{name}", where)
            kind = "time" if name in _TIMES[source] else "labels" if name in _LABELS else "text"
            entry = {"type": kind, "path": name} | entry
            if name in _REQUIRED[source]:
                entry["required"] = True
        _of_kind(entry, Field, f"{path}.fields.{name}", where)
        spelled[name] = entry
    if is_stream:
        spelled = msgspec.to_builtins(STREAM_FIELDS) | spelled
    whole = {"dedupe": "id" if is_stream or "event_id" in spelled else "record"} | raw | {"fields": spelled}
    _of_kind(whole, Source, path, where)
    return whole


def _nothing_that_streams_bring(raw: dict[str, Any], fields: dict[str, Any], path: str, where: str) -> None:
    """Refuse what a source of streams has by itself: the fields of an entry, and its identity."""
    if "dedupe" in raw:
        told = "an entry is known by its session, its message's number and its position; remove this key"
        raise bad(where, f"{path}.dedupe", told)
    for name in fields:
        if name in STREAM_FIELDS:
            raise bad(where, f"{path}.fields.{name}", "every source of streams has this field; remove this key")
        if name == "event_id":
            raise bad(where, f"{path}.fields.event_id", "entries are known by their place; give the field another name")


def _known_keys(value: Any, kind: type[Struct], path: str, where: str) -> None:
    if not isinstance(value, dict):
        return
    known = [name for name in kind.__struct_fields__ if (kind, name) != (Pipeline, "name")]
    for key in value:
        if key not in known:
            hint = did_you_mean(key, known)
            raise bad(where, f"{path}.{key}", f"unknown key{hint} known here are {', '.join(known)}")


def _of_kind(value: Any, kind: type[Struct], path: str, where: str) -> None:
    """Refuse what does not make a *kind*: with its place by name, and the words that would do."""
    try:
        msgspec.convert(value, kind)
    except (msgspec.ValidationError, RecursionError) as error:
        text, _, below = str(error).partition(" - at `$")
        key = re.split(r"[.\[`]", below.removeprefix("."))[0]
        words = _words(get_type_hints(kind).get(key))
        choice = f"; use one of {', '.join(words)}" if words else ""
        at = path + below.rstrip("`")
        if (example := _MEASURES.get(at.rpartition(".")[2])) is not None:
            choice = f"; write a number with its unit, such as {example}"
        raise bad(where, at, text + choice) from error


def _words(hint: Any) -> list[str]:
    """The words that a type lets one choose from."""
    if get_origin(hint) is Literal:
        return list(get_args(hint))
    return [word for part in get_args(hint) for word in _words(part)]


def _explain(message: str) -> str:
    text, _, path = message.partition(" - at `")
    return f"{path.rstrip('`').removeprefix('$.')}: {text}" if path else text
