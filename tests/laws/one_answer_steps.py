"""Steps of builds that go on from each other: what comes and goes, and how what they give is compared."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random
from typing import TYPE_CHECKING

from hypothesis import strategies as st

from tests.laws.one_answer import File, compare, expected, roads, world
from tests.laws.one_answer_engine import Builds

if TYPE_CHECKING:
    from collections import Counter
    from pathlib import Path

    from sojourn.pipeline import Pipeline

SEEDS = st.integers(0, 1 << 32)
MOST_STEPS = 5


@dataclass(frozen=True)
class Step:
    """What comes, and the names of the files that go."""

    files: list[File]
    without: frozenset[str] = frozenset()


@st.composite
def histories(draw, pipeline: Pipeline, *, losing: bool, most: int = 40) -> list[Step]:
    """Every record is dealt to one step, or to two; a file can go again (*losing*) in any step after its own."""
    some = world(pipeline, Random(draw(SEEDS)))
    last = draw(st.sampled_from([3, 2, MOST_STEPS - 1, 1]))
    lines: list[dict[str, list[bytes]]] = [{name: [] for name in pipeline.source} for _ in range(last + 1)]
    for name in pipeline.source:
        count = most if name == "events" else most // 4
        dealt = st.tuples(SEEDS, st.integers(0, last), st.none() | st.integers(0, last))
        least = draw(st.sampled_from([count // 2, 0]))
        found = draw(st.lists(dealt, min_size=least, max_size=count, unique_by=lambda one: one[0]))
        for at, (seed, *places) in enumerate(found):
            line = some.line(name, seed)
            for number in {(at + place) % (last + 1) for place in places if place is not None}:
                lines[number][name].append(line)
    gone: list[set[str]] = [set() for _ in lines]
    for number in range(last if losing else 0):
        if (leaves := draw(st.integers(number + 1, last) | st.none())) is not None:
            gone[leaves].add(f"events-{number}")
    return [
        Step([File(name, f"{name}-{number}", unlike(number, own)) for name, own in of_step.items()], frozenset(names))
        for number, (of_step, names) in enumerate(zip(lines, gone, strict=True))
    ]


def unlike(number: int, lines: list[bytes]) -> bytes:
    """A file that is like none of another number: one that is would not be read again."""
    return b"\n" * number + b"\n".join(lines)


def try_steps(folder: Path, pipeline: Pipeline, steps: list[Step]) -> Counter[str]:
    """After every step the tables are the reference's over what is there, and in the end those of one build; events
    are as many as the reference's, and what was, less what went, plus what was accepted. Gives the roads taken."""
    builds, was, events = Builds(folder / "builds", pipeline), expected(pipeline), 0
    there: dict[str, File] = {}
    with roads() as seen:
        for number, step in enumerate(steps):
            built, ends = builds.add(step.files, without=step.without)
            there = {name: file for name, file in there.items() if name not in step.without}
            there |= {file.name: file for file in step.files}
            theirs = expected(pipeline)
            theirs.run(list(there.values()))
            compare(builds.tables(), theirs.tables())
            is_extended = number > 0 and theirs.goes_on_from(was)
            assert seen.taken[number:] == ["extended" if is_extended else "whole"]
            if is_extended or number == 0:
                assert built.events == events - built.lost + ends.candidates - ends.duplicates
            events, was = built.events, theirs
            assert events == theirs.events()
    whole = Builds(folder / "whole", pipeline)
    whole.add(list(there.values()), is_whole=True)
    compare(builds.tables(), whole.tables(), is_whole=True)
    return seen.counts()
