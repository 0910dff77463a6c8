"""What moved between two runs of a pipeline, or would move by other rules: tables, sessions, metrics, late events."""

import json
import math
import tempfile
import tomllib
from collections.abc import Sequence
from dataclasses import asdict
from itertools import takewhile
from pathlib import Path
from typing import Any

import pyarrow as pa

from sojourn import choosing, recomputing
from sojourn import metrics as registry
from sojourn.comparing import lateness, recuts
from sojourn.comparing.multisets import KEYS, TOLERANCE, Comparison, compare
from sojourn.comparing.recuts import PRESENCE, Spans
from sojourn.engines import duckdb as engine
from sojourn.engines.duckdb import Connection
from sojourn.engines.relations import number
from sojourn.errors import UsageError
from sojourn.loading import load, with_rules
from sojourn.metrics import Metric
from sojourn.pipeline import Pipeline, did_you_mean
from sojourn.store.base import Store
from sojourn.store.manifest import Kept

RULES = ("sessions", "bucket_timezone", "experiments", "goals", "fleet", "tables")
"""The parts of a pipeline that work on kept events, as `Pipeline.rules` names them."""


def of_runs(store: Store, pipeline: str | None, runs: Sequence[str], memory: int | None = None) -> dict[str, Any]:
    """What moved from the first of two *runs* to the second, and what was late; as plain values.

    A run is named as `choosing.chosen` takes it, whose errors it raises; ``snapshot_gone`` when its tables are.
    """
    name, (before, after) = choosing.chosen(store, pipeline, runs)
    sides = {side: choosing.snapshot(store, name, kept) for side, kept in (("before", before), ("after", after))}
    by = recomputing.by_rules(name, before), recomputing.by_rules(name, after)
    with tempfile.TemporaryDirectory(prefix="sojourn-") as folder:
        spill = Path(folder)
        with engine.attached(sides, memory, spill) as connection:
            found = _moved(connection, *by)
            late, why_not = _late(connection, store, by[1], before, after, _spans(*by))
    runs_told = {"before": _run(before), "after": _run(after)}
    return {"pipeline": name, **runs_told, **found, "late": late, "notes": why_not}


def supposed(store: Store, pipeline: str, settings: Sequence[str], memory: int | None = None) -> dict[str, Any]:
    """What would move if *settings* (such as ``sessions.gap=20m``) held, against what is published now.

    A pipeline's file stands for its rules, too. Raises `UsageError`: ``bad_set``, ``reading_setting``,
    ``unknown_setting``, ``bad_pipeline``, ``reading_changed``, ``not_published``.
    """
    changes = _changes(settings)
    given = load(pipeline) if pipeline.endswith(".toml") else None
    now, kept = recomputing.published(store, given.name if given is not None else pipeline)
    if given is not None and given.fingerprint() != now.fingerprint():
        raise _of_reading(f"{pipeline} reads its records in another way than the run {kept.run_id}")
    then = with_rules(given or now, changes, "--set")
    current = store.snapshot_path(now.name, str(kept.run_id))
    with tempfile.TemporaryDirectory(prefix="sojourn-") as name:
        folder = Path(name)
        if now.events.format == "streams" or not current.exists():
            current = recomputing.compute(store, now, kept, folder / "before", memory)
        sides = {"before": current, "after": recomputing.compute(store, then, kept, folder / "after", memory)}
        with engine.attached(sides, memory, folder / "spill") as connection:
            found = _moved(connection, now, then)
    after = {"run_id": None, "events": kept.events, "set": list(settings)}
    return {"pipeline": now.name, "before": _run(kept), "after": after, **found, "late": None, "notes": []}


def _run(kept: Kept) -> dict[str, Any]:
    return {"run_id": kept.run_id, "events": kept.events}


def _changes(settings: Sequence[str]) -> dict[str, Any]:
    """What `--set` says, as TOML has it: ``sessions.gap=20m`` is ``[sessions] gap = "20m"``."""
    changes: dict[str, Any] = {}
    for setting in settings:
        name, separator, value = (part.strip() for part in setting.partition("="))
        first = name.split(".")[0]
        if not separator or not name:
            raise UsageError("bad_set", f"--set {setting}: write a name and a value, such as sessions.gap=20m")
        if first == "source":
            raise _of_reading(f"{name} says how records are read")
        if first not in RULES:
            told = f"there is no rule {first!r}{did_you_mean(first, list(RULES))} rules are {', '.join(RULES)}"
            raise UsageError("unknown_setting", f"--set {setting}: {told}")
        _merge(changes, _as_toml(name, value, setting))
    return changes


def _as_toml(name: str, value: str, setting: str) -> dict[str, Any]:
    try:
        return tomllib.loads(f"{name} = {value}")
    except tomllib.TOMLDecodeError:
        pass  # then it is plain text
    try:
        return tomllib.loads(f"{name} = {json.dumps(value)}")
    except tomllib.TOMLDecodeError as error:
        raise UsageError("bad_set", f"--set {setting}: {error}") from error


def _merge(into: dict[str, Any], other: dict[str, Any]) -> None:
    for key, value in other.items():
        if isinstance(value, dict) and isinstance(into.get(key), dict):
            _merge(into[key], value)
        else:
            into[key] = value


def _of_reading(what: str) -> UsageError:
    told = "the raw files are needed for that; change the pipeline's file and see: sojourn rebuild"
    return UsageError("reading_setting", f"{what}; {told}")


def _moved(connection: Connection, now: Pipeline, then: Pipeline) -> dict[str, Any]:
    """Rules, tables, sessions, presence and metrics of the snapshots `before` and `after`."""
    tables = {name: _table(connection, name, now, then) for name in {**now.tables, **then.tables}}
    spans = {one.table: _span(connection, one) for one in _spans(now, then)}
    return {
        "is_equal": all(table["is_equal"] for table in tables.values()),
        "rules": _rules(now.rules(), then.rules()),
        "tables": tables,
        "sessions": spans.get("sessions"),
        "presence": spans.get("presence"),
        "metrics": _metrics(connection, set(now.tables) & set(then.tables)),
    }


def _table(connection: Connection, name: str, now: Pipeline, then: Pipeline) -> dict[str, Any]:
    if name not in now.tables:
        rows = number(connection, f"select count(*) from after.{name}")
        found = Comparison(0, rows, added=rows)
    elif name not in then.tables:
        rows = number(connection, f"select count(*) from before.{name}")
        found = Comparison(rows, 0, removed=rows)
    else:
        found = compare(connection, f"before.{name}", f"after.{name}", KEYS[name])
    return {"is_equal": found.is_equal and name in now.tables and name in then.tables, **asdict(found)}


def _spans(now: Pipeline, then: Pipeline) -> list[Spans]:
    """The tables of spans of time that both have."""
    both = set(now.tables) & set(then.tables)
    rules = {one.sessions.rule for one in (now, then) if one.sessions is not None}
    known = [recuts.sessions(rules), PRESENCE]
    return [spans for spans in known if spans.table in both]


def _span(connection: Connection, spans: Spans) -> dict[str, Any]:
    found = recuts.moved(connection, spans)
    if spans.table != "sessions":
        return found
    return {**found, **recuts.amended(connection), "counts": recuts.counts(connection)}


def _rules(now: Any, then: Any, path: str = "") -> list[dict[str, Any]]:
    """Each rule that is another one."""
    if isinstance(now, dict) and isinstance(then, dict):
        names = {**now, **then}
        return [one for name in names for one in _rules(now.get(name), then.get(name), f"{path}.{name}".lstrip("."))]
    return [] if now == then else [{"rule": path, "before": now, "after": then}]


def _late(
    connection: Connection, store: Store, pipeline: Pipeline, before: Kept, after: Kept, tables: Sequence[Spans]
) -> tuple[dict[str, Any] | None, list[str]]:
    """The late events of the later run; or why nothing can be said of them."""
    files = lateness.added(before, after, store.event_path)
    if not files.old:
        return None, [f"the run {before.run_id} kept no events: nothing tells what was late after it"]
    if gone := [path for path in (*files.old, *files.fresh) if not path.exists()]:
        return None, [f"what was late cannot be told: the kept events {gone[0]} are gone"]
    return lateness.report(connection, files, pipeline, tables), []


def _metrics(connection: Connection, tables: set[str]) -> dict[str, Any]:
    """Every metric that both sides have the tables and columns for."""
    found = {}
    for metric in registry.metrics().values():
        if set(metric.tables) <= tables:
            try:
                sides = [_evaluated(connection, metric, side) for side in ("before", "after")]
            except UsageError:  # it needs columns that this pipeline's tables lack, such as orders
                continue
            found[metric.name] = {"title": metric.title, "is_one_row": metric.is_one_row, **_changed(metric, *sides)}
    return found


def _evaluated(connection: Connection, metric: Metric, side: str) -> pa.Table:
    connection.execute(f"use {side}")
    try:
        return engine.select(connection, metric.sql).read_all()
    finally:
        connection.execute("use memory")


def _changed(metric: Metric, before: pa.Table, after: pa.Table) -> dict[str, Any]:
    """The rows of a metric that moved, by the columns before its first number; of one row all values."""
    names = before.schema.names
    keys = [] if metric.is_one_row else list(takewhile(lambda name: not _is_number(before.schema.field(name)), names))
    left, right = ({tuple(row[key] for key in keys): row for row in side.to_pylist()} for side in (before, after))
    rows = []
    for key in {**left, **right}:
        one, other = left.get(key), right.get(key)
        values = {name: _value(one, other, name) for name in names if name not in keys}
        has_moved = one is None or other is None or not all(_same(v["before"], v["after"]) for v in values.values())
        if has_moved or metric.is_one_row:
            rows.append({"key": dict(zip(keys, key, strict=True)), "has_moved": has_moved, "values": values})
    return {"before": len(left), "after": len(right), "moved": sum(row["has_moved"] for row in rows), "rows": rows}


def _value(before: dict[str, Any] | None, after: dict[str, Any] | None, name: str) -> dict[str, Any]:
    left, right = (row[name] if row is not None else None for row in (before, after))
    change = right - left if isinstance(left, int | float) and isinstance(right, int | float) else None
    return {"before": left, "after": right, "change": None if isinstance(left, bool) else change}


def _same(left: Any, right: Any) -> bool:
    if isinstance(left, float) and isinstance(right, float):
        return math.isclose(left, right, rel_tol=TOLERANCE) or (math.isnan(left) and math.isnan(right))
    return bool(left == right)


def _is_number(field: pa.Field) -> bool:
    kinds = (pa.types.is_integer, pa.types.is_floating, pa.types.is_decimal)
    return any(is_one(field.type) for is_one in kinds)
