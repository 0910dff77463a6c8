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


def ranked(parts: ir.Table, repeats: ir.Table, pipeline: Pipeline) -> ir.Table:
    """Records whose identity others have too, with their place among those.

    *parts* are landed records with `_part` (a number in order of reading; negative for kept ones, of which a lower one
    comes first among equals), `_is_new` (whether this run brought it), `_file` and `_row`. Columns besides: `_place`
    (from 0 in the total order), `_first_old` (the first place of a kept record), `_is_duplicate`.
    An identity that an earlier run accepted stays that run's; else this run's first in order is accepted.
    """
    keys = identity(pipeline)
    several = parts.semi_join(repeats, _same(parts, repeats, keys))
    full = [*total_order(pipeline), *pipeline.events.fields]  # copies of one id are told apart by their other fields
    order = nulls_first(several, [*dict.fromkeys(full), "_part", "_file", "_row"])
    window = ibis.window(group_by=[several[key] for key in keys], order_by=order)
    placed = several.mutate(_place=ibis.row_number().over(window))
    whole = ibis.window(group_by=[placed[key] for key in keys])
    old_place = ibis.ifelse(placed["_is_new"], None, placed["_place"])
    new_place = ibis.ifelse(placed["_is_new"], placed["_place"], None)
    placed = placed.mutate(_first_old=old_place.min().over(whole), _first_new=new_place.min().over(whole))
    is_duplicate = placed["_first_old"].notnull() | (placed["_place"] != placed["_first_new"])
    return placed.mutate(_is_duplicate=placed["_is_new"] & is_duplicate).drop("_first_new")


def events(landed: ir.Table, repeats: ir.Table, ranks: ir.Table, pipeline: Pipeline) -> ir.Table:
    """One row per event: of records with one identity the first in the total order is kept.

    Columns: those of *landed*, times as epoch microseconds.
    """
    fields = landed.columns
    keys = identity(pipeline)
    if not keys:
        return landed
    single = landed.anti_join(repeats, _same(landed, repeats, keys)).select(fields)
    return single.union(ranks.filter(ranks["_place"] == 0).select(fields))


def duplicates(ranks: ir.Table, pipeline: Pipeline) -> ir.Table:
    """How many records of each new part are duplicates, and how many of them conflict.

    Grain: one row per part with duplicates; columns `_part, duplicate, conflicting`.
    """
    keys = identity(pipeline)
    fields = list(pipeline.events.fields)
    # a duplicate is compared with the event that is kept; one that wins with the event it replaces
    judged = ranks.mutate(_rival=ibis.ifelse(ranks["_place"] == 0, ranks["_first_old"], 0))
    rivals = judged.select(
        *[judged[key].name(f"_key_{key}") for key in keys],
        *[judged[name].name(f"_rival_{name}") for name in fields],
        _place_of_rival=judged["_place"],
    )
    paired = judged.filter(judged["_is_duplicate"])
    same_identity = [paired[key].identical_to(rivals[f"_key_{key}"]) for key in keys]
    paired = paired.inner_join(rivals, [*same_identity, paired["_rival"] == rivals["_place_of_rival"]])
    differs = ibis.or_(*[~paired[name].identical_to(paired[f"_rival_{name}"]) for name in fields])
    return paired.group_by("_part").aggregate(duplicate=paired.count(), conflicting=differs.cast("int64").sum())


def accepted(chosen: ir.Table, repeats: ir.Table, ranks: ir.Table, pipeline: Pipeline) -> ir.Table:
    """New records that count as accepted: the pipeline's fields and `_part`.

    Of those whose identity no other has only the ones among *chosen*, which are parts as `ranked` takes them.
    """
    columns = [*pipeline.events.fields, "_part"]
    keys = identity(pipeline)
    new = chosen.filter(chosen["_is_new"])
    if not keys:
        return new.select(columns)
    single = new.anti_join(repeats, _same(new, repeats, keys)).select(columns)
    return single.union(ranks.filter(ranks["_is_new"] & ~ranks["_is_duplicate"]).select(columns))


def _same(left: ir.Table, right: ir.Table, keys: list[str]) -> list[ir.Value]:
    return [left[key].identical_to(right[key]) for key in keys]
