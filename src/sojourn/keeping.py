"""What the commands `rollback` and `gc` do: going back to a kept run, and letting go of those that are not wanted."""

from typing import Any

from sojourn import show
from sojourn.balancing import Run
from sojourn.choosing import chosen
from sojourn.engines.duckdb import quote
from sojourn.errors import SojournError, UsageError
from sojourn.loading import load
from sojourn.store.base import Store
from sojourn.store.manifest import Kept
from sojourn.times import parse_duration


def runs(store: Store, pipeline: str, *, as_json: bool) -> None:
    """Print the runs of *pipeline* that can be gone back to, the oldest first."""
    name = _name(pipeline)
    kept = {str(one.run_id): one for one in store.kept_runs(name)}
    current = {row["run_id"] for row in store.published() if row["pipeline"] == name}
    if not current:
        raise SojournError("not_published", f"nothing is published by {name} yet; see: sojourn tables")
    began = _began(store, list(kept))
    rows = [_told(one, began.get(run_id), run_id in current) for run_id, one in kept.items()]
    if rows or as_json:
        tables = {} if not as_json else {run_id: {"tables": one.tables} for run_id, one in kept.items()}
        show.rows([row | tables.get(row["run_id"], {}) for row in rows], as_json=as_json)
    else:
        print(f"no run of {name} is kept that can be gone back to; the next one will be")


def _told(kept: Kept, began: str | None, is_current: bool) -> dict[str, Any]:
    rows = sum(kept.tables.values())
    return {"run_id": kept.run_id, "started_at": began, "events": kept.events, "rows": rows, "current": is_current}


def _began(store: Store, ids: list[str]) -> dict[str, str]:
    """When runs began, by their ids."""
    if not ids:
        return {}
    sql = f"select run_id, started_at from sojourn.runs where run_id in ({', '.join(map(quote, ids))})"
    with store.query(sql) as reader:
        return {row["run_id"]: f"{row['started_at']:%Y-%m-%dT%H:%M:%SZ}" for row in reader.read_all().to_pylist()}


def roll_back(store: Store, pipeline: str, run: str, *, as_json: bool) -> None:
    """Make the tables of a kept *run* the published ones again, and print what was done."""
    name = _name(pipeline)
    done = Run(name, status="rolled_back")
    with store.writing():
        _, (kept,) = chosen(store, name, [run])
        left = next(row["run_id"] for row in store.published() if row["pipeline"] == name)
        if kept.run_id == left:
            raise UsageError("already_current", f"the run {left} is the current one of {name} already")
        done.tables = kept.tables
        report = {**done.record(), "to": kept.run_id, "from": left}
        store.roll_back(name, str(kept.run_id), report)
    if as_json:
        print(show.dumps(report))
    else:
        print(f"{name}: back at the run {kept.run_id} with {kept.events} kept events, from {left}; the next adds to it")


def collect(store: Store, keep: int | None, older_than: str | None, *, is_dry: bool, as_json: bool) -> None:
    """Let go of what is not to be kept, and print what went."""
    try:
        seconds = parse_duration(older_than) / 1_000_000 if older_than is not None else None
    except ValueError as error:
        raise UsageError("bad_duration", f"--older-than: {error}") from error
    if is_dry or not store.published():  # where nothing is published nothing can go
        gone = store.collect(keep or store.keep, seconds, is_dry=True)
    else:
        with store.writing():
            gone = store.collect(keep or store.keep, seconds)
    if as_json:
        print(show.dumps(gone | {"dry_run": is_dry}))
        return
    for run in gone["runs"]:
        print(f"{'would remove' if is_dry else 'removed'} {run['pipeline']} {run['run_id']}")
    counts = [show.counted(len(gone["runs"]), "run"), show.counted(gone["event_files"], "event file")]
    told = f"{', '.join(counts)}, {show.counted(gone['rows'], 'row')} of sojourn.runs"
    print(f"{'would remove' if is_dry else 'removed'} {told}; {gone['bytes']:,} bytes")


def _name(pipeline: str) -> str:
    """The name that a pipeline publishes under; of a TOML file the one it has there."""
    return load(pipeline).name if pipeline.endswith(".toml") else pipeline
