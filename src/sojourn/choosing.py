"""Kept runs by the names that people give them: a run's id, a unique beginning of one, `current` or `previous`."""

from collections.abc import Sequence
from pathlib import Path

from sojourn.engines.duckdb import quote
from sojourn.errors import SojournError, UsageError
from sojourn.store.base import Store
from sojourn.store.manifest import Kept

_RELATIVE = ("current", "previous")


def chosen(store: Store, pipeline: str | None, runs: Sequence[str]) -> tuple[str, list[Kept]]:
    """The pipeline that all of *runs* belong to, and what each of them left.

    Raises `UsageError`: ``unknown_run``, ``ambiguous_run``, ``other_pipeline``, ``which_pipeline``, ``no_previous``,
    ``not_published``; they list the runs that there are.
    """
    kept = {name: store.kept_runs(name) for name in _published(store, pipeline)}
    found = {run: _named(store, run, kept) for run in dict.fromkeys(runs) if run not in _RELATIVE}
    names = sorted({name for name, _ in found.values()})
    if len(names) > 1:
        told = " and ".join(f"{run} of {name}" for run, (name, _) in found.items())
        raise UsageError("other_pipeline", f"the runs are of two pipelines: {told}; compare runs of one")
    if not names and len(kept) > 1:
        known = ", ".join(kept)
        raise UsageError("which_pipeline", f"say whose runs: sojourn diff PIPELINE {' '.join(runs)}; there are {known}")
    name = names[0] if names else next(iter(kept))
    relative = {run: _relative(store, name, run, kept[name]) for run in runs if run in _RELATIVE}
    return name, [relative[run] if run in relative else found[run][1] for run in runs]


def _published(store: Store, pipeline: str | None) -> list[str]:
    names = sorted({row["pipeline"] for row in store.published()})
    if not names:
        raise UsageError("not_published", "nothing is published yet; begin with: sojourn run -h")
    if pipeline is not None and pipeline not in names:
        raise UsageError("not_published", f"nothing is published by {pipeline!r}; published are {', '.join(names)}")
    return names if pipeline is None else [pipeline]


def _named(store: Store, run: str, kept: dict[str, list[Kept]]) -> tuple[str, Kept]:
    """The one kept run whose id begins with *run*."""
    every = [(name, one) for name, runs in kept.items() for one in runs]
    fitting = [(name, one) for name, one in every if run and str(one.run_id).startswith(run)]
    exact = [(name, one) for name, one in fitting if one.run_id == run]
    if len(exact or fitting) == 1:
        return (exact or fitting)[0]
    if fitting:
        ids = ", ".join(str(one.run_id) for _, one in fitting)
        raise UsageError("ambiguous_run", f"{run!r} is the beginning of several runs: {ids}")
    raise UsageError("unknown_run", f"{_what_became(store, run)}; {_listed(kept)}")


def _what_became(store: Store, run: str) -> str:
    """Why there is no kept run of that id."""
    sql = f"select run_id, pipeline, status from sojourn.runs where starts_with(run_id, {quote(run)})"
    with store.query(sql) as reader:
        rows = reader.read_all().to_pylist()
    if len(rows) != 1:
        return f"there is no run {run!r}"
    row = rows[0]
    why = "its tables are not kept any more" if row["status"] == "done" else f"it published nothing ({row['status']})"
    return f"of the run {row['run_id']} of {row['pipeline']} nothing is there to compare: {why}"


def _relative(store: Store, name: str, word: str, runs: list[Kept]) -> Kept:
    """The *current* run of a pipeline, or the one before it."""
    ids = [one.run_id for one in runs]
    current = store.kept(name).run_id
    if current not in ids:
        raise UsageError("unknown_run", f"the current run of {name}, {current}, kept nothing; {_listed({name: runs})}")
    at = ids.index(current) - (word == "previous")
    if at < 0:
        raise UsageError("no_previous", f"no run of {name} before {current} is kept; {_listed({name: runs})}")
    return runs[at]


def snapshot(store: Store, name: str, kept: Kept) -> Path:
    """Where the tables of a kept run lie, when they are there."""
    path = store.snapshot_path(name, str(kept.run_id))
    if not path.exists():
        raise SojournError("snapshot_gone", f"the tables of the run {kept.run_id} are gone: there is no {path}")
    return path


def _listed(kept: dict[str, list[Kept]]) -> str:
    """The kept runs in words."""
    runs = [f"{name}: {', '.join(str(one.run_id) for one in ones)}" for name, ones in kept.items() if ones]
    return f"kept are {'; '.join(runs)}" if runs else "no run is kept"
