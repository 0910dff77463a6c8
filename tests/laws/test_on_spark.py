"""Runs on Spark give what the slow reference says, and the same tables as runs on DuckDB, of any records.

The pipelines are those of the laws of one answer: the ready ones, and in `make soak` odd combinations of what can be
set.
"""

from __future__ import annotations

import os
from random import Random
from typing import TYPE_CHECKING

import pytest

from sojourn.loading import ready_pipelines
from tests.laws.one_answer import PIPELINES, File, compare, expected, world
from tests.laws.test_one_answer import Sources, check_ledgers
from tests.spark import on_spark

if TYPE_CHECKING:
    from pathlib import Path

    from sojourn.engines.spark import Spark
    from sojourn.pipeline import Pipeline

IS_LONG = bool(os.environ.get("SOJOURN_LONG"))
SEEDS = range(6) if IS_LONG else range(1)
NAMES = [name for name in PIPELINES if IS_LONG or name in ready_pipelines()]
RECORDS = 160


@on_spark
@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("name", NAMES)
def test_spark_gives_what_the_reference_says(tmp_path: Path, on_spark: Spark, name: str, seed: int) -> None:
    """Runs on both engines, each with earlier, later and repeated records: after each the tables and ledgers are the
    reference's, and in the end those of one run on DuckDB."""
    pipeline = PIPELINES[name]
    first, second, third = dealt(pipeline, Random(f"{name} {seed}"))
    home, theirs = Sources(tmp_path / "spark", pipeline), expected(pipeline)
    for files, engine in ((first, on_spark if IS_LONG else None), (second, on_spark), (third, None)):
        report = home.read(files, spark=engine)
        check_ledgers(report, theirs.run(files))
        compare(home.tables(), theirs.tables())
    whole = Sources(tmp_path / "duckdb", pipeline)
    whole.read([*first, *second, *third])
    compare(home.tables(), whole.tables(), is_whole=True)


def dealt(pipeline: Pipeline, rng: Random) -> list[list[File]]:
    """The files of three runs; one record in five is in two of them."""
    some = world(pipeline, rng)
    runs: list[list[File]] = [[], [], []]
    for name in pipeline.source:
        lines = [some.line(name, rng.randrange(1 << 32)) for _ in range(RECORDS if name == "events" else RECORDS // 8)]
        places = [rng.sample(range(3), 2 if rng.random() < 0.2 else 1) for _ in lines]
        for number, files in enumerate(runs):
            own = [line for line, chosen in zip(lines, places, strict=True) if number in chosen]
            files.append(File(name, f"{name}-{number}", b"\n" * number + b"\n".join(own)))
    return runs
