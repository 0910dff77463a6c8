"""What a benchmark case says: questions with targets and answers, and the figures behind them."""

from dataclasses import dataclass, field
from typing import Literal

from benchmarks.race import Score

MB = 1_000_000


@dataclass
class Answer:
    """One question; *is_met* is None where there is no target."""

    question: str
    target: str
    measured: str
    is_met: bool | None


@dataclass
class Row:
    """A line of a case's table; missing figures are None. Seconds and bytes."""

    name: str
    rounds: int
    wall: float
    fastest: float
    slowest: float
    cpu: float | None = None
    tree_rss: int | None = None
    largest_rss: int | None = None


@dataclass
class Case:
    """All about one benchmark case; *notes* are full sentences, *more* is Markdown that comes after them."""

    title: str
    answers: list[Answer]
    rows: list[Row] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    more: list[str] = field(default_factory=list)


def row(score: Score, name: str | None = None) -> Row:
    """The table line of a contender's score."""
    walls = [sample.wall for sample in score.samples]
    return Row(
        name or score.name,
        len(walls),
        score.wall,
        min(walls),
        max(walls),
        score.median("cpu"),
        int(score.median("tree_rss")),
        int(score.median("largest_rss")),
    )


def answer(question: str, measured: float, target: float, sign: Literal["<=", ">="], unit: str) -> Answer:
    """An answer whose target is a number; *unit* follows both."""
    is_met = measured <= target if sign == "<=" else measured >= target
    mark = "≤" if sign == "<=" else "≥"
    return Answer(question, f"{mark} {target:g}{unit}", f"{measured:.2f}{unit}", is_met)
