"""Drafting a pipeline from a sample of a person's own file: what `sojourn init` writes."""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

from sojourn import times
from sojourn.errors import UsageError
from sojourn.loading import ready_pipelines, schema_name
from sojourn.pipeline import Source
from sojourn.reading import csv, judge
from sojourn.reading.documents import head, refuse_documents
from sojourn.reading.inputs import resolve

SAMPLE = 2_000
"""Records looked at."""

_NEARLY_ALL = 0.9  # some records of a real file are broken

_PATTERNS = (
    "%d/%m/%Y %H:%M:%S",
    "%m/%d/%Y %H:%M:%S",
    "%d.%m.%Y %H:%M:%S",
    "%Y/%m/%d %H:%M:%S",
    "%d-%m-%Y %H:%M:%S",
)
_ROLES = {
    "event_id": r"(^|[._-])(event|message|record|hit|log)?_?-?(id|uuid|guid)$",
    "name": r"(^|[._-])(type|event|event_?type|event_?name|action|activity|name|kind|verb)$",
    "actor": r"(user|customer|visitor|client|account|member|person|device|actor|(?<![a-z])uid|anonymous)"
    r"(.*(id|key|name))?$",
    "session_key": r"session",
    "url": r"(^|[._-])(url|page|path|href|uri|location|page_?url)$",
    "referrer": r"refer+er",
}
_TIME_NAME = re.compile(r"time|date|(^|[._-])(ts|at|when|created|occurred)$|_at$", re.IGNORECASE)
_EPOCHS = {
    "epoch_s": (8e8, 8e9),
    "epoch_ms": (8e11, 8e12),
    "epoch_us": (8e14, 8e15),
    "epoch_ns": (8e17, 8e18),
}


@dataclass
class Seen:
    """What a sample holds at one path: its values as text, and how many records lack it."""

    keys: tuple[str, ...]
    values: list[str] = field(default_factory=list)

    @property
    def name(self) -> str:
        """The path as a person reads it."""
        return ".".join(self.keys)


def default_name(file: str) -> Path:
    """``events.jsonl.gz`` -> ``events.toml``, in the current folder; never the name of a ready pipeline."""
    name = schema_name(Path(file).name.split(".")[0])
    return Path(f"my_{name}.toml" if name in ready_pipelines() else f"{name}.toml")


def draft(file: str) -> tuple[str, list[str]]:
    """The text of a pipeline for *file*, and remarks on what a person should check."""
    given = resolve([file], "jsonl")[0]
    if Path(file).is_dir():
        raise UsageError("not_a_file", f"{file} is a directory; name one file of it")
    refuse_documents(given)
    beginning = head(given)
    if beginning.startswith(b"PAR1"):
        raise UsageError(
            "not_text", f"{file} is Parquet; copy a ready pipeline (sojourn pipelines) and set its columns"
        )
    source_format, delimiter = _format(beginning, file)
    seen, count = _look(beginning, source_format, delimiter)
    if not count:
        raise UsageError("no_records", f"{file} holds no record that can be read; look with: head {file}")
    return _write(file, source_format, delimiter, seen, count)


def _format(beginning: bytes, file: str) -> tuple[str, str]:
    lines = [line for line in beginning.split(b"\n")[:50] if line.strip()]
    if any(line.lstrip().startswith(b"{") for line in lines):
        return "jsonl", ","
    first = lines[0].decode("utf-8", "replace") if lines else ""
    delimiter = max(",;\t|", key=first.count)
    if delimiter not in first:
        raise UsageError("unknown_format", f"{file} is neither JSON lines nor CSV, as far as its first lines tell")
    return "csv", delimiter


def _look(beginning: bytes, source_format: str, delimiter: str) -> tuple[dict[tuple[str, ...], Seen], int]:
    lines = [line.removesuffix(b"\r") for line in beginning.split(b"\n") if line.strip()]
    records = _json_records(lines) if source_format == "jsonl" else _csv_records(lines, delimiter)
    seen: dict[tuple[str, ...], Seen] = {}
    count = 0
    for record in islice(records, SAMPLE):
        count += 1
        for keys, value in _leaves(record, ()):
            seen.setdefault(keys, Seen(keys)).values.append(value)
    return seen, count


def _json_records(lines: list[bytes]) -> Iterator[dict[str, Any]]:
    for line in lines:
        parsed = judge.parse(line, 1 << 24)
        if isinstance(parsed, dict):
            yield parsed


def _csv_records(lines: list[bytes], delimiter: str) -> Iterator[dict[str, Any]]:
    names, _ = csv.header_of(lines[0], Source(fields={}, delimiter=delimiter))
    for line in lines[1:]:
        cells = csv.split(line.decode("utf-8", "replace"), delimiter)
        if cells is not None and len(cells) == len(names):
            yield dict(zip(names, cells, strict=True))


def _leaves(value: Any, keys: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], str]]:
    if isinstance(value, dict):
        for key, part in value.items():
            yield from _leaves(part, (*keys, key))
    elif isinstance(value, str) and keys:
        yield keys, value


def _write(
    file: str, source_format: str, delimiter: str, seen: dict[tuple[str, ...], Seen], count: int
) -> tuple[str, list[str]]:
    when, formats, remarks = _time(seen, count, file)
    roles = _roles(seen, count, when)
    lines = [f'title = "{_plain(Path(file).name)}: a first draft"', "", "[source.events]"]
    lines += [f'format   = "{source_format}"']
    lines += [f"delimiter = {json.dumps(delimiter)}"] if source_format == "csv" and delimiter != "," else []
    lines += ['timezone = "UTC"          # of times that say no offset']
    lines += [] if "event_id" in roles else ['dedupe   = "record"       # no id was found: equal records are one event']
    lines += [
        "",
        "[source.events.fields]",
        "# a field = the path to it; sessions, pages and metrics go by these names",
    ]
    lines += [_field("occurred_at", when, source_format, "required = true, " + formats)]
    for role, found in roles.items():
        always = role in ("event_id", "session_key") or (role == "name" and len(found.values) == count)
        lines.append(_field(role, found, source_format, "required = true" if always else ""))
    used = {when.keys, *(found.keys for found in roles.values())}
    others = [found.name for found in seen.values() if found.keys not in used]
    lines += [f"# also in the file: {_plain(', '.join(others[:40]))}"] if others else []
    lines += ["", *_rules(roles, file)]
    if "event_id" not in roles:
        remarks.append("no field looks like an id of its own for each event: equal records count once")
    return "\n".join(lines) + "\n", remarks


def _rules(roles: dict[str, Seen], file: str) -> list[str]:
    lines: list[str] = []
    if "session_key" in roles:
        lines += [
            "[sessions]",
            'rule = "key"              # the source names its sessions; or "gap", with an actor',
            "",
        ]
    elif "actor" in roles:
        lines += [
            "[sessions]",
            'rule = "gap"',
            'gap  = "30m"              # a longer pause opens a new session',
        ]
        lines += ['# goal = "placed_order"   # the name of the event that counts as success', ""]
    tables = ["sessions"] if lines else []
    tables += ["session_durations_by_referrer"] if lines and "referrer" in roles else []
    tables += ["hourly_activity"] if "url" in roles else []
    tables += ["pages"] if {"url", "session_key"} <= set(roles) else []
    tables += ["transitions"] if {"url", "actor", "name"} <= set(roles) else []
    if not tables:
        raise UsageError(
            "no_roles",
            f"{file} has a time, but no field that looks like a user, a session or a page; write the pipeline by "
            "hand: sojourn pipelines webshop > mine.toml",
        )
    return lines + [f"[tables.{name}]" for name in tables]


def _time(seen: dict[tuple[str, ...], Seen], count: int, file: str) -> tuple[Seen, str, list[str]]:
    """The field of the time, its formats as TOML, and what to check."""
    best: tuple[float, Seen, str] | None = None
    for found in seen.values():
        for name in ("iso", *_EPOCHS, *_PATTERNS):
            share = sum(_reads(value, name) for value in found.values) / count
            score = share + (0.5 if _TIME_NAME.search(found.keys[-1]) else 0)
            epoch_without_name = name in _EPOCHS and score == share
            if share > 0.5 and not epoch_without_name and (best is None or score > best[0]):
                best = (score, found, name)
    if best is None:
        names = ", ".join(found.name for found in seen.values())
        raise UsageError("no_time", f"no field of {file} reads as a time in most records; it has: {names}")
    _, found, name = best
    other = {_PATTERNS[0]: _PATTERNS[1], _PATTERNS[1]: _PATTERNS[0]}.get(name)
    remarks = []
    if other is not None and all(_reads(value, other) for value in found.values if _reads(value, name)):
        remarks.append(f"{found.name} reads as day-month and as month-day alike; CHECK formats (drafted: {name})")
    return found, "" if name == "iso" else f"formats = [{json.dumps(name)}]", remarks


def _reads(value: str, name: str) -> bool:
    if name in _EPOCHS:
        low, high = _EPOCHS[name]
        return times.is_number(value) and low <= float(value) <= high
    zone = times.zone_named("UTC")
    read = times.parse_iso(value, zone) if name == "iso" else times.parse_pattern(value, name, zone)
    return read is not None


def _roles(seen: dict[tuple[str, ...], Seen], count: int, when: Seen) -> dict[str, Seen]:
    roles: dict[str, Seen] = {}
    for role in ("session_key", "actor", "event_id", "name", "referrer", "url"):
        fitting = [
            found
            for found in seen.values()
            if found is not when
            and found not in roles.values()
            and re.search(_ROLES[role], found.name, re.IGNORECASE)
            and _fits(role, found, count)
        ]
        if fitting:
            roles[role] = max(fitting, key=lambda found: (len(found.values), -len(found.keys)))
    return {role: roles[role] for role in _ROLES if role in roles}


def _fits(role: str, found: Seen, count: int) -> bool:
    different = len(set(found.values))
    if role == "session_key":
        return len(found.values) >= _NEARLY_ALL * count
    if role == "event_id":
        return min(len(found.values), different) >= _NEARLY_ALL * count
    if role == "name":
        return different <= max(50, count // 20)
    return True


def _field(role: str, found: Seen, source_format: str, more: str) -> str:
    dotted = source_format == "csv" or not any("." in key for key in found.keys)
    path = json.dumps(found.name if dotted else list(found.keys), ensure_ascii=False)
    more = more.strip(", ")
    value = f"{{ path = {path}, {more} }}" if more else path
    return f"{role:<11} = {value}"


def _plain(text: str) -> str:
    return re.sub(r'[\x00-\x1f\x7f"\\]', "?", text)
