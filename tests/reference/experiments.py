"""Experiments and differences between referrers (section 9), as far as they are counting; no p-values."""

from __future__ import annotations

import math
from collections import Counter
from fnmatch import fnmatchcase
from itertools import combinations
from typing import TYPE_CHECKING

from tests.reference.ledger import is_anonymous
from tests.reference.sessions import is_named, is_page_view, text_of, time_of
from tests.reference.tables import quantile
from tests.reference.urls import page

if TYPE_CHECKING:
    from tests.reference.pipelines import Pipeline
    from tests.reference.records import Event
    from tests.reference.sessions import Row

MEASURES = ("sessions", "page_views")


def experiment_users(events: list[Event], sessions: list[Row], pipeline: Pipeline) -> list[Row]:
    """One row per user and experiment: the variant, or `multiple`, and what the user did in all."""
    rows = []
    for name, labels in _labels(events, pipeline).items():
        for actor in sorted({str(event["actor"]) for event in events if not is_anonymous(event)}):
            own = [event for event in events if not is_anonymous(event) and str(event["actor"]) == actor]
            seen = [(time_of(event), label) for event in own for label in _of(event) if label in labels]
            if not seen:
                continue
            variants = {label for _, label in seen}
            visits = [row for row in sessions if row["actor"] is not None and str(row["actor"]) == actor]
            reached = [goal for goal in pipeline.goals if _is_reached(goal, own, visits, pipeline)]
            rows.append(
                {
                    "actor": actor,
                    "experiment": name,
                    "variant": variants.pop() if len(variants) == 1 else "multiple",
                    "first_seen": min(time for time, _ in seen),
                    "sessions": len(visits),
                    "page_views": sum(row["page_views"] for row in visits),
                    "goals": ",".join(reached) or None,
                }
            )
    return rows


def experiments(users: list[Row], pipeline: Pipeline) -> list[Row]:
    """One row per experiment, variant and goal: counts, the rate, and its difference from the control's."""
    rows = []
    for name in sorted({user["experiment"] for user in users}):
        of_experiment = [user for user in users if user["experiment"] == name]
        known = Counter(user["variant"] for user in of_experiment if user["variant"] != "multiple")
        variants, control = pipeline.experiments.get(name, (tuple(known), None))
        if control is None and variants:
            control = min(variants, key=lambda label: (-known[label], label.encode()))
        base = _variant([user for user in of_experiment if user["variant"] == control], pipeline)
        apart = {"multiple"} & {user["variant"] for user in of_experiment}
        for variant in {*variants, *apart}:
            found = _variant([user for user in of_experiment if user["variant"] == variant], pipeline)
            for row, of_control in zip(found, base, strict=True):
                is_compared = variant not in (control, "multiple") and None not in (row["rate"], of_control["rate"])
                rate, other = row["rate"], of_control["rate"]
                rows.append(
                    {
                        "experiment": name,
                        "variant": variant,
                        **row,
                        "difference": rate - other if is_compared else None,
                        "ratio": rate / other if is_compared and other else None,
                    }
                )
    return rows


def _variant(users: list[Row], pipeline: Pipeline) -> list[Row]:
    """The goals, means and medians of these users."""
    sums = {"users": len(users)} | {name: sum(user[name] for user in users) for name in MEASURES}
    rows = []
    for goal in pipeline.goals:
        hits = sum(goal in (user["goals"] or "").split(",") for user in users)
        rows.append({"goal": goal, **sums, "goal_users": hits, "rate": hits / len(users) if users else None})
    for name in MEASURES:
        mean = sums[name] / len(users) if users else None
        rows.append({"goal": f"{name}_per_user", **sums, "goal_users": None, "rate": mean})
    for name in MEASURES:
        median = quantile([float(user[name]) for user in users], 0.5)
        rows.append({"goal": f"median_{name}_per_user", **sums, "goal_users": None, "rate": median})
    return rows


def _labels(events: list[Event], pipeline: Pipeline) -> dict[str, set[str]]:
    """Experiments and their labels; without a declaration all labels are those of `default`."""
    if pipeline.experiments:
        return {name: set(variants) for name, (variants, _) in pipeline.experiments.items()}
    return {"default": {label for event in events for label in _of(event)}}


def _of(event: Event) -> list[str]:
    labels = text_of(event, "experiments")
    return labels.split(",") if labels else []


def _is_reached(goal: str, events: list[Event], sessions: list[Row], pipeline: Pipeline) -> bool:
    """Whether one user, by their events and sessions, reached a goal."""
    kind, value = pipeline.goals[goal]
    if kind == "sessions":
        return len(sessions) >= int(value)
    if kind == "first_session_page_views":
        return any(row["page_views"] >= int(value) for row in sessions if row["session_number"] == 1)
    if kind == "event":
        return any(is_named(event, str(value)) for event in events)
    pages = [page(text_of(event, "url")) for event in events if is_page_view(event, pipeline)]
    return any(path is not None and fnmatchcase(path, str(value)) for path in pages)


def referrer_differences(sessions: list[Row], most: int = 10) -> list[Row]:
    """The statistics of Kruskal and Wallis and of Dunn, from the definition: every session has its rank."""
    names = Counter(row["referrer"] or "(direct)" for row in sessions)
    own = sorted(names, key=lambda name: (-names[name], name.encode()))[:most]
    groups: dict[str, list[float]] = {name: [] for name in own}
    for row in sessions:
        name = row["referrer"] or "(direct)"
        groups.setdefault(name if name in own else "(other)", []).append(row["duration_seconds"])
    values = sorted(row["duration_seconds"] for row in sessions)
    ranks = {value: _mean([at for at, other in enumerate(values, 1) if other == value]) for value in set(values)}
    n, tied = len(values), sum(count**3 - count for count in Counter(values).values())
    if not n:
        return []
    whole: Row = {"test": "kruskal_wallis", "referrer": None, "other_referrer": None, "statistic": None}
    if len(groups) < 2 or len(ranks) < 2:
        return [whole]
    between = sum(len(group) * (_mean([ranks[v] for v in group]) - (n + 1) / 2) ** 2 for group in groups.values())
    rows = [whole | {"statistic": 12 * between / (n * (n + 1)) / (1 - tied / (n**3 - n))}]
    for one, other in combinations(groups, 2):
        distance = _mean([ranks[v] for v in groups[one]]) - _mean([ranks[v] for v in groups[other]])
        variance = n * (n + 1) / 12 - tied / (12 * (n - 1))
        error = math.sqrt(variance * (1 / len(groups[one]) + 1 / len(groups[other])))
        rows.append({"test": "dunn", "referrer": one, "other_referrer": other, "statistic": distance / error})
    return rows


def _mean(values: list[float]) -> float:
    return math.fsum(values) / len(values)
