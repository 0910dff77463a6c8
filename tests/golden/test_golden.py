"""Runs every golden folder through the command: `<pipeline>/<case>/` with input, parameters and what must come out.

A case is `case.toml`, its input, and the expectation worked out by hand: `<table>.csv` for every published
table (to the byte), `quarantine.jsonl` (none expected where it is absent; only the keys that stand there are
compared) and `<metric>.metric.json`. In `case.toml`: `pipeline` is a ready one or a TOML file in the folder;
each of `[[runs]]` names `sources` (a list of files, or a file by the name of its source), further `options`, the
expected `ledger` (counts that are left out are 0), and the exit `status` if it is not 0. The tables are those after
the last run; those that `left_out` names are not compared, because a library makes them.
"""

import json
import tomllib
from pathlib import Path
from typing import Any

import pytest

from tests.command import process, sojourn
from tests.spark import on_spark

HERE = Path(__file__).parent
CASES = sorted(path.parent for path in HERE.glob("*/*/case.toml"))
EMPTY = {"read": 0, "blank": 0, "accepted": 0, "duplicate": 0, "dropped": {}, "quarantined": {}, "notes": {}}


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.parent.name}/{case.name}")
def test_golden(case: Path, tmp_path: Path) -> None:
    """Ledger, tables, quarantine and metrics are what the folder says."""
    holds(case, tmp_path, [])


@on_spark
@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.parent.name}/{case.name}")
def test_golden_on_spark(case: Path, tmp_path: Path) -> None:
    """The same on Spark, to the byte."""
    holds(case, tmp_path, ["--engine", "spark"])


def holds(case: Path, tmp_path: Path, engine: list[str]) -> None:
    """Check the *case* on an engine."""
    told = tomllib.loads((case / "case.toml").read_text(encoding="utf-8"))
    pipeline = str(case / told["pipeline"]) if told["pipeline"].endswith(".toml") else told["pipeline"]
    home, out = ["--home", tmp_path / "home"], tmp_path / "out"
    for run in told["runs"]:
        sources = paths(case, run["sources"])
        words = ["run", pipeline, *sources, *run.get("options", []), *engine, *home, "--out", out, "--json"]
        is_alone = len(sources) == 1 or isinstance(run["sources"], dict) or bool(engine)  # one file of each source
        done = (sojourn if is_alone else process)(*words)
        assert done.status == run.get("status", 0), done.err
        assert done.json["ledger"] == EMPTY | run["ledger"]
    found_tables = read_tables(out)
    for name in told.get("left_out", []):
        del found_tables[name]
    assert found_tables == read_tables(case)
    expected = json_lines(case / "quarantine.jsonl")
    found = json_lines(out / "quarantine.jsonl")
    compared = [{key: row[key] for key in wanted} for row, wanted in zip(found, expected, strict=False)]
    assert (len(found), compared) == (len(expected), expected)
    for metric in sorted(case.glob("*.metric.json")):
        name = metric.name.removesuffix(".metric.json")
        shown = sojourn("metrics", name, "--pipeline", schema(pipeline), *home, "--json")
        assert shown.json == json.loads(metric.read_bytes()), name


def test_every_case_expects_tables() -> None:
    """A folder without expected tables, or beside the others, would test nothing."""
    folders = {path for path in HERE.glob("*/*") if path.is_dir() and path.name != "__pycache__"}
    assert folders == set(CASES)
    assert [case for case in CASES if not read_tables(case)] == []


def paths(case: Path, named: list[str] | dict[str, str]) -> list[str]:
    """The words that name a run's sources."""
    if isinstance(named, dict):
        return [f"{source}={case / name}" for source, name in named.items()]
    return [str(case / name) for name in named]


def read_tables(folder: Path) -> dict[str, str]:
    """Every expected or written table, by its file; as text, which shows a difference well."""
    return {path.name: path.read_bytes().decode() for path in folder.glob("*.csv") if "input" not in path.name}


def json_lines(path: Path) -> list[dict[str, Any]]:
    """The objects in *path*; none without it."""
    return [json.loads(line) for line in path.read_bytes().splitlines()] if path.exists() else []


def schema(pipeline: str) -> str:
    """The name that a pipeline publishes under."""
    return Path(pipeline).stem
