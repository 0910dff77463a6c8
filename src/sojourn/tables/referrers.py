"""Referrers: how long sessions last, and the ranks of that, from which differences between them are worked out."""

import ibis
import ibis.expr.types as ir

from sojourn.tables.spans import lasting

MOST = 10
"""Referrers with a group of their own; all others share `(other)`."""


def session_durations_by_referrer(sessions: ir.Table) -> ir.Table:
    """How long sessions last. Grain: one row per referrer; sessions without one are `(direct)`."""
    labelled = _labelled(sessions)
    return labelled.group_by("referrer").aggregate(
        sessions=labelled.count(),
        median_seconds=labelled.lasting.quantile(0.5) / 1_000_000,
        p25_seconds=labelled.lasting.quantile(0.25) / 1_000_000,
        p75_seconds=labelled.lasting.quantile(0.75) / 1_000_000,
        mean_seconds=labelled.lasting.sum() / (labelled.count() * 1_000_000),
    )


def ranks(sessions: ir.Table) -> ir.Table:
    """How many sessions each group of referrers has, and where they stand among all by duration.

    Grain: referrer (`(direct)` without one, `(other)` for all but the ten with most sessions). Columns: place (from 0,
    most sessions first, `(other)` last), sessions, twice_ranks (twice the sum of ranks, equal durations sharing
    theirs), tied (over its sessions, the sum of t^2 - 1 where t sessions of all last as long; so over all groups that
    of t^3 - t, each duration counted once), median_seconds.
    """
    labelled = _labelled(sessions)
    counted = labelled.group_by("referrer").aggregate(n=labelled.count())
    order = [counted.n.desc(), counted.referrer.asc()]
    placed = counted.mutate(place=ibis.row_number().over(ibis.window(order_by=order)))
    is_most = placed.place < MOST
    placed = placed.select(
        known="referrer",
        place=ibis.least(placed.place, MOST).cast("int8"),
        referrer=ibis.ifelse(is_most, placed.referrer, "(other)"),
    )
    grouped = labelled.rename(known="referrer").inner_join(placed, "known")
    ranked = _ranked(grouped.select("place", "lasting"))  # sorting carries every column along
    summed = ranked.group_by("place").aggregate(
        sessions=ranked.count(),
        twice_ranks=ranked.twice_rank.sum().cast("decimal(38,0)"),
        tied=(ranked.copies * ranked.copies - 1).cast("decimal(18,0)").sum().cast("decimal(38,0)"),
        median_seconds=ranked.lasting.quantile(0.5) / 1_000_000,
    )
    return summed.inner_join(placed.select("place", "referrer").distinct(), "place")


def _labelled(sessions: ir.Table) -> ir.Table:
    """The `referrer` of each session, and how long it is `lasting`."""
    return sessions.select(referrer=sessions.referrer.fill_null("(direct)"), lasting=lasting(sessions))


def _ranked(grouped: ir.Table) -> ir.Table:
    """Sessions with `twice_rank`, a whole number, as the mean of ranks ends in 0 or 5, and `copies`: how many sessions
    of all last as long.
    """
    by_duration = ibis.window(order_by=grouped.lasting)
    up_to = ibis.range_window(order_by=grouped.lasting, preceding=None, following=0)
    counted = grouped.select(
        "place", "lasting", shorter=ibis.rank().over(by_duration), so_far=grouped.count().over(up_to)
    )
    return counted.mutate(twice_rank=counted.shorter + counted.so_far + 1, copies=counted.so_far - counted.shorter)
