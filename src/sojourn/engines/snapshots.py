"""Snapshots: a pipeline's published tables in a DuckDB file, and in its schema `state` what the next run goes on from.

The state: the tables of some steps, `losers` (rows of kept files whose identity another record has that is the event:
`file, row`), and `made` (how all of it was made: `digest` of the plan, `is_kept`: whether from kept files alone).
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sojourn.engines.apart import MADE
from sojourn.engines.duckdb import Connection, identifier, quote
from sojourn.engines.plans import Plan
from sojourn.engines.relations import as_published, number
from sojourn.pipeline import Pipeline

STATE = {
    *("_servers", "_observation", "_days", "_observed", "_online", "_fleet_daily", "_fleet_rolling_28d"),
    *("_repairs", "_experiment_users"),
}
"""Steps whose tables stay."""

Ask = Callable[[str], list[Any]]
"""The rows of an SQL query, few of them."""

_NOTES = {"_unknown_servers": "unknown_server", "_refused": "refused"}
_DUPLICATES = {"events": "duplicates", "servers": "_server_duplicates"}
_ASKED = {"repeated", "ranked", "events", *_NOTES, *_DUPLICATES.values()}
"""Steps that make no table of their own."""


@dataclass(frozen=True)
class Built:
    """What a snapshot holds: events in all, and rows by table; and what that tells of this run's parts.

    *kept*: the events that the kept files alone hold. *lost*: identities that went with withdrawn files.
    *duplicates*: `(duplicate, conflicting)` by source and part. *notes*: counts by name and part, which are no ends of
    records.
    """

    events: int
    kept: int
    tables: dict[str, int]
    duplicates: dict[tuple[str, int], tuple[int, int]]
    notes: dict[str, dict[int, int]]
    lost: int = 0


@contextmanager
def attached_snapshot(connection: Connection, snapshot: Path) -> Iterator[None]:
    """The tables of *snapshot* and those of its state, which need no schema; written down at the end."""
    # no log: until the end nobody needs what is in the file, and each step would wait for the disk
    connection.execute(f"attach {quote(str(snapshot))} as snapshot (recovery_mode 'no_wal_writes')")
    connection.execute("create schema if not exists snapshot.state")
    connection.execute("set search_path = 'snapshot.main,snapshot.state'")
    yield
    connection.execute("use memory")
    connection.execute("checkpoint snapshot")  # detaching would do it too, but silently leave a log when it fails
    connection.execute("detach snapshot")


def limit(connection: Connection, until: int | None) -> None:
    """Make the relations of one row that plans read: `limits`, and `since`, which says that all days count."""
    connection.execute("create temp table limits as select $1::bigint as until", [until])
    connection.execute("create temp table since as select -(1::bigint << 40) as day")


def create(connection: Connection, name: str, sql: str) -> None:
    """Make what one step of a plan gives, in place of what stood there."""
    if name in _ASKED:
        return
    if name in STATE:
        connection.execute(f"create or replace table state.{name} as {sql}")
    elif name.startswith("_"):
        connection.execute(f"create or replace temp table {name} as {sql}")
    else:
        connection.execute(f"create or replace table {identifier(name)} as {as_published(connection, name, sql)}")


def finish(connection: Connection, planned: Plan, pipeline: Pipeline, *, is_kept: bool) -> dict[str, int]:
    """Make the tables that libraries work out, and say how all was made; the rows of each table."""
    for name in pipeline.tables:
        if name in MADE:
            connection.register("made_apart", MADE[name](lambda sql: connection.sql(sql).to_arrow_table(), pipeline))
            connection.execute(f"create or replace table {name} as from made_apart")
            connection.unregister("made_apart")
    connection.execute(
        f"create or replace table state.made as select {quote(planned.digest)} as digest, {is_kept} as is_kept"
    )
    return {name: number(connection, f"select count(*) from {identifier(name)}") for name in pipeline.tables}


def asked(connection: Connection) -> Ask:
    """Rows by query."""
    return lambda sql: connection.execute(sql).fetchall()


def notes_of(ask: Ask, steps: Mapping[str, str]) -> dict[str, dict[int, int]]:
    """Counts by name and part, which are no ends of records."""
    return {_NOTES[name]: dict(ask(sql)) for name, sql in steps.items() if name in _NOTES}


def duplicates_of(ask: Ask, source: str, steps: Mapping[str, str]) -> dict[tuple[str, int], tuple[int, int]]:
    """`(duplicate, conflicting)` by *source* and part."""
    if (sql := steps.get(_DUPLICATES[source])) is None:
        return {}
    return {(source, part): (int(copies), int(conflicting)) for part, copies, conflicting in ask(sql)}
