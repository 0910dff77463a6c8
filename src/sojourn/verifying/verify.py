"""Whether what is published is what the kept events give, and what a store holds is whole. Nothing is written to it."""

import json
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from random import Random
from typing import Any

from sojourn import recomputing
from sojourn.comparing.multisets import KEYS, columns, compare
from sojourn.engines import duckdb as engine
from sojourn.engines.building import build
from sojourn.engines.duckdb import Connection, identifier, quote
from sojourn.engines.relations import EventFile
from sojourn.errors import SojournError, UsageError
from sojourn.ledger import total
from sojourn.pipeline import Pipeline
from sojourn.reading.land import Landed
from sojourn.store.base import Store
from sojourn.store.manifest import Kept
from sojourn.verifying import inspecting
from sojourn.verifying.cuts import cut
from sojourn.verifying.inspecting import Check


@dataclass(frozen=True)
class Asked:
    """How tables are computed again: in so many random *cuts*, by *seed*."""

    cuts: int = 2
    seed: int = 0
    memory: int | None = None


def verify(store: Store, pipeline: str | None, asked: Asked) -> dict[str, Any]:
    """Everything that can be proved of what is published; plain values, `is_sound` when nothing is wrong."""
    names = sorted({row["pipeline"] for row in store.published()})
    if pipeline is not None and pipeline not in names:
        there = f"published are {', '.join(names)}" if names else "nothing is published yet"
        raise UsageError("not_published", f"nothing is published by {pipeline!r}; {there}")
    found = [_verified(store, name, asked) for name in names if pipeline in (None, name)]
    return {"is_sound": all(one["is_sound"] for one in found), "seed": asked.seed, "pipelines": found}


def _verified(store: Store, name: str, asked: Asked) -> dict[str, Any]:
    run_id = _current(store, name)
    manifests, kept_runs = inspecting.manifests(store, name, run_id)
    checks = [
        manifests,
        inspecting.event_files(store, kept_runs),
        inspecting.snapshots(store, name, kept_runs),
        inspecting.own_files(store, name),
        inspecting.ledgers(store, name, kept_runs),
        inspecting.changes(store, name, kept_runs),
    ]
    if not any(check.problems for check in checks[:3]):
        checks += _tables(store, name, asked)
    if _current(store, name) != run_id:
        raise SojournError("published_meanwhile", f"{name} was published while it was verified; verify it again")
    return {
        "pipeline": name,
        "run_id": run_id,
        "is_sound": not any(check.problems for check in checks),
        "checks": [asdict(check) for check in checks],
    }


def _current(store: Store, name: str) -> str | None:
    return next((row["run_id"] for row in store.published() if row["pipeline"] == name), None)


def _tables(store: Store, name: str, asked: Asked) -> list[Check]:
    """The tables, computed whole and in random cuts, against what is published."""
    checks = [Check("tables")]
    try:
        pipeline, kept = recomputing.published(store, name)
    except UsageError as error:  # an earlier version published it
        checks[0].notes.append(error.message)
        return checks
    with tempfile.TemporaryDirectory(prefix="sojourn-") as named:
        folder = Path(named)
        try:
            landed = recomputing.received(store, pipeline, folder)
            told = _came_since(store, kept, landed)
        except SojournError as error:  # what is told of the journal, or who is forgotten, is damaged
            checks[0].problems.append(f"no table was compared: {error.message}")
            return checks
        if told is not None:
            checks[0].notes.append(told)
            return checks
        files = [*recomputing.files_of(store, kept), *recomputing.landed_files(landed)]
        again = _Again(pipeline, files, kept.until, folder, asked)
        built = build(pipeline, files, again.whole, asked.memory, folder / "spill", again.until)
        events = built.events if landed is None else kept.events
        checks[0].problems += _counts(store, name, kept, {"events": events, **built.tables})
        if kept.checksum:
            with again.beside(store.snapshot_path(name, str(kept.run_id))) as connection:
                _compare_all(connection, pipeline, checks[0], _beside)
        if store.address is not None:
            checks.append(_database(again, store))
        checks.append(_cuts(again))
    return checks


def _counts(store: Store, name: str, kept: Kept, given: dict[str, int]) -> list[str]:
    """Where a store tells of other numbers of rows than the kept events give."""
    told = {"the manifest": {"events": kept.events, **kept.tables} if kept.files else {}}
    told["the list of tables"] = {row["table"]: row["rows"] for row in store.published() if row["pipeline"] == name}
    return [
        f"{what} tells of {rows} rows of {table}, the event files give {given.get(table, 0)}"
        for what, counts in told.items()
        for table, rows in counts.items()
        if rows != given.get(table, 0)
    ]


def _came_since(store: Store, kept: Kept, landed: Landed | None) -> str | None:
    """That the journal has changed since the current run has read it; what it held then cannot be told any more."""
    if landed is None:
        return None
    with store.query(f"select report from sojourn.runs where run_id = {quote(str(kept.run_id))}") as reader:
        reports = [json.loads(row["report"]) for row in reader.read_all().to_pylist()]
    read = [file["read"] for report in reports for file in report["files"] if file["file"] == "journal"]
    if not read or sum(read) == total(landed.ledgers()).read:
        return None
    return "the journal holds other messages than the run has read: run again, then verify; no table was compared"


@dataclass(frozen=True)
class _Again:
    """Tables to be computed again, in a *folder*, of *files*."""

    pipeline: Pipeline
    files: list[EventFile]
    until: int | None
    folder: Path
    asked: Asked

    @property
    def whole(self) -> Path:
        """The snapshot of all files at once."""
        return self.folder / "whole.duckdb"

    @contextmanager
    def beside(self, other: Path | None) -> Iterator[Connection]:
        """The whole snapshot attached as `after`, and the *other* one as `before`."""
        sides = {"after": self.whole} | ({"before": other} if other is not None else {})
        with engine.attached(sides, self.asked.memory, self.folder / "spill") as connection:
            yield connection


def _beside(table: str) -> tuple[str, str]:
    return f"before.{identifier(table)}", f"after.{identifier(table)}"


def _compare_all(
    connection: Connection, pipeline: Pipeline, check: Check, sides: Callable[[str], tuple[str, str]], where: str = ""
) -> None:
    """Compare every table of the *pipeline*, which *sides* gives as published and as computed."""
    for table in pipeline.tables:
        check.checked += 1
        found = compare(connection, *sides(table), KEYS[table])
        if not found.is_equal:
            check.differences.append({"table": table, **asdict(found)})
            counts = f"{found.changed} rows changed, {found.removed} too many, {found.added} missing"
            odd = f"; other columns: {', '.join(found.columns)}" if found.columns else ""
            check.problems.append(
                f"the table {pipeline.name}.{table}{where} is not what the events give: {counts}{odd}"
            )


def _database(again: _Again, store: Store) -> Check:
    """The rows in the database."""
    check = Check("database")
    with again.beside(None) as connection, store.reading(again.pipeline.name) as reading:

        def sides(table: str) -> tuple[str, str]:
            connection.register("_rows", reading.query(f"select * from {identifier(table)}"))
            zoned = "TIMESTAMP WITH TIME ZONE"  # as instants are there
            plain = _replaced(connection, "_rows", zoned, "timezone('UTC', {})")
            connection.execute(f"create or replace temp table _in_database as {plain}")
            connection.unregister("_rows")
            written = _replaced(connection, f"after.{identifier(table)}", "VARCHAR", "replace({}, chr(0), chr(65533))")
            connection.execute(f"create or replace temp view _computed as {written}")  # its text has no NUL
            return "_in_database", "_computed"

        _compare_all(connection, again.pipeline, check, sides, " in the database")
    return check


def _replaced(connection: Connection, relation: str, kind: str, how: str) -> str:
    """SQL for the rows of *relation* with every column of a *kind* as *how* says."""
    names = [identifier(name) for name, of in columns(connection, relation).items() if of == kind]
    replaced = ", ".join(f"{how.format(name)} as {name}" for name in names)
    return f"select * {f'replace ({replaced}) ' if names else ''}from {relation}"


def _cuts(again: _Again) -> Check:
    """The same tables of events dealt into random parts, against those computed whole."""
    check = Check("cuts")
    for number in range(again.asked.cuts if again.files else 0):
        chance = Random(f"{again.asked.seed} {again.pipeline.name} {number}")
        folder = again.folder / f"cut-{number}"
        made, rows = cut(again.pipeline, again.files, folder, chance, again.until, again.asked.memory)
        with again.beside(made) as connection:
            where = f" in cut {number + 1} (seed {again.asked.seed}, parts of {', '.join(map(str, rows))} rows)"
            _compare_all(connection, again.pipeline, check, _beside, where)
    return check
