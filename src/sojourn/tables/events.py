"""Events: landed records made one per identity, and what that says of every record."""

import ibis
import ibis.expr.types as ir

from sojourn.pipeline import Pipeline
from sojourn.tables.order import nulls_first, total_order


def identity(pipeline: Pipeline) -> list[str]:
    """The fields that make two records the same event; none when dedupe is off."""
    match pipeline.events.dedupe:
        case "id":
            return ["event_id"]
        case "record":
            return list(pipeline.events.fields)
        case "off":
            return []


def repeated(landed: ir.Table, pipeline: Pipeline) -> ir.Table:
    """Identities that more than one landed record has. Grain: one row per such identity."""
    counted = landed.group_by(identity(pipeline)).aggregate(copies=landed.count())
    return counted.filter(counted.copies > 1).drop("copies")


def events(landed: ir.Table, repeats: ir.Table, pipeline: Pipeline) -> ir.Table:
    """One row per event: of records with one identity the first in the total order is kept.

    Columns: those of *landed*, times as epoch microseconds.
    """
    fields = landed.columns
    keys = identity(pipeline)
    if not keys:
        return landed
    single = landed.anti_join(repeats, _same(landed, repeats, keys)).select(fields)
    several = landed.semi_join(repeats, _same(landed, repeats, keys))
    kept = _ranked(several, pipeline, [])
    return single.union(kept.filter(kept.place == 0).select(fields))


def duplicates(parts: ir.Table, repeats: ir.Table, pipeline: Pipeline) -> ir.Table:
    """How many records of each new part are duplicates, and how many of them conflict.

    *parts* are landed records with `part` (a number, in order of reading) and `is_new` (whether this
    run brought it). Grain: one row per part with duplicates; columns `part, duplicate, conflicting`.
    An identity that an earlier run accepted stays that run's; else this run's first in order is accepted.
    """
    keys = identity(pipeline)
    fields = list(pipeline.events.fields)
    several = parts.semi_join(repeats, _same(parts, repeats, keys))
    ranked = _ranked(several, pipeline, ["part"])
    whole = ibis.window(group_by=[ranked[key] for key in keys])
    old_place = ibis.ifelse(ranked.is_new, None, ranked.place)
    new_place = ibis.ifelse(ranked.is_new, ranked.place, None)
    ranked = ranked.mutate(first_old=old_place.min().over(whole), first_new=new_place.min().over(whole))
    ranked = ranked.mutate(
        is_duplicate=ranked.is_new & (ranked.first_old.notnull() | (ranked.place != ranked.first_new)),
        # a duplicate is compared with the event that is kept; one that wins with the event it replaces
        rival=ibis.ifelse(ranked.place == 0, ranked.first_old, 0),
    )
    rivals = ranked.select(
        *[ranked[key].name(f"k_{key}") for key in keys],
        *[ranked[name].name(f"r_{name}") for name in fields],
        rival_place=ranked.place,
    )
    same_identity = [ranked[key].identical_to(rivals[f"k_{key}"]) for key in keys]
    paired = ranked.filter(ranked.is_duplicate)
    same_identity = [paired[key].identical_to(rivals[f"k_{key}"]) for key in keys]
    paired = paired.inner_join(rivals, [*same_identity, paired.rival == rivals.rival_place])
    differs = ibis.or_(*[~paired[name].identical_to(paired[f"r_{name}"]) for name in fields])
    return paired.group_by("part").aggregate(duplicate=paired.count(), conflicting=differs.cast("int64").sum())


def _same(left: ir.Table, right: ir.Table, keys: list[str]) -> list[ir.Value]:
    return [left[key].identical_to(right[key]) for key in keys]


def _ranked(records: ir.Table, pipeline: Pipeline, then: list[str]) -> ir.Table:
    """*records* with `place`, from 0 in the total order within their identity."""
    fields = list(pipeline.events.fields)
    full = [*total_order(pipeline), *fields]  # copies of one id are told apart by their other fields
    order = nulls_first(records, [*dict.fromkeys(full), *then])
    window = ibis.window(group_by=[records[key] for key in identity(pipeline)], order_by=order)
    return records.mutate(place=ibis.row_number().over(window))
