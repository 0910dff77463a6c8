"""Events: landed records made one per identity, and what that says of every record.

Columns that are needed on the way begin with `_`, as no field of a pipeline does.
"""

import ibis
import ibis.expr.types as ir

from sojourn.pipeline import Pipeline
from sojourn.tables.order import nulls_first, total_order


def identity(pipeline: Pipeline) -> list[str]:
    """The fields that make two records the same event; none when dedupe is off."""
    return list(pipeline.events.identity)


def repeated(landed: ir.Table, pipeline: Pipeline) -> ir.Table:
    """Identities that more than one landed record has. Grain: one row per such identity."""
    counted = landed.group_by(identity(pipeline)).aggregate(_copies=landed.count())
    return counted.filter(counted["_copies"] > 1).drop("_copies")


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
    return single.union(kept.filter(kept["_place"] == 0).select(fields))


def duplicates(parts: ir.Table, repeats: ir.Table, pipeline: Pipeline) -> ir.Table:
    """How many records of each new part are duplicates, and how many of them conflict.

    *parts* are landed records with `_part` (a number, in order of reading) and `_is_new` (whether this
    run brought it). Grain: one row per part with duplicates; columns `_part, duplicate, conflicting`.
    An identity that an earlier run accepted stays that run's; else this run's first in order is accepted.
    """
    keys = identity(pipeline)
    fields = list(pipeline.events.fields)
    ranked = _judged(parts, repeats, pipeline)
    # a duplicate is compared with the event that is kept; one that wins with the event it replaces
    ranked = ranked.mutate(_rival=ibis.ifelse(ranked["_place"] == 0, ranked["_first_old"], 0))
    rivals = ranked.select(
        *[ranked[key].name(f"_key_{key}") for key in keys],
        *[ranked[name].name(f"_rival_{name}") for name in fields],
        _place_of_rival=ranked["_place"],
    )
    paired = ranked.filter(ranked["_is_duplicate"])
    same_identity = [paired[key].identical_to(rivals[f"_key_{key}"]) for key in keys]
    paired = paired.inner_join(rivals, [*same_identity, paired["_rival"] == rivals["_place_of_rival"]])
    differs = ibis.or_(*[~paired[name].identical_to(paired[f"_rival_{name}"]) for name in fields])
    return paired.group_by("_part").aggregate(duplicate=paired.count(), conflicting=differs.cast("int64").sum())


def accepted(parts: ir.Table, chosen: ir.Table, repeats: ir.Table, pipeline: Pipeline) -> ir.Table:
    """Of the *chosen* among *parts* the new records that count as accepted: the pipeline's fields and `_part`."""
    columns = [*pipeline.events.fields, "_part"]
    keys = identity(pipeline)
    new = chosen.filter(chosen["_is_new"])
    if not keys:
        return new.select(columns)
    single = new.anti_join(repeats, _same(new, repeats, keys)).select(columns)
    judged = _judged(parts, repeats, pipeline)
    return single.union(judged.filter(judged["_is_new"] & ~judged["_is_duplicate"]).select(columns))


def _judged(parts: ir.Table, repeats: ir.Table, pipeline: Pipeline) -> ir.Table:
    """Records whose identity others have too, with `_place`, `_first_old` and whether each `_is_duplicate`."""
    keys = identity(pipeline)
    several = parts.semi_join(repeats, _same(parts, repeats, keys))
    ranked = _ranked(several, pipeline, ["_part"])
    whole = ibis.window(group_by=[ranked[key] for key in keys])
    old_place = ibis.ifelse(ranked["_is_new"], None, ranked["_place"])
    new_place = ibis.ifelse(ranked["_is_new"], ranked["_place"], None)
    ranked = ranked.mutate(_first_old=old_place.min().over(whole), _first_new=new_place.min().over(whole))
    is_duplicate = ranked["_first_old"].notnull() | (ranked["_place"] != ranked["_first_new"])
    return ranked.mutate(_is_duplicate=ranked["_is_new"] & is_duplicate)


def _same(left: ir.Table, right: ir.Table, keys: list[str]) -> list[ir.Value]:
    return [left[key].identical_to(right[key]) for key in keys]


def _ranked(records: ir.Table, pipeline: Pipeline, then: list[str]) -> ir.Table:
    """*records* with `_place`, from 0 in the total order within their identity."""
    fields = list(pipeline.events.fields)
    full = [*total_order(pipeline), *fields]  # copies of one id are told apart by their other fields
    order = nulls_first(records, [*dict.fromkeys(full), *then])
    window = ibis.window(group_by=[records[key] for key in identity(pipeline)], order_by=order)
    return records.mutate(_place=ibis.row_number().over(window))
