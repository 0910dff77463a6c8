"""A quarantined record's text, cut where it says why: before the offending value, the value, and after it."""

import re
from collections.abc import Mapping
from typing import Any, NamedTuple

AROUND = 400
"""Characters that are shown before and after the value, and of a text without one."""


class Marked(NamedTuple):
    """The text of a record in three parts; *value* is empty where it cannot be told. What was cut off is counted."""

    before: str
    value: str
    after: str
    cut_before: int
    cut_after: int


def marked(row: Mapping[str, Any]) -> Marked | None:
    """The parts of the record of a row of `sojourn.quarantine`; None where its text is too long to be shown."""
    raw: bytes | None = row["raw"]
    if raw is None:
        return None
    text = raw.decode("utf-8", "backslashreplace")
    start, end = _place(text, row["path"], row["value"]) if row["reason"] != "invalid_utf8" else _escaped(text)
    first = max(0, start - AROUND)
    end = min(end, start + 2 * AROUND)
    last = min(len(text), end + AROUND if end else 2 * AROUND)
    return Marked(text[first:start], text[start:end], text[end:last], first, len(text) - last)


def _place(text: str, path: str | None, value: str | None) -> tuple[int, int]:
    """Where *value* stands: behind the last name of *path*, or anywhere if it stands there once."""
    if not value or path in (None, "$"):
        return (0, 0) if not value or value != text.strip() else (text.index(value), text.index(value) + len(value))
    names = re.findall(r"[^.\[\]$]+", str(path))
    key = re.escape(names[-1]) if names else ""
    found = re.search(rf'"{key}"\s*:\s*"?({re.escape(value)})', text) if key and not key.isdigit() else None
    if found is not None:
        return found.span(1)
    at = text.find(value)
    return (at, at + len(value)) if at >= 0 and text.count(value) == 1 else (0, 0)


def _escaped(text: str) -> tuple[int, int]:
    """Where the first bytes stand that are no UTF-8."""
    found = re.search(r"(?:\\x[0-9a-f]{2})+", text)
    return found.span() if found is not None else (0, 0)
