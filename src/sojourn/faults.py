"""What can be wrong with a pipeline's fleets, suspects, experiments and goals, each with its place."""

import re
from collections.abc import Iterator

from sojourn import times
from sojourn.pipeline import MULTIPLE, Experiment, Fleet, Goal, Pipeline, Suspect

_TAKEN = {f"{form}{measure}_per_user" for form in ("", "median_") for measure in ("sessions", "page_views")}

Fault = tuple[str, str]


def faults(pipeline: Pipeline) -> Iterator[Fault]:
    """Place and message of everything that is wrong."""
    yield from _of_fleet(pipeline.fleet)
    if pipeline.sessions is not None:
        yield from _of_suspect(pipeline.sessions.suspect)
    for name, experiment in pipeline.experiments.items():
        yield from _of_experiment(experiment, f"$.experiments.{name}")
    for name, goal in pipeline.goals.items():
        at = f"$.goals.{name}"
        if re.fullmatch(r"[a-z][a-z0-9_]*", name) is None:
            yield at, "a goal's name has lower-case letters, digits and underscores only"
        if name in _TAKEN:
            yield at, "this name is taken by a mean or a median; give the goal another"
        yield from _of_goal(goal, pipeline, at)


def _of_fleet(fleet: Fleet) -> Iterator[Fault]:
    ascending = list(fleet.classes) == sorted(set(fleet.classes))
    if not fleet.classes or fleet.classes[0] != 1 or not ascending or fleet.classes[-1] > 1 << 53:
        yield "$.fleet.classes", "the least devices of each class, ascending from 1, such as [1, 3, 10, 100, 1000]"
    if not 1 <= fleet.window_days <= 3660:
        yield "$.fleet.window_days", "a window has 1 to 3660 days"


def _of_suspect(suspect: Suspect) -> Iterator[Fault]:
    for name in ("events", "sessions"):
        if not 1 <= getattr(suspect, name) <= 1_000_000:
            yield f"$.sessions.suspect.{name}", "a number from 1 to 1000000: more than that are suspect"
    try:
        times.parse_duration(suspect.within)
    except ValueError as error:
        yield "$.sessions.suspect.within", str(error)


def _of_experiment(experiment: Experiment, at: str) -> Iterator[Fault]:
    labels = experiment.variants
    if len(set(labels)) < 2 or len(set(labels)) < len(labels):
        yield f"{at}.variants", "an experiment has two variants or more, each with a label of its own"
    for label in labels:
        if not label.strip() or label != label.strip() or "," in label:
            yield f"{at}.variants", f"{label!r} is no label: a label has no comma, and no space around it"
        if label == MULTIPLE:
            yield f"{at}.variants", f"{MULTIPLE!r} stands for users who saw several variants; it is no label"
    if experiment.control is not None and experiment.control not in labels:
        yield f"{at}.control", f"the control is one of the variants: {', '.join(labels)}"
    shares = experiment.shares
    if shares and (len(shares) != len(labels) or not all(0 < share < 1e9 for share in shares)):
        yield f"{at}.shares", "one share for each variant, in their order, such as [1, 1] or [0.9, 0.1]"


def _of_goal(goal: Goal, pipeline: Pipeline, at: str) -> Iterator[Fault]:
    stated = [name for name in Goal.__struct_fields__ if getattr(goal, name) is not None]
    if len(stated) != 1:
        yield at, f"say one of {', '.join(Goal.__struct_fields__)}"
    for name, field in (("page", "url"), ("event", "name")):
        value = getattr(goal, name)
        if value is not None and field not in pipeline.events.fields:
            yield f"{at}.{name}", f"needs the field {field} in [source.events.fields]"
        if value == "":
            yield f"{at}.{name}", "it is empty"
    for name in ("sessions", "first_session_page_views"):
        number = getattr(goal, name)
        if number is not None and not 1 <= number <= 1_000_000:
            yield f"{at}.{name}", "a number from 1 to 1000000"
