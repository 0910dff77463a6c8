"""A hundred million events in two gigabytes: by a pipe, from Parquet files, and with a customer who does half of it.

`SOJOURN_VOLUME=1` makes them a hundred times smaller. What every run must count is known by construction. Memory is
that of the whole process tree, readers included, and whoever writes to the pipe: the largest sum of resident sets, in
which pages that processes share count in each.
"""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb
import pytest

from benchmarks.measure import Sample, measure
from soak.lines import Expected, Lines

Note = Callable[[str], None]

MILLIONS = int(os.environ.get("SOJOURN_VOLUME", "100"))
MEMORY = 2_000_000_000

_SOJOURN = f"{sys.executable} -m sojourn"
_FILES = 10
_PARQUET = """copy (
    select
        1_000_000_000 + i as id,
        case when step < 3 then 'page_view' when actor % 2 = 0 then 'placed_order' else 'search' end as type,
        make_timestamp(1_600_000_000_000_000 + visit * 86_400_000_000 + step * 300_000_000 + actor)
            as "event.timestamp",
        actor as "event.customer-id",
        'https://shop.example/' || hash(i) % 100_000 as "event.page",
        ['https://news.example/', 'https://seek.example/', null][1 + i % 3] as "event.referrer"
    from (
        select i, i % {actors} as actor, i // {actors} // 4 as visit, i // {actors} % 4 as step
        from range({begin}, {end}) as t(i)
    )
) to '{path}' (format parquet)"""
_ASKED = """select count(*) as sessions, sum(events)::bigint as events, sum(orders)::bigint as orders,
    sum(duration_seconds) as seconds, count(*) filter (session_number = 1) as actors from webshop.sessions"""


@pytest.fixture
def home(tmp_path: Path) -> Any:
    """A home that does not outlive the test: it takes gigabytes."""
    yield tmp_path / "home"
    shutil.rmtree(tmp_path)


def _look(home: Path, sample: Sample, expected: Expected) -> None:
    ledger = sample.output["ledger"]
    assert ledger["read"] == expected.read
    assert ledger["accepted"] == expected.accepted
    assert ledger["duplicate"] == expected.duplicate
    assert ledger["dropped"] == ({"anonymous": expected.anonymous} if expected.anonymous else {})
    assert sum(ledger["quarantined"].values()) == expected.broken
    done = subprocess.run(
        [*_SOJOURN.split(), "sql", _ASKED, "--home", str(home), "--json"], capture_output=True, check=True
    )
    found = json.loads(done.stdout)[0]
    assert found["sessions"] == expected.sessions
    assert found["events"] == expected.accepted
    assert found["orders"] == expected.orders
    assert found["seconds"] == pytest.approx(expected.seconds, abs=1)
    assert found["actors"] == expected.actors


def _told(sample: Sample, what: str) -> str:
    events, sessions = sample.output["ledger"]["accepted"], sample.output["tables"]["sessions"]
    return (
        f"{events:,} events {what} with --memory 2GB: {sample.wall:.0f} s ({sample.cpu:.0f} s of CPU time), at most "
        f"{sample.tree_rss / 1e6:,.0f} MB resident in all processes together; {sessions:,} sessions, all counts as "
        "constructed"
    )


def _run(home: Path, sources: str, written_by: str = "") -> Sample:
    """Measure one run over *sources*, or over what a command writes into a pipe."""
    run = f"{_SOJOURN} run webshop {sources} --memory 2GB --home {home} --json"
    return measure(["bash", "-c", f"set -o pipefail; {written_by} | {run}" if written_by else run])


@pytest.mark.parametrize("kind", ["even", "hot"])
def test_lines_by_a_pipe(kind: str, home: Path, note: Note) -> None:
    """As many events as were asked for; or a fifth of it, of which one customer does half."""
    blocks = MILLIONS * (10 if kind == "even" else 2)
    sample = _run(home, "-", f"{sys.executable} -m soak.lines {blocks} {kind}")
    what = "as JSON lines by a pipe" + (", half of them one customer's," if kind == "hot" else "")
    _look(home, sample, Lines(blocks, is_hot=kind == "hot").expected())
    note(_told(sample, what))
    assert sample.tree_rss <= MEMORY


def test_parquet(home: Path, note: Note) -> None:
    """Every customer's events lie in all files."""
    events = MILLIONS * 1_000_000
    actors, step = events // 20, events // _FILES
    paths = [home.with_name(f"events-{number}.parquet") for number in range(_FILES)]
    with duckdb.connect(config={"memory_limit": "1GB", "threads": 2}) as connection:
        for number, path in enumerate(paths):
            begin = number * step
            connection.execute(_PARQUET.format(actors=actors, begin=begin, end=begin + step, path=path))
    sample = _run(home, " ".join(map(str, paths)))
    sessions, orders = actors * 5, (actors + 1) // 2 * 5
    _look(home, sample, Expected(events, events, 0, 0, 0, sessions, orders, sessions * 900, actors))
    note(_told(sample, f"as {_FILES} Parquet files"))
    assert sample.tree_rss <= MEMORY
