"""A pipeline that is mended: its contract before and after, and records that only the mended one accepts."""

import json
from pathlib import Path
from typing import Any

_TEXT = """
[source.events]
{source}

[source.events.fields]
occurred_at = {{ path = "at", required = true, formats = {formats} }}
actor = "who"
name = {{ path = "what", required = {required}, values = {values} }}
size = {{ path = "size", type = "integer" }}
{more}

[sessions]
rule = "gap"
gap = "{gap}"

[tables.sessions]
"""
USUAL: dict[str, Any] = {
    "source": "strict = true\nmax_record = '200B'",
    "formats": ["iso"],
    "required": "true",
    "values": ["a", "b"],
    "more": 'event_id = "id"',
    "gap": "30m",
}
LAX = USUAL["source"].replace("true", "false")


def pipeline(folder: Path, name: str = "shop", **changes: Any) -> Path:
    """A pipeline's file in *folder*, the usual one but for the *changes*."""
    path = folder / f"{name}.toml"
    folder.mkdir(parents=True, exist_ok=True)
    path.write_text(_TEXT.format(**USUAL | changes))
    return path


def record(number: int, **more: Any) -> str:
    """A line of the record *number*, which keeps the usual contract but for what is said *more*; None leaves out."""
    usual = {"id": str(number), "at": f"2024-03-01T10:{number:02}:00", "who": "c", "what": "a", "size": number}
    return json.dumps({name: value for name, value in (usual | more).items() if value is not None})


BROKEN = {
    "missing_field": record(11, what=None),
    "bad_time": record(12, at="01.03.2024 10:12"),
    "unknown_value": record(13, what="odd"),
    "bad_type": record(14, size="14"),
    "too_large": record(15, long="x" * 200),
    "invalid_json": record(16)[:-1],
    "not_an_object": "[17]",
}
"""Reason -> the line of a record that is refused for it."""

MENDS: dict[str, dict[str, Any]] = {
    "missing_field": {"required": "false"},
    "bad_time": {"formats": ["iso", "%d.%m.%Y %H:%M"]},
    "unknown_value": {"values": []},
    "bad_type": {"source": LAX},
    "too_large": {"source": USUAL["source"].replace("200B", "1KiB")},
}
"""Reason -> what is changed so that the record passes."""

GOOD = [record(1), record(2, what="b"), record(50, who="d")]


def content(*lines: str) -> bytes:
    """A file of *lines*."""
    return "".join(f"{line}\n" for line in lines).encode()
