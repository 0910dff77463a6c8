"""One JSON line and a contract: an event, or the one reason why not (semantics 1.2 to 1.6, 2.1)."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tests.reference import times
from tests.reference.jsontext import MAX_DEPTH, InvalidJsonError, is_number, nesting, parse

if TYPE_CHECKING:
    from tests.reference.jsontext import Node

Value = str | int | float | bool | None
Event = dict[str, Value]

# The order in which reasons hold; those before missing_field are about the line as a whole.
FIELD_REASONS = ("missing_field", "bad_type", "bad_time", "unknown_value")


@dataclass(frozen=True)
class Field:
    """A declared field. *type*: text, integer, number, boolean, time or labels.

    *formats* (of a time): "iso", "epoch_s", "epoch_ms", "epoch_us", "epoch_ns" or strptime patterns.
    """

    name: str
    path: tuple[str, ...]
    type: str = "text"
    required: bool = False
    values: tuple[Value, ...] | None = None
    formats: tuple[str, ...] = ("iso",)


@dataclass(frozen=True)
class Contract:
    """The declared shape of a source; fields in declared order."""

    fields: tuple[Field, ...]
    timezone: str = "UTC"
    max_record: int = 16 * 1024 * 1024
    strict: bool = False


@dataclass(frozen=True)
class Blank:
    """The line is no record."""


@dataclass(frozen=True)
class Accepted:
    """The line kept the contract: the value of every declared field, times as epoch microseconds."""

    values: Event


@dataclass(frozen=True)
class Rejected:
    """The line broke the contract. *path* and *value* are None where the whole line is at fault."""

    reason: str
    path: str | None = None
    value: str | None = None


def read_lines(data: bytes) -> list[tuple[int, bytes]]:
    """The lines of a file with their numbers from 1, without BOM and newlines (semantics 1.4)."""
    lines = data.removeprefix(b"\xef\xbb\xbf").split(b"\n")
    last = lines.pop()  # what follows the last newline: a line only if there is something
    lines = [line.removesuffix(b"\r") for line in lines] + ([last] if last else [])
    return list(enumerate(lines, start=1))


def judge(raw: bytes, contract: Contract) -> Accepted | Rejected | Blank:
    """Where one line ends, of a file already cut by `read_lines`."""
    if not raw.strip():  # bytes.strip: ASCII white space
        return Blank()
    record = _read_line(raw, contract)
    return record if isinstance(record, Rejected) else _read_fields(record, contract)


def _read_line(raw: bytes, contract: Contract) -> Node | Rejected:
    """The object that the line holds."""
    if len(raw) > contract.max_record or nesting(raw) > MAX_DEPTH:
        return Rejected("too_large")
    try:
        record = parse(raw.decode("utf-8"))
    except UnicodeDecodeError:
        return Rejected("invalid_utf8")
    except InvalidJsonError:
        return Rejected("invalid_json")
    return record if record.kind == "object" else Rejected("not_an_object")


def _read_fields(record: Node, contract: Contract) -> Accepted | Rejected:
    """The values of all fields, or the rejection that comes first by reason, then by field."""
    values: Event = {}
    rejections: list[Rejected] = []
    for field in contract.fields:
        outcome = _read_field(record, field, contract)
        if isinstance(outcome, Rejected):
            rejections.append(outcome)
        else:
            values[field.name] = outcome
    for reason in FIELD_REASONS:
        for rejected in rejections:  # in declared order of the fields
            if rejected.reason == reason:
                return rejected
    return Accepted(values)


def _read_field(record: Node, field: Field, contract: Contract) -> Value | Rejected:
    """The field's value in the record, or the first thing wrong with this field."""
    path = "$." + ".".join(field.path)
    node: Node | None = record
    for depth, key in enumerate(field.path):
        assert node is not None
        node = node.members.get(key)
        if node is None or node.kind == "null":
            return Rejected("missing_field", path) if field.required else None
        is_parent = depth < len(field.path) - 1
        if is_parent and node.kind != "object":
            return Rejected("bad_type", "$." + ".".join(field.path[: depth + 1]), _shown(node))
    assert node is not None
    value, reason = _coerce(node, field, contract)
    if reason is None and field.values is not None and value not in field.values:
        reason = "unknown_value"
    return value if reason is None else Rejected(reason, path, _shown(node))


def _shown(node: Node) -> str:
    return node.text if node.kind == "text" else node.source


def _coerce(node: Node, field: Field, contract: Contract) -> tuple[Value, str | None]:
    """The value under the declared type, and None or the reason why it has none (semantics 1.5)."""
    if field.type == "time":
        return _read_time(node, field, contract)
    value: Value = None
    if field.type == "text":
        value = _as_text(node, contract.strict)
    elif field.type == "integer":
        value = _as_integer(node, contract.strict)
    elif field.type == "number":
        value = _as_number(node, contract.strict)
    elif field.type == "boolean":
        value = node.source == "true" if node.kind == "boolean" else None
    elif field.type == "labels":
        value = _as_labels(node, contract.strict)
    else:
        raise ValueError(f"no type {field.type!r}")
    return value, "bad_type" if value is None else None


def _as_text(node: Node, strict: bool) -> str | None:
    if node.kind == "text":
        return node.text
    if node.kind == "number" and not strict:
        return node.source
    return None


def _as_labels(node: Node, strict: bool) -> str | None:
    """All labels once, in order, joined by commas: of a text or a list of texts (semantics 9.1)."""
    labels: set[str] = set()
    for part in node.items if node.kind == "array" else (node,):
        text = _as_text(part, strict)
        if text is None:
            return None
        labels.update(label.strip() for label in text.split(",") if label.strip())
    return ",".join(sorted(labels, key=lambda label: label.encode("utf-8", "surrogatepass")))


def _as_integer(node: Node, strict: bool) -> int | None:
    if node.kind == "number" or (node.kind == "text" and not strict):
        digits = _shown(node)
        # Twenty places hold every 64-bit integer; Python refuses to convert very long ones.
        if re.fullmatch(r"-?0*[0-9]{1,19}", digits):
            value = int(re.sub(r"^(-?)0+(?=[0-9])", r"\1", digits))
            if -(2**63) <= value < 2**63:
                return value
    return None


def _as_number(node: Node, strict: bool) -> float | None:
    if node.kind == "number" or (node.kind == "text" and not strict and is_number(node.text)):
        value = float(_shown(node))
        if math.isfinite(value):
            return value
    return None


def _read_time(node: Node, field: Field, contract: Contract) -> tuple[Value, str | None]:
    is_epoch = [form in times.UNITS for form in field.formats]
    if node.kind not in ("text", "number") or (node.kind == "number" and not any(is_epoch)):
        return None, "bad_type"
    for form in field.formats:  # the first format that reads it
        value: int | None = None
        if form in times.UNITS:
            if node.kind == "number" or (not contract.strict and is_number(node.text)):
                value = times.read_epoch(_shown(node), form)
        elif node.kind == "text" and form == "iso":
            value = times.read_iso(node.text, contract.timezone)
        elif node.kind == "text":
            value = times.read_pattern(node.text, form, contract.timezone)
        if value is not None:
            return value, None
    return None, "bad_time"
