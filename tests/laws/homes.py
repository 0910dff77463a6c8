"""Runs into a home of their own, and the tables that the reference expects of them."""

from __future__ import annotations

import shutil
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from sojourn import run
from sojourn.engines import duckdb as engine
from sojourn.reading.inputs import resolve
from sojourn.store.opening import open_store
from sojourn.times import parse_duration
from tests import reference
from tests.laws.adapt import Table, pipeline_of, same_tables

if TYPE_CHECKING:
    from pathlib import Path

    from sojourn.pipeline import Pipeline

STATISTICS = ("experiments", "referrer_differences")
"""Tables of which the reference has the counts, and no p-values."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Home:
    """A pipeline's home in a fresh folder."""

    def __init__(self, folder: Path, pipeline: Pipeline) -> None:
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        self.folder = folder
        self.pipeline = pipeline
        self.store = open_store(str(folder / "home"), None)

    def run(self, files: dict[str, bytes], **options: Any) -> dict[str, Any]:
        """One run over *files*; its report."""
        paths = [self.folder / f"{name}.jsonl" for name in files]
        for path, content in zip(paths, files.values(), strict=True):
            path.write_bytes(content)
        inputs = resolve([str(path) for path in paths], "jsonl")
        return run.execute(self.pipeline, inputs, self.store, run.Options(**options), lambda _: None).report()

    def tables(self) -> dict[str, Table]:
        """Every published table, instants as epoch microseconds."""
        name = self.pipeline.name
        snapshot = self.store.snapshot_path(name, str(self.store.kept(name).run_id))
        found = {}
        with engine.attached({"current": snapshot}) as connection:
            for name in self.pipeline.tables:
                found[name] = plain_rows(connection.sql(f"from current.{name}"))
        return found

    def query(self, sql: str) -> Table:
        """A query as a person asks it."""
        with self.store.query(sql) as reader:
            rows: Table = reader.read_all().to_pylist()
            return rows

    def check(self, events: list[reference.Event]) -> None:
        """The published tables are the reference's over *events*."""
        ours, theirs = self.tables(), expected_tables(events, self.pipeline)
        assert ours.keys() == theirs.keys()
        for name, rows in theirs.items():
            found = ours[name]
            if name in STATISTICS:
                found = [{key: row[key] for key in rows[0]} for row in found] if rows else found
            try:
                same_tables(found, rows)
            except AssertionError as error:
                error.add_note(f"the table {name}")
                raise


def plain_rows(relation: Any) -> Table:
    """The rows of a relation of DuckDB, instants as epoch microseconds."""
    rows = relation.to_arrow_table().to_pylist()
    return [{key: _plain(value) for key, value in row.items()} for row in rows]


def _plain(value: Any) -> Any:
    return (value.replace(tzinfo=UTC) - _EPOCH) // timedelta(microseconds=1) if isinstance(value, datetime) else value


def expected_tables(events: list[reference.Event], pipeline: Pipeline) -> dict[str, Table]:
    """The reference's tables over *events*, in the columns that are published."""
    known = pipeline_of(pipeline)
    by_key = pipeline.sessions is not None and pipeline.sessions.rule == "key"
    sessions = (reference.sessions_by_key if by_key else reference.sessions_by_gap)(events, known)
    found: dict[str, Table] = {}
    for name, settings in pipeline.tables.items():
        if name == "sessions":
            found[name] = [_session(row, pipeline) for row in sessions]
        elif name == "session_durations_by_referrer":
            found[name] = reference.session_durations_by_referrer(sessions)
        elif name == "referrer_differences":
            found[name] = reference.referrer_differences(sessions)
        elif name == "experiment_users":
            found[name] = reference.experiment_users(events, sessions, known)
        elif name == "experiments":
            found[name] = reference.experiments(reference.experiment_users(events, sessions, known), known)
        elif name == "user_activity":
            found[name] = reference.user_activity(events, known)
        elif name == "hourly_activity":
            found[name] = reference.hourly_activity(events, known)
        elif name == "transitions":
            found[name] = reference.transitions(events, known, gap=parse_duration(settings.gap))
        elif name == "pages":
            found[name] = reference.pages(events, reference.groups_by_key(events, known), known)
        else:
            raise ValueError(f"the reference has no table {name}")
    return found


def _session(row: dict[str, Any], pipeline: Pipeline) -> dict[str, Any]:
    """A session as it is published: its actor as text, orders only with a goal."""
    assert pipeline.sessions is not None
    published = {**row, "actor": None if row["actor"] is None else str(row["actor"])}
    if pipeline.sessions.goal is None:
        del published["orders"]
    return published
