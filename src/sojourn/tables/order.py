"""The total order of events, and picking by it."""

import re
from string import ascii_letters
from typing import Any

import ibis
import ibis.expr.types as ir

from sojourn.pipeline import Pipeline

NO_TEXT = "\ue000"
"""Stands for null where an aggregate would skip it: a character for private use."""


@ibis.udf.agg.builtin  # type: ignore[untyped-decorator]
def min_by(value: str, key: int) -> str:  # type: ignore[empty-body]
    """The value with the smallest key; both engines have it under this name."""


@ibis.udf.agg.builtin  # type: ignore[untyped-decorator]
def max_by(value: str, key: int) -> str:  # type: ignore[empty-body]
    """The value with the largest key."""


def total_order(pipeline: Pipeline) -> list[str]:
    """The columns of the total order: time, id, then the other fields as declared (semantics: Time)."""
    fields = pipeline.events.fields
    if pipeline.events.format == "streams":
        return ["occurred_at", *pipeline.events.identity]
    first: list[str] = [name for name in ("occurred_at", "event_id") if name in fields]
    if pipeline.events.dedupe == "id":
        return first  # after dedupe no two events share an id
    return first + [name for name in fields if name not in first]


def nulls_first(table: ir.Table, columns: list[str]) -> list[Any]:
    """Sort keys over *columns*: ascending, nulls first on every engine."""
    return [table[name].asc(nulls_first=True) for name in columns]


def first_text(value: ir.Value, placed: ir.Table) -> ir.Value:
    """The first non-null *value* by place; `NO_TEXT` stands for a null that counts."""
    return min_by(value, ibis.ifelse(value.notnull(), placed.place, None)).nullif(NO_TEXT)


def last_text(value: ir.Value, placed: ir.Table) -> ir.Value:
    """The last non-null *value* by place; `NO_TEXT` stands for a null that counts."""
    return max_by(value, ibis.ifelse(value.notnull(), placed.place, None)).nullif(NO_TEXT)


def is_named(events: ir.Table, name: str) -> ir.Value:
    """Whether an event has this *name*, in any case of the letters A-Z; never null."""
    either = "".join(f"[{c.upper()}{c.lower()}]" if c in ascii_letters else re.escape(c) for c in name)
    return events.name.re_search(rf"^{either}\z").fill_null(False)  # `$` would let a line break follow on Spark


def is_page_view(events: ir.Table) -> ir.Value:
    """Events named page_view, or every event of a source without names."""
    return is_named(events, "page_view") if "name" in events.columns else events.occurred_at.notnull()


def actor_text(events: ir.Table) -> ir.Value:
    """The actor as text; null where there is none, and for empty text."""
    if "actor" not in events.columns:
        return ibis.null("string")
    return events.actor.cast("string").nullif("")
