"""The total order of events, and picking by it."""

from typing import Any

import ibis
import ibis.expr.types as ir

from sojourn.pipeline import Pipeline

_UPPER, _LOWER = "ABCDEFGHIJKLMNOPQRSTUVWXYZ", "abcdefghijklmnopqrstuvwxyz"
_TO_LOWER = str.maketrans(_UPPER, _LOWER)
_NO_TEXT = "\ue000"  # stands for null where an aggregate would skip it; a private character


@ibis.udf.agg.builtin  # type: ignore[untyped-decorator]
def min_by(value: str, key: int) -> str:  # type: ignore[empty-body]
    """The value with the smallest key; both engines have it under this name."""


@ibis.udf.agg.builtin  # type: ignore[untyped-decorator]
def max_by(value: str, key: int) -> str:  # type: ignore[empty-body]
    """The value with the largest key."""


def total_order(pipeline: Pipeline) -> list[str]:
    """The columns of the total order: time, id, then the other fields as declared (semantics: Time)."""
    fields = pipeline.events.fields
    first: list[str] = [name for name in ("occurred_at", "event_id") if name in fields]
    if pipeline.events.dedupe == "id":
        return first  # after dedupe no two events share an id
    return first + [name for name in fields if name not in first]


def nulls_first(table: ir.Table, columns: list[str]) -> list[Any]:
    """Sort keys over *columns*: ascending, nulls first on every engine."""
    return [table[name].asc(nulls_first=True) for name in columns]


def first_text(value: ir.Value, position: ir.Value) -> ir.Value:
    """The text at the smallest non-null *position*, which may itself be null."""
    return min_by(value.fill_null(_NO_TEXT), position).nullif(_NO_TEXT)


def last_text(value: ir.Value, position: ir.Value) -> ir.Value:
    """The text at the largest non-null *position*, which may itself be null."""
    return max_by(value.fill_null(_NO_TEXT), position).nullif(_NO_TEXT)


def ascii_lower(text: ir.Value) -> ir.Value:
    """*text* with A-Z lowered and nothing else touched."""
    return text.translate(_UPPER, _LOWER)


def is_named(events: ir.Table, name: str) -> ir.Value:
    """Whether an event has this *name*, in any letter case; never null."""
    return (ascii_lower(events.name) == name.translate(_TO_LOWER)).fill_null(False)


def is_page_view(events: ir.Table) -> ir.Value:
    """Events named page_view, or every event of a source without names."""
    return is_named(events, "page_view") if "name" in events.columns else events.occurred_at.notnull()


def actor_text(events: ir.Table) -> ir.Value:
    """The actor as text; null where there is none, and for empty text."""
    if "actor" not in events.columns:
        return ibis.null("string")
    return events.actor.cast("string").nullif("")
