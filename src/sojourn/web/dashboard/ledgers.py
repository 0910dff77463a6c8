"""A run's ledger as a bar: where its records ended, one part after the other."""

from collections.abc import Mapping
from typing import Any, NamedTuple

ENDS = ("accepted", "duplicate", "dropped")
WIDTH = 1000
"""Units of a whole bar."""

_LEAST = 3  # units of the smallest part: a single record of a million is to be seen


class Part(NamedTuple):
    """A part of a bar, in units from its left: an *end*, and its *reason* if it has several."""

    end: str
    reason: str | None
    records: int
    start: float
    width: float


class Bar(NamedTuple):
    """The *parts* of a ledger, and all of it in words."""

    parts: list[Part]
    words: str


def bar(row: Mapping[str, Any], quarantined: Mapping[str, int]) -> Bar:
    """The bar of a row of `sojourn.runs`, with its *quarantined* records by reason."""
    counted: list[tuple[str, str | None, int]] = [(end, None, row[end]) for end in ENDS]
    reasons = dict(sorted(quarantined.items(), key=lambda each: (-each[1], each[0])))
    counted += [("quarantined", reason, records) for reason, records in reasons.items()]
    shown = [each for each in counted if each[2]]
    widths = _widths([records for _, _, records in shown])
    parts, start = [], 0.0
    for (end, reason, records), width in zip(shown, widths, strict=True):
        parts.append(Part(end, reason, records, round(start, 2), round(width, 2)))
        start += width
    told = [f"{row[end]:,} {end}" for end in (*ENDS, "quarantined") if row[end]]
    return Bar(parts, f"{row['read']:,} read: {', '.join(told)}" if told else "nothing was read")


def _widths(counts: list[int]) -> list[float]:
    """Shares of the whole bar; what would be too small to see takes its width from all others."""
    total = sum(counts)
    wide = [max(_LEAST, WIDTH * count / total) for count in counts]
    return [each * WIDTH / sum(wide) for each in wide]
