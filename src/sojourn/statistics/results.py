"""What one variant's users add up to, and how it differs from the control: goal by goal, then means and medians."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sojourn.statistics.comparing import Comparison, Sample, means, median, medians, proportions, rounded

MEASURES = ("sessions", "page_views")
"""What is counted of every user."""


@dataclass(frozen=True)
class Variant:
    """One variant's users: exact *sums* by name, and *spread*: how many users have so much of each measure."""

    name: str
    sums: Mapping[str, int] = field(default_factory=dict)
    spread: Mapping[str, Mapping[int, int]] = field(default_factory=dict)

    @property
    def users(self) -> int:
        """How many users it has."""
        return self.sum("users")

    def sum(self, name: str) -> int:
        """One of its sums; 0 where nobody is."""
        return self.sums.get(name, 0)

    def sample(self, measure: str) -> Sample:
        """Its users' values of a measure."""
        return Sample(self.users, self.sum(measure), self.sum(f"{measure}_squares"))


@dataclass
class Result:
    """One row of the readout. *found* is the comparison with the control; None for what is not compared."""

    variant: Variant
    goal: str
    goal_users: int | None
    rate: float | None
    control_rate: float | None = None
    found: Comparison | None = None
    p_adjusted: float | None = None

    def columns(self) -> dict[str, Any]:
        """The row's columns, without the experiment's name and warnings."""
        found = self.found or Comparison()
        is_known = self.found is not None and self.rate is not None and self.control_rate is not None
        rate, control_rate = self.rate or 0.0, self.control_rate or 0.0
        return {
            "variant": self.variant.name,
            "goal": self.goal,
            "users": self.variant.users,
            "sessions": self.variant.sum("sessions"),
            "page_views": self.variant.sum("page_views"),
            "goal_users": self.goal_users,
            "rate": self.rate,
            "difference": rate - control_rate if is_known else None,
            "ratio": rate / control_rate if is_known and control_rate else None,
            "ci_low": rounded(found.low),
            "ci_high": rounded(found.high),
            "p_value": rounded(found.p),
            "p_adjusted": rounded(self.p_adjusted),
        }


def results(variant: Variant, control: Variant | None, goals: Sequence[str]) -> list[Result]:
    """The rows of *variant*, compared with *control* unless that is the variant itself, or None."""
    against = control if control is not variant else None
    rows = [_of_goal(variant, against, f"goal_{at}", goal) for at, goal in enumerate(goals)]
    rows += [_of_mean(variant, against, measure) for measure in MEASURES]
    return rows + [_of_median(variant, against, measure) for measure in MEASURES]


def _of_goal(variant: Variant, control: Variant | None, name: str, goal: str) -> Result:
    """Users who reached a goal."""
    hits = variant.sum(name)
    row = Result(variant, goal, hits, _share(hits, variant.users))
    if control is not None:
        row.control_rate = _share(control.sum(name), control.users)
        row.found = proportions(hits, variant.users, control.sum(name), control.users)
    return row


def _of_mean(variant: Variant, control: Variant | None, measure: str) -> Result:
    """The mean of a measure over users."""
    sample = variant.sample(measure)
    row = Result(variant, f"{measure}_per_user", None, _share(sample.total, sample.n))
    if control is not None:
        row.control_rate = _share(control.sum(measure), control.users)
        row.found = means(sample, control.sample(measure))
    return row


def _of_median(variant: Variant, control: Variant | None, measure: str) -> Result:
    """The median of a measure over users."""
    spread = variant.spread.get(measure, {})
    row = Result(variant, f"median_{measure}_per_user", None, median(spread))
    if control is not None:
        of_control = control.spread.get(measure, {})
        row.control_rate = median(of_control)
        row.found = medians(spread, of_control)
    return row


def _share(part: int, whole: int) -> float | None:
    return part / whole if whole else None
