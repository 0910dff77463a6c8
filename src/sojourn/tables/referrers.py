"""Referrers: the ranks of how long sessions last, from which differences between referrers are worked out."""

import ibis
import ibis.expr.types as ir

MOST = 10
"""Referrers with a group of their own; all others share `(other)`."""


def ranks(sessions: ir.Table) -> ir.Table:
    """How many sessions each group of referrers has, and where they stand among all by duration.

    Grain: referrer (`(direct)` without one, `(other)` for all but the ten with most sessions). Columns: place (from 0,
    most sessions first, `(other)` last), sessions, twice_ranks (twice the sum of ranks, equal durations sharing
    theirs), median_seconds.
    """
    labelled = sessions.select(referrer=sessions.referrer.fill_null("(direct)"), seconds=sessions.duration_seconds)
    counted = labelled.group_by("referrer").aggregate(n=labelled.count())
    order = [counted.n.desc(), counted.referrer.asc()]
    placed = counted.mutate(place=ibis.row_number().over(ibis.window(order_by=order)))
    is_most = placed.place < MOST
    placed = placed.select(
        known="referrer",
        place=ibis.least(placed.place, MOST),
        referrer=ibis.ifelse(is_most, placed.referrer, "(other)"),
    )
    grouped = labelled.rename(known="referrer").inner_join(placed, "known")
    ranked = grouped.inner_join(_ranked(labelled), "seconds")
    return ranked.group_by(["place", "referrer"]).aggregate(
        sessions=ranked.count(),
        twice_ranks=ranked.twice_rank.sum().cast("decimal(38,0)"),
        median_seconds=(ranked.seconds * 1_000_000).round().quantile(0.5) / 1_000_000,
    )


def ties(sessions: ir.Table) -> ir.Table:
    """How many durations so many sessions share. Grain: copies; column beside: durations."""
    counted = sessions.group_by("duration_seconds").aggregate(copies=sessions.count())
    return counted.group_by("copies").aggregate(durations=counted.count())


def _ranked(labelled: ir.Table) -> ir.Table:
    """Each duration's rank: `seconds, twice_rank`, a whole number, as the mean of ranks ends in 0 or 5."""
    counted = labelled.group_by("seconds").aggregate(copies=labelled.count())
    so_far = ibis.cumulative_window(order_by=counted.seconds)
    return counted.select("seconds", twice_rank=2 * counted.copies.sum().over(so_far) - counted.copies + 1)
