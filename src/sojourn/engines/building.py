"""Building a snapshot: every table of a pipeline in one DuckDB file, whole, or made from the one of the run before."""

import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from sojourn.engines import duckdb as engine
from sojourn.engines.duckdb import Connection, identifier
from sojourn.engines.increments import increment
from sojourn.engines.plans import Plan, plan
from sojourn.engines.relations import EventFile, landed, number
from sojourn.engines.snapshots import (
    Built,
    asked,
    attached_snapshot,
    create,
    duplicates_of,
    finish,
    limit,
    notes_of,
)
from sojourn.engines.waiting import waited_for
from sojourn.pipeline import Pipeline

__all__ = ["Built", "EventFile", "build"]


def build(
    pipeline: Pipeline,
    files: Sequence[EventFile],
    snapshot: Path,
    memory: int | None,
    spill: Path,
    until: int | None = None,
    *,
    base: Path | None = None,
    withdrawn: Sequence[EventFile] = (),
) -> Built:
    """Make every table of *pipeline* over *files* in the DuckDB file *snapshot*.

    *memory*: bytes, where a person said so. *until*: the end of observation in epoch microseconds, where it is not that
    of the latest event. *base*: the snapshot over the kept ones among *files* and those *withdrawn* since, by the same
    rules; where it allows, only what has changed is made anew.
    """
    planned = plan(pipeline)
    memory = memory or engine.fitting(sum(file.path.stat().st_size for file in files))
    if base is not None and all(file.is_kept for file in files):
        shutil.copyfile(base, snapshot)
        with opened(snapshot, memory, spill, until) as connection:
            built = waited_for(lambda: increment(connection, planned, pipeline, files, withdrawn), connection.interrupt)
        if built is not None:
            return built
        snapshot.unlink()
    with opened(snapshot, memory, spill, until) as connection:
        return waited_for(lambda: whole(connection, planned, pipeline, files), connection.interrupt)


@contextmanager
def opened(snapshot: Path, memory: int | None, spill: Path, until: int | None) -> Iterator[Connection]:
    """A connection whose tables go into *snapshot*, with the relations of one row that plans read."""
    with engine.connect(memory, spill) as connection, attached_snapshot(connection, snapshot):
        limit(connection, until)
        yield connection


def whole(connection: Connection, planned: Plan, pipeline: Pipeline, files: Sequence[EventFile]) -> Built:
    """Make all tables from *files*."""
    for name, source in pipeline.source.items():
        landed(connection, name, source, [file for file in files if file.source == name])
    steps = planned.steps
    for name in ("repeated", "ranked"):
        if name in steps:
            connection.execute(f"create temp table {name} as {steps[name]}")
    connection.execute(f"create temp view events as {steps['events']}")
    losers = "select _name as file, _row as row from ranked join numbered_events using (_file) where _place > 0"
    none = "select '' as file, 0::bigint as row where false"
    connection.execute(f"create table state.losers as {losers if 'ranked' in steps else none}")
    for name, sql in steps.items():
        create(connection, name, sql)
    passing = [file.part for file in files if not file.is_kept]
    rows = finish(connection, planned, pipeline, is_kept=not passing)
    events = number(connection, "select count(*) from events")
    kept = number(connection, _of_others(passing, pipeline)) if passing else events
    ask = asked(connection)
    duplicates = duplicates_of(ask, "events", steps) | duplicates_of(ask, "servers", steps)
    return Built(events, kept, rows, duplicates, notes_of(ask, steps))


def _of_others(passing: list[int | None], pipeline: Pipeline) -> str:
    """How many events there are without the parts *passing*."""
    keys = ", ".join(map(identifier, pipeline.events.identity))
    numbers = ", ".join(map(str, passing))
    return f"select count(*) from (select distinct {keys} from parts_events where _part not in ({numbers}))"
