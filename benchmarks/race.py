"""Whole commands against each other: in turns, each with fresh output, medians compared."""

import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.measure import Sample, measure


@dataclass(frozen=True)
class Contender:
    """A named command; *command* gets an empty folder that it may write into."""

    name: str
    command: Callable[[Path], Sequence[str]]


@dataclass
class Score:
    """What one contender needed, round by round."""

    name: str
    samples: list[Sample] = field(default_factory=list)

    def median(self, of: str) -> float:
        """The median of one figure of the samples."""
        return float(median(getattr(sample, of) for sample in self.samples))

    @property
    def wall(self) -> float:
        """Median wall seconds."""
        return self.median("wall")

    @property
    def output(self) -> dict[str, Any]:
        """What it printed in the last round."""
        return self.samples[-1].output


def race(contenders: Sequence[Contender], rounds: int, work: Path, *, pss: bool = False) -> list[Score]:
    """Let all run in turns, *rounds* times; what the last round wrote stays in ``work/<name>``."""
    scores = [Score(contender.name) for contender in contenders]
    for _ in range(rounds):
        for contender, score in zip(contenders, scores, strict=True):
            folder = work / contender.name
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir(parents=True)
            sample = measure(contender.command(folder), pss=pss)
            print(f"    {contender.name}: {sample.wall:.2f} s, {sample.cpu:.2f} CPU s", flush=True)
            score.samples.append(sample)
    return scores
