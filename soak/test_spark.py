"""Spark and DuckDB on five million lines of every pipeline: equal ledgers, and equal tables to the byte.

SOJOURN_SPARK_LINES sets another number.
"""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from sojourn.samples import PIPELINES, sources, write

LINES = int(os.environ.get("SOJOURN_SPARK_LINES", "5_000_000"))


@pytest.mark.parametrize("pipeline", PIPELINES)
def test_spark_gives_the_files_of_duckdb(tmp_path: Path, pipeline: str, note: Callable[[str], None]) -> None:
    """A sample with trouble, read and computed by both."""
    path = tmp_path / f"sample.{'csv' if pipeline == 'devices' else 'jsonl'}"
    write(pipeline, path, lines=LINES, seed=17)
    named = sources(pipeline, path)
    words = [f"{name}={given}" for name, given in named.items()] if len(named) > 1 else [str(path)]
    here, there = (run(pipeline, words, tmp_path / engine, engine) for engine in ("duckdb", "spark"))
    assert here["ledger"] == there["ledger"]
    assert here["tables"] == there["tables"]
    assert here["ledger"]["accepted"] > 0.3 * LINES
    assert digests(tmp_path / "duckdb") == digests(tmp_path / "spark")
    note(
        f"{here['ledger']['read']:,} records on DuckDB and Spark: {len(here['tables'])} tables equal to the byte; "
        f"{here['took']:.0f} s and {there['took']:.0f} s (2 cores, load {os.getloadavg()[2]:.1f})"
    )


def run(pipeline: str, words: list[str], folder: Path, engine: str) -> dict[str, Any]:
    """The report of a run on *engine*, with the seconds that it *took*."""
    command = [sys.executable, "-m", "sojourn", "run", pipeline, *words, "--json", "--engine", engine]
    places = ["--home", str(folder / "home"), "--out", str(folder), "--memory", "4GB"]
    began = time.monotonic()
    done = subprocess.run([*command, *places], capture_output=True, check=False, timeout=3600)
    assert done.returncode == 0, done.stderr.decode()
    return {**json.loads(done.stdout), "took": time.monotonic() - began}


def digests(folder: Path) -> dict[str, str]:
    """The SHA-256 of every table's file."""
    tables = json.loads((folder / "manifest.json").read_bytes())["tables"]
    return {name: entry["sha256"] for name, entry in tables.items()}
