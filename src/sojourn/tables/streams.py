"""Live sessions: what a session takes of its entries, and the tables that its markers make.

What a session refuses is judged over all of its entries in the order of their messages (docs/semantics.md, Live
sessions); nothing depends on when they were read.
"""

import ibis
import ibis.expr.types as ir

from sojourn.pipeline import Pipeline
from sojourn.tables.events import accepted

_LAST = (1 << 63) - 1


def judged(entries: ir.Table) -> ir.Table:
    """*entries* with `_verdict`: `taken`, `refused`, or `ignored` (the session's start, said once more)."""
    in_order = ibis.window(group_by=entries.session_id, order_by=[entries.seq, entries.position])
    placed = entries.mutate(_place=ibis.row_number().over(in_order))
    starts = ibis.ifelse(placed.type == "SESSION_START", placed["_place"], None)
    placed = placed.mutate(_start=starts.min().over(ibis.window(group_by=placed.session_id)))
    is_end = (placed.type == "SESSION_END") & (placed["_place"] > placed["_start"])
    ends = ibis.ifelse(is_end, placed["_place"], None)
    prints = ibis.ifelse(placed["_place"] == placed["_start"], placed.fingerprint, None)
    whole = ibis.window(group_by=placed.session_id)
    placed = placed.mutate(_end=ends.min().over(whole), _print=prints.max().over(whole))
    is_within = (placed["_place"] >= placed["_start"]) & (placed["_place"] <= placed["_end"].fill_null(_LAST))
    is_again = (placed.type == "SESSION_START") & (placed["_place"] > placed["_start"])
    verdict = ibis.cases(
        (~is_within.fill_null(False), "refused"),
        (is_again & (placed.fingerprint == placed["_print"]), "ignored"),
        (is_again, "refused"),
        else_="taken",
    )
    return placed.select(*entries.columns, _verdict=verdict)


def refused(parts: ir.Table, repeats: ir.Table, ranks: ir.Table, verdicts: ir.Table, pipeline: Pipeline) -> ir.Table:
    """How many entries of each new part their sessions refuse. Grain: one row per part; columns `_part, refused`.

    *verdicts* is what `judged` gives; a duplicate is nobody's.
    """
    new = accepted(parts, repeats, ranks, pipeline)
    out = verdicts.filter(verdicts["_verdict"] == "refused")
    found = new.semi_join(out, [new[key] == out[key] for key in pipeline.events.identity])
    return found.group_by("_part").aggregate(refused=found.count())


def events(verdicts: ir.Table) -> ir.Table:
    """What happened in the sessions: the entries that they take, without the markers."""
    return verdicts.filter((verdicts["_verdict"] == "taken") & (verdicts.type == "EVENT")).drop("_verdict")


def sessions(verdicts: ir.Table) -> ir.Table:
    """One row per session whose start is there, by markers.

    Columns: session_id, started_at, ended_at (epoch microseconds; none while it is open), duration_seconds, events,
    status (`open` or `ended`), distinct_names.
    """
    taken = verdicts.filter(verdicts["_verdict"] == "taken")
    is_event = taken.type == "EVENT"
    whole = taken.group_by("session_id").aggregate(
        started_at=ibis.ifelse(taken.type == "SESSION_START", taken.occurred_at, None).min(),
        ended_at=ibis.ifelse(taken.type == "SESSION_END", taken.occurred_at, None).min(),
        events=is_event.cast("int64").sum(),
        distinct_names=ibis.ifelse(is_event, taken.name, None).nunique(),
    )
    return whole.select(
        session_id=whole.session_id,
        started_at=whole.started_at,
        ended_at=whole.ended_at,
        duration_seconds=(whole.ended_at - whole.started_at).cast("float64") / 1_000_000,
        events=whole.events,
        status=ibis.ifelse(whole.ended_at.isnull(), "open", "ended"),
        distinct_names=whole.distinct_names,
    )


def event_counts(happened: ir.Table) -> ir.Table:
    """What happened how often. Grain: session_id, name; columns beside: events, first_at, last_at (microseconds)."""
    return happened.group_by(["session_id", "name"]).aggregate(
        events=happened.count(), first_at=happened.occurred_at.min(), last_at=happened.occurred_at.max()
    )
