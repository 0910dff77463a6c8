"""Experiments: which users saw which variant, what they did, and the sums that statistics are made from.

The unit is the user: what users do is added up for each of them, and never session by session.
"""

import re

import ibis
import ibis.expr.types as ir

from sojourn.pipeline import MULTIPLE, Goal, Pipeline
from sojourn.tables.order import actor_text, is_named, is_page_view

MEASURES = ("sessions", "page_views")
"""What is counted of every user, and has a mean."""


def users(events: ir.Table, sessions: ir.Table, pipeline: Pipeline) -> ir.Table:
    """What each user of an experiment did. Grain: actor, experiment.

    Columns: actor, experiment, variant (`multiple` with several), first_seen (epoch microseconds, with a variant),
    sessions, page_views, suspect (sessions), and for each goal whether the user reached it: `goal_0`, `goal_1` ...
    """
    labelled = _labelled(events, pipeline)
    seen = labelled.group_by(["actor", "experiment"]).aggregate(
        variant=ibis.ifelse(labelled.label.nunique() > 1, MULTIPLE, labelled.label.min()),
        first_seen=labelled.at.min(),
    )
    whole = seen.left_join(_of_sessions(sessions), "actor").drop("actor_right")
    happened = {at: goal for at, goal in enumerate(pipeline.counted_goals.values()) if goal.page or goal.event}
    if happened:
        whole = whole.left_join(_reached(events, happened), "actor").drop("actor_right")
    counts = {name: whole[name].fill_null(0) for name in (*MEASURES, "suspect")}
    goals = {f"goal_{at}": _is_reached(whole, at, goal) for at, goal in enumerate(pipeline.counted_goals.values())}
    return whole.select("actor", "experiment", "variant", "first_seen", **counts, **goals)


def experiment_users(known: ir.Table, pipeline: Pipeline) -> ir.Table:
    """The published form of `users`: goals are their names, in declared order, separated by commas; null for none."""
    names = [ibis.ifelse(known[f"goal_{at}"], f",{name}", "") for at, name in enumerate(pipeline.counted_goals)]
    goals = names[0].concat(*names[1:]) if len(names) > 1 else names[0]
    return known.select("actor", "experiment", "variant", "first_seen", *MEASURES, goals=goals.substr(1).nullif(""))


def sums(known: ir.Table, pipeline: Pipeline) -> ir.Table:
    """What users add up to, exactly. Grain: experiment, variant.

    Columns: users, suspect, each measure and its squares (`sessions`, `sessions_squares` ...), and users by goal.
    """
    goals = [f"goal_{at}" for at in range(len(pipeline.counted_goals))]
    added = {name: _whole(known[name].sum()) for name in (*MEASURES, "suspect")}
    squares = {f"{name}_squares": _whole((known[name].cast("decimal(38,0)") * known[name]).sum()) for name in MEASURES}
    reached = {name: _whole(known[name].cast("int64").sum()) for name in goals}
    grouped = known.group_by(["experiment", "variant"])
    return grouped.aggregate(users=known.count(), **added, **squares, **reached)


def spread(known: ir.Table) -> ir.Table:
    """How many users have so much of a measure, which medians are made from.

    Grain: experiment, variant, measure, value.
    """
    one, *others = [
        known.select("experiment", "variant", measure=ibis.literal(name), value=known[name]) for name in MEASURES
    ]
    values = one.union(*others)
    return values.group_by(["experiment", "variant", "measure", "value"]).aggregate(users=values.count())


def _whole(value: ir.Value) -> ir.Value:
    return value.cast("decimal(38,0)")


def _labelled(events: ir.Table, pipeline: Pipeline) -> ir.Table:
    """Users and the variants that they saw: `actor, experiment, label, at` (the first time with those labels)."""
    known = events.select(actor=actor_text(events), labels=events.experiments.nullif(""), at=events.occurred_at)
    known = known.filter(known.actor.notnull() & known.labels.notnull())
    known = known.group_by(["actor", "labels"]).aggregate(at=known.at.min())  # few, before they are taken apart
    single = known.select("actor", "at", label=known.labels.split(",").unnest())
    if not pipeline.experiments:
        return single.mutate(experiment=ibis.literal("default"))
    one, *others = [
        single.filter(single.label.isin(declared.variants)).mutate(experiment=ibis.literal(name))
        for name, declared in pipeline.experiments.items()
    ]
    return one.union(*others) if others else one


def _of_sessions(sessions: ir.Table) -> ir.Table:
    """What each actor's sessions add up to: `actor, sessions, page_views, suspect, first_views` (in the first)."""
    known = sessions.filter(sessions.actor.notnull())
    return known.group_by("actor").aggregate(
        sessions=known.count(),
        page_views=known.page_views.sum().cast("int64"),
        suspect=known.suspect.cast("int64").sum().cast("int64"),
        first_views=ibis.ifelse(known.session_number == 1, known.page_views, None).max(),
    )


def _reached(events: ir.Table, goals: dict[int, Goal]) -> ir.Table:
    """Which of the *goals* that are events or pages each actor reached: `actor`, `hit_N`."""
    known = events.mutate(_actor=actor_text(events))
    known = known.filter(known["_actor"].notnull())
    hits = {f"hit_{at}": _happens(known, goal).any() for at, goal in goals.items()}
    return known.group_by(actor=known["_actor"]).aggregate(**hits)


def _happens(events: ir.Table, goal: Goal) -> ir.Value:
    if goal.event is not None:
        return is_named(events, goal.event)
    assert goal.page is not None, "the caller chose these goals"
    pattern = ".*".join(map(re.escape, goal.page.split("*")))
    return is_page_view(events) & events.url_page.re_search(rf"(?s)^{pattern}\z").fill_null(False)


def _is_reached(whole: ir.Table, at: int, goal: Goal) -> ir.Value:
    """Whether a user reached a goal; false where nothing is known of it."""
    if goal.sessions is not None:
        reached = whole.sessions >= goal.sessions
    elif goal.first_session_page_views is not None:
        reached = whole.first_views >= goal.first_session_page_views
    else:
        reached = whole[f"hit_{at}"]
    return reached.fill_null(False)
