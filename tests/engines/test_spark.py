"""Spark beside DuckDB: the command, what it writes, and what it says when something is missing."""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import duckdb
import pyspark
import pytest

from sojourn.engines import spark
from sojourn.errors import SojournError, UsageError
from sojourn.samples import sources, write
from tests import postgres
from tests.command import lines, process, sojourn
from tests.spark import on_spark

if TYPE_CHECKING:
    from collections.abc import Sequence

HOT, OTHERS = 18_000, 42_000


def tables(out: Path) -> dict[str, bytes]:
    """Every table that a run wrote, by its file."""
    return {path.name: path.read_bytes() for path in out.glob("*.csv")}


def rows(sql: str) -> list[Any]:
    """What a query gives."""
    with duckdb.connect() as connection:
        return connection.execute(sql).fetchall()


def run(sources: Sequence[object], folder: Path, engine: str, *options: object) -> dict[str, Any]:
    """A run into a home and files of its own; its report."""
    places = ["--home", folder / f"{engine} home [1]", "--out", folder / engine]
    done = sojourn("run", *sources, *options, *places, "--engine", engine, "--json")
    assert done.status == 0, done.err
    report: dict[str, Any] = done.json
    return report


@on_spark
def test_one_actor_with_nearly_a_third_of_the_events_is_like_any_other(tmp_path: Path) -> None:
    """The hot actor's sessions, and everybody's, are those of DuckDB, to the byte."""
    with (tmp_path / "hot.jsonl").open("w") as file:
        for at in range(HOT + OTHERS):
            actor = 7 if at % 10 < 3 else 1000 + at % 997
            moment = f"2024-05-{1 + at % 28:02}T{at % 24:02}:{at * 7 % 60:02}:{at * 13 % 60:02}Z"
            event = {"customer-id": actor, "timestamp": moment}
            file.write(json.dumps({"id": str(at), "type": "page_view", "event": event}) + "\n")
    source = ["webshop", tmp_path / "hot.jsonl"]
    here, there = run(source, tmp_path, "duckdb"), run(source, tmp_path, "spark")
    assert here["ledger"] == there["ledger"]
    assert tables(tmp_path / "spark") == tables(tmp_path / "duckdb")
    assert rows(f"select sum(events) from '{tmp_path}/spark/sessions.csv' where actor = '7'") == [(HOT,)]


@on_spark
@pytest.mark.parametrize("pipeline", ["webshop", "activity", "pageviews", "devices", "live"])
def test_samples_with_trouble_give_the_same_files(tmp_path: Path, pipeline: str) -> None:
    """Tables, quarantine and ledger of a sample are those of DuckDB, to the byte, wherever it was read."""
    path = tmp_path / f"sample.{'csv' if pipeline == 'devices' else 'jsonl'}"
    write(pipeline, path, lines=1500, seed=5)
    named = sources(pipeline, path)
    words = [pipeline, *(f"{name}={path}" for name, path in named.items())] if len(named) > 1 else [pipeline, path]
    here, there = run(words, tmp_path, "duckdb"), run(words, tmp_path, "spark")
    assert [here[name] for name in ("ledger", "files", "tables")] == [
        there[name] for name in ("ledger", "files", "tables")
    ]
    assert tables(tmp_path / "spark") == tables(tmp_path / "duckdb")
    assert len(tables(tmp_path / "spark")) == len(there["tables"])
    refused = [
        [
            {key: value for key, value in json.loads(line).items() if key != "run_id"}
            for line in (tmp_path / engine / "quarantine.jsonl").read_bytes().splitlines()
        ]
        for engine in ("duckdb", "spark")
    ]
    assert refused[0] == refused[1]
    assert len(refused[0]) > 0


@on_spark
def test_parquet_comes_by_day(tmp_path: Path) -> None:
    """A folder for each table, and in it one for each day on which something begins."""
    write("webshop", tmp_path / "sample.jsonl", lines=600, seed=3)
    report = run(["webshop", tmp_path / "sample.jsonl"], tmp_path, "spark", "--format", "parquet")
    run(["webshop", tmp_path / "sample.jsonl"], tmp_path, "duckdb", "--format", "parquet")
    folder, theirs = tmp_path / "spark" / "sessions.parquet", tmp_path / "duckdb" / "sessions.parquet"
    columns = "* exclude (day) replace (started_at::timestamp as started_at, ended_at::timestamp as ended_at)"
    ours = f"select {columns} from read_parquet('{folder}/*/*.parquet', hive_partitioning = true)"
    days = (
        f"select distinct day::varchar from read_parquet('{folder}/*/*.parquet', hive_partitioning = true) order by 1"
    )
    assert rows(f"from ({ours}) except all from '{theirs}'") == []
    assert rows(f"from '{theirs}' except all from ({ours})") == []
    expected = f"select distinct started_at::date::varchar from '{theirs}' order by 1"
    assert rows(days) == rows(expected)
    manifest = json.loads((tmp_path / "spark" / "manifest.json").read_bytes())["tables"]
    assert {name: entry["rows"] for name, entry in manifest.items()} == report["tables"]
    assert [path.name for path in folder.rglob("*") if not path.name.startswith(("day=", "part-"))] == []


@on_spark
def test_files_of_another_engine_are_replaced(tmp_path: Path) -> None:
    """A table's folder takes the place of its file, and the other way round."""
    write("webshop", tmp_path / "sample.jsonl", lines=100, seed=3)
    words = ["run", "webshop", tmp_path / "sample.jsonl", "--format", "parquet", "--out", tmp_path / "out", "--json"]
    for at, (engine, is_folder) in enumerate((("duckdb", False), ("spark", True), ("spark", True), ("duckdb", False))):
        done = sojourn(*words, "--home", tmp_path / f"home{at}", "--engine", engine)
        assert done.status == 0, done.err
        assert (tmp_path / "out" / "sessions.parquet").is_dir() is is_folder


@on_spark
def test_what_spark_made_goes_to_postgresql(tmp_path: Path) -> None:
    """The rows there are those of the same run on DuckDB, in a database of its own each."""
    write("webshop", tmp_path / "sample.jsonl", lines=800, seed=3)
    asked = "select * from webshop.sessions order by session_id"
    with postgres.running() as server:
        found = {}
        for engine in ("duckdb", "spark"):
            url = server.database()
            run(["webshop", tmp_path / "sample.jsonl"], tmp_path, engine, "--store", url)
            found[engine] = postgres.rows(url, asked)
    assert found["spark"]
    assert found["spark"] == found["duckdb"]


@on_spark
def test_records_are_checked_on_spark(tmp_path: Path) -> None:
    """`check` gives the ledger of DuckDB, and more records than --max-quarantined end it."""
    write("activity", tmp_path / "sample.jsonl", lines=800, seed=3)
    words = ["check", "activity", tmp_path / "sample.jsonl", "--json"]
    here, there = sojourn(*words), sojourn(*words, "--engine", "spark")
    assert here.json["ledger"] == there.json["ledger"]
    assert there.json["ledger"]["quarantined"]
    assert sojourn(*words, "--engine", "spark", "--max-quarantined", "0").status == 3


@on_spark
def test_standard_input_is_read_by_tasks(tmp_path: Path) -> None:
    """Lines of a stream go to Spark's tasks as they come."""
    words = ["run", "webshop", "-", "--home", tmp_path / "home", "--json", "--engine", "spark"]
    event = '{"id":"%s","type":"page_view","event":{"customer-id":1,"timestamp":"2024-05-01T10:00:00Z"}}'
    done = sojourn(*words, stdin=lines(event % "a", "{", event % "b"))
    assert done.json["ledger"]["accepted"] == 2
    assert done.json["ledger"]["quarantined"] == {"invalid_json": 1}


@on_spark
def test_an_error_in_a_task_comes_out_as_it_was_raised(on_spark: spark.Spark) -> None:
    """Ours keeps its code; another one is told in a sentence."""
    assert sorted(on_spark.map(abs, [-3, 2, -1])) == [1, 2, 3]
    with pytest.raises(SojournError) as raised:
        list(on_spark.map(fails, [1]))
    assert (raised.value.code, raised.value.message) == ("gone", "item 1 is gone")
    with pytest.raises(SojournError) as raised, spark._told():
        list(on_spark.map(int, ["three"]))
    assert raised.value.code == "spark"
    assert "invalid literal for int() with base 10: 'three'" in raised.value.message


def fails(item: int) -> int:
    """Raise an error of ours."""
    raise SojournError("gone", f"item {item} is gone")


def test_settings_of_spark_need_spark(tmp_path: Path) -> None:
    """They would be ignored otherwise."""
    words = ["run", "webshop", "x.jsonl", "--home", tmp_path]
    for more in (["--spark-master", "local"], ["--spark-conf", "spark.a=b"]):
        done = sojourn(*words, *more)
        assert (done.status, "[without_spark]" in done.err) == (2, True)
    done = sojourn(*words, "--engine", "spark", "--spark-conf", "memory")
    assert (done.status, "[bad_spark_conf]" in done.err) == (2, True)


def test_what_is_missing_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without PySpark, and without Java, one sentence says what to install."""
    known = importlib.util.find_spec
    with monkeypatch.context() as patch:
        patch.setattr(
            importlib.util, "find_spec", lambda name, *more: None if name == "pyspark" else known(name, *more)
        )
        with pytest.raises(UsageError) as raised, spark.connect(None, {}, None):
            pass
    assert raised.value.code == "spark_missing"
    with monkeypatch.context() as patch:
        patch.delenv("JAVA_HOME", raising=False)
        patch.setattr(shutil, "which", lambda _: None)
        with pytest.raises(UsageError) as raised, spark.connect(None, {}, None):
            pass
    assert raised.value.code == "java_missing"


def test_a_master_that_is_none_is_told_in_a_sentence(tmp_path: Path) -> None:
    """Spark does not start, and nothing is published."""
    write("webshop", tmp_path / "sample.jsonl", lines=20, seed=3)
    words = ["run", "webshop", tmp_path / "sample.jsonl", "--home", tmp_path / "home", "--engine", "spark"]
    done = process(*words, "--spark-master", "nowhere")
    assert done.status == 1
    assert "[spark]" in done.err
    assert "Traceback" not in done.err
    assert "Master must" in done.err


def test_spark_submit_runs_it(tmp_path: Path) -> None:
    """A two-line script is an ordinary application of Spark."""
    write("webshop", tmp_path / "sample.jsonl", lines=200, seed=3)
    script = tmp_path / "job.py"
    script.write_text("from sojourn.cli import main\n\nmain()\n")
    words = ["run", "webshop", tmp_path / "sample.jsonl", "--home", tmp_path / "home", "--engine", "spark", "--json"]
    done = submitted(script, *words)
    assert done["status"] == "done"
    assert done["tables"]["sessions"] > 0


def submitted(script: Path, *words: object) -> dict[str, Any]:
    """What a script prints that `spark-submit` starts on two cores of this machine."""
    command = [f"{pyspark.__path__[0]}/bin/spark-submit", "--master", "local[2]", str(script), *map(str, words)]
    env = {**os.environ, "PYSPARK_PYTHON": sys.executable, "SPARK_LOCAL_IP": "127.0.0.1"}
    done = subprocess.run(command, capture_output=True, env=env, check=False, timeout=280)
    assert done.returncode == 0, done.stderr.decode()
    report: dict[str, Any] = json.loads(done.stdout)
    return report


def test_an_interrupt_ends_java_too(tmp_path: Path) -> None:
    """Told to end, the command leaves nothing behind: no process, no half of a run, no traceback."""
    write("webshop", tmp_path / "sample.jsonl", lines=5000, seed=3)
    words = ["run", "webshop", tmp_path / "sample.jsonl", "--home", tmp_path / "home", "--engine", "spark"]
    with subprocess.Popen(
        [sys.executable, "-m", "sojourn", *map(str, words)], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as command:
        until = time.monotonic() + 100
        while not list(tmp_path.glob("home/staging/*/events")) and time.monotonic() < until:
            time.sleep(0.05)
        java = [int(pid) for pid in Path(f"/proc/{command.pid}/task/{command.pid}/children").read_text().split()]
        command.terminate()
        _, said = command.communicate(timeout=100)
    assert command.returncode == 143
    assert b"Traceback" not in said
    assert java
    until = time.monotonic() + 60
    while left := [pid for pid in java if Path(f"/proc/{pid}").exists()]:
        assert time.monotonic() < until, left
        time.sleep(0.05)
    assert not list(tmp_path.glob("home/warehouse/*/*"))
