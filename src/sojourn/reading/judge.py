"""The slow, exact judgement of one JSON record. It alone gives reasons.

The fast decoder (`reading.jsonl`) accepts only what this module would accept with the same values;
whatever the decoder refuses or doubts comes here.
"""

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple, cast
from zoneinfo import ZoneInfo

from sojourn import json_schema, times
from sojourn.ledger import REASONS
from sojourn.pipeline import Field, Source, parse_size

MAX_DEPTH = 128
_BRACKETS = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+(?:"|\\?\Z)|[\[{]|[\]}]', re.DOTALL)
_INTEGER = re.compile(r"-?[0-9]+", re.ASCII)
_RANK = {reason: rank for rank, reason in enumerate(REASONS)}

Value = str | int | float | bool | None


class Reject(NamedTuple):
    """Why a record broke the contract: *path* says where, *value* is the offending value as text."""

    reason: str
    path: str
    value: str | None


class Number(str):
    """A JSON number, by the digits that stand in the source."""

    __slots__ = ()


@dataclass(frozen=True)
class Contract:
    """What a source's records must keep, ready for use."""

    source: Source

    @cached_property
    def fields(self) -> list[tuple[str, Field, tuple[str, ...]]]:
        """Name, declaration and keys of every field, in declared order."""
        return [(name, field, field.keys(self.source.format)) for name, field in self.source.fields.items()]

    @cached_property
    def zone(self) -> ZoneInfo:
        """The zone of times without an offset."""
        return times.zone_named(self.source.timezone)

    @cached_property
    def max_record(self) -> int:
        """The longest record in bytes."""
        return parse_size(self.source.max_record)

    @cached_property
    def schema(self) -> Any:
        """The validator of the JSON Schema, or None."""
        return None if self.source.schema is None else json_schema.validator(json.loads(self.source.schema))


def judge(line: bytes, contract: Contract) -> tuple[Value, ...] | Reject:
    """The record's values in declared order (times in epoch microseconds), or why it is refused."""
    document = parse(line, contract.max_record)
    if isinstance(document, Reject):
        return document
    verdict = first_reason(field_value(document, field, keys, contract) for _, field, keys in contract.fields)
    if isinstance(verdict, Reject) or contract.schema is None:
        return verdict
    return _breach(document, list(verdict), contract) or verdict


def first_reason(outcomes: Iterable[Value | Reject]) -> tuple[Value, ...] | Reject:
    """All values, or the reject whose reason comes first; of equal ones the first declared."""
    found = list(outcomes)
    rejects = [outcome for outcome in found if isinstance(outcome, Reject)]
    if rejects:
        return min(rejects, key=lambda reject: _RANK[reject.reason])
    return tuple(cast("list[Value]", found))


def parse(line: bytes, max_record: int) -> dict[str, Any] | Reject:
    """The JSON object on *line*, its numbers by their digits, or the whole-line reason against it."""
    if len(line) > max_record or depth(line) > MAX_DEPTH:
        return Reject("too_large", "$", None)
    try:
        text = line.decode()
    except UnicodeDecodeError:
        return Reject("invalid_utf8", "$", None)
    try:
        document = _DECODER.decode(text)
        if "\\u" in text:
            # half a pair of surrogates is no text, also in what a later key of the same name replaces
            json.dumps(_EVERY_PAIR.decode(text), ensure_ascii=False).encode()
    except ValueError:
        return Reject("invalid_json", "$", None)
    return document if isinstance(document, dict) else Reject("not_an_object", "$", as_text(document))


def depth(line: bytes) -> int:
    """How deep brackets nest outside of strings, also in text that is not JSON; at most one past `MAX_DEPTH`."""
    deepest = level = 0
    for found in _BRACKETS.finditer(line):
        if found[0] in (b"[", b"{"):
            level += 1
            deepest = max(deepest, level)
            if deepest > MAX_DEPTH:
                break
        elif found[0] in (b"]", b"}"):
            level -= 1
    return deepest


def as_text(value: Any) -> str:
    """A value as it is shown in quarantine: text as it is, everything else as JSON, numbers by their digits."""
    return str(value) if isinstance(value, str) else _as_json(value)


def _as_json(value: Any) -> str:
    if isinstance(value, Number):
        return str(value)
    if isinstance(value, dict):
        return f"{{{', '.join(f'{_as_json(key)}: {_as_json(part)}' for key, part in value.items())}}}"
    if isinstance(value, list):
        return f"[{', '.join(map(_as_json, value))}]"
    return json.dumps(value, ensure_ascii=False, default=str)


def plain(value: Any) -> Any:
    """The JSON value with its numbers as Python's."""
    if isinstance(value, Number):
        return int(value) if _INTEGER.fullmatch(value) and len(value) < 4000 else float(value)
    if isinstance(value, dict):
        return {key: plain(part) for key, part in value.items()}
    if isinstance(value, list):
        return [plain(part) for part in value]
    return value


def dotted(keys: tuple[str, ...], root: str = "$") -> str:
    """A path as it is shown: ``$.event.timestamp``."""
    return ".".join((root, *keys))


def coerce(value: Any, field: Field, path: str, contract: Contract) -> Value | Reject:
    """A present value under its declared type, or why it breaks it."""
    strict = contract.source.strict
    bad = Reject("bad_type", path, as_text(value))
    result: Value = None
    match field.type:
        case "text":
            result = str(value) if isinstance(value, str) and not (strict and isinstance(value, Number)) else None
        case "integer":
            result = _integer(value, strict)
        case "number":
            result = _number(value, strict)
        case "boolean":
            result = value if isinstance(value, bool) else None
        case "labels":
            result = _labels(value, strict)
        case "time":
            return _time(value, field, bad, contract)
    if result is None:
        return bad
    if field.values and result not in field.values:
        return Reject("unknown_value", path, as_text(value))
    return result


def field_value(
    document: dict[str, Any], field: Field, keys: tuple[str, ...], contract: Contract, root: str = "$"
) -> Value | Reject:
    """The value of one field of *document*, which stands at the path *root*; or why it breaks its declaration."""
    value: Any = document
    for depth_, key in enumerate(keys):
        if value is None:
            break
        if not isinstance(value, dict):
            return Reject("bad_type", dotted(keys[:depth_], root), as_text(value))
        value = value.get(key)
    if value is None:
        return Reject("missing_field", dotted(keys, root), None) if field.required else None
    return coerce(value, field, dotted(keys, root), contract)


def _integer(value: Any, strict: bool) -> int | None:
    if not isinstance(value, str) or (strict and not isinstance(value, Number)):
        return None
    if _INTEGER.fullmatch(value) is None or len(value.lstrip("-").lstrip("0")) > 19:
        return None
    number = int(value)
    return number if -(1 << 63) <= number < 1 << 63 else None


def _number(value: Any, strict: bool) -> float | None:
    if not isinstance(value, str) or (strict and not isinstance(value, Number)) or not times.is_number(value):
        return None
    number = float(value)
    return number if abs(number) != float("inf") else None


def _labels(value: Any, strict: bool) -> str | None:
    parts = value if isinstance(value, list) else [value]
    are_texts = all(isinstance(part, str) and not (strict and isinstance(part, Number)) for part in parts)
    return one_text(",".join(map(str, parts))) if are_texts else None


def one_text(labels: str) -> str:
    """Labels separated by commas, each once and in the order of bytes: the form in which they land."""
    return ",".join(sorted({label.strip() for label in labels.split(",")} - {""}))


def _time(value: Any, field: Field, bad: Reject, contract: Contract) -> int | Reject:
    formats = field.formats or ("iso",)
    epochs = [name for name in formats if name in times.EPOCH_UNITS]
    if not isinstance(value, str) or (isinstance(value, Number) and not epochs):
        return bad
    for name in formats:
        if name in times.EPOCH_UNITS:
            readable = isinstance(value, Number) or not contract.source.strict
            instant = times.parse_epoch(value, name) if readable else None
        elif isinstance(value, Number):
            instant = None
        elif name == "iso":
            instant = times.parse_iso(value, contract.zone)
        else:
            instant = times.parse_pattern(value, name, contract.zone)
        if instant is not None:
            return instant
    return Reject("bad_time", bad.path, bad.value)


def _breach(document: dict[str, Any], values: list[Value], contract: Contract) -> Reject | None:
    """The first breach of the JSON Schema by the record, its declared fields coerced."""
    whole = plain(document)
    for (_, field, keys), value in zip(contract.fields, values, strict=True):
        if field.type not in ("time", "labels") and value is not None:
            parent = whole
            for key in keys[:-1]:
                parent = parent[key]
            parent[keys[-1]] = value
    breaches = json_schema.breaches(whole, contract.schema)
    if not breaches:
        return None
    where = "/".join(str(part) for part in breaches[0].absolute_schema_path)
    return Reject("schema", f"#/{where}", as_text(breaches[0].instance))


def _refuse(constant: str) -> Any:
    raise ValueError(f"{constant} is not JSON")


_DECODER = json.JSONDecoder(parse_int=Number, parse_float=Number, parse_constant=_refuse)
_EVERY_PAIR = json.JSONDecoder(object_pairs_hook=list, parse_int=str, parse_float=str)
