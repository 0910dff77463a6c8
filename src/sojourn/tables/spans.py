"""Spans: whole numbers (days, microseconds) from a first to a last, merged and counted; and how long rows last."""

from collections.abc import Sequence

import ibis
import ibis.expr.types as ir


def merged(spans: ir.Table, keys: Sequence[str], *, apart: int) -> ir.Table:
    """Spans of the same *keys* merged where the next begins at most *apart* after the last that was reached.

    Columns: *keys*, `first`, `last`.
    """
    sorting = {"group_by": list(keys), "order_by": [spans["first"], spans["last"]]}  # one for both windows
    marked = spans.mutate(
        _reached=spans["last"].max().over(ibis.window(**sorting, preceding=(None, 1))),
        _furthest=spans["last"].max().over(ibis.window(**sorting, preceding=0, following=None)),
    )
    opens = marked.filter(marked["_reached"].isnull() | (marked["first"] > marked["_reached"] + apart))
    # what was reached before the next one opens is where this one ends
    following = opens["_reached"].lead().over(ibis.window(group_by=list(keys), order_by=opens["first"]))
    return opens.select(*keys, "first", last=ibis.coalesce(following, opens["_furthest"]))


def changes(spans: ir.Table, keys: Sequence[str]) -> ir.Table:
    """How many spans more or less there are at each number: `keys, at, change`."""
    begin = spans.select(*keys, at=spans["first"], change=ibis.literal(1, "int64"))
    end = spans.select(*keys, at=spans["last"] + 1, change=ibis.literal(-1, "int64"))
    both = begin.union(end)
    return both.group_by([*keys, "at"]).aggregate(change=both.change.sum().cast("int64"))


def lasting(rows: ir.Table) -> ir.Value:
    """How long each of the *rows* lasts, in whole microseconds: their sum is the same in any order, and their quantiles
    on every engine.
    """
    return (rows.duration_seconds * 1_000_000).round().cast("int64")
