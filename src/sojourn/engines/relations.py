"""The relations that plans begin with, over landed files; and what they make, as published tables have it."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from sojourn.engines.duckdb import Connection, identifier, parquet, quote
from sojourn.pipeline import Source

INSTANTS = {
    "sessions": ("started_at", "ended_at"),
    "event_counts": ("first_at", "last_at"),
    "user_activity": ("time_stamp",),
    "presence": ("started_at", "ended_at"),
    "experiment_users": ("first_seen",),
}
"""Columns of published tables that plans give as epoch microseconds."""

DAYS = {"fleet_daily": "day", "fleet_rolling_28d": "day"}
"""Columns of published tables that plans give as days since 1970-01-01."""

KINDS = {"integer": "bigint", "number": "double", "boolean": "boolean", "time": "bigint"}
"""Types of landed columns, the same on every engine; all others are text."""


@dataclass(frozen=True)
class EventFile:
    """A landed Parquet file of one *source*; *part* numbers this run's, and is None for those of earlier runs.

    *name* is what the file is called among the kept ones. Those that are not kept (*is_kept*) will be read anew by the
    next run.
    """

    path: Path
    source: str
    part: int | None = None
    is_kept: bool = True
    name: str = ""


def landed(connection: Connection, name: str, source: Source, files: Sequence[EventFile]) -> None:
    """Make `landed_NAME` (the columns of *source*), and `parts_NAME`: the same with `_part` (-1 for kept files),
    `_is_new`, `_file` (its number in `numbered_NAME`) and `_row`.
    """
    numbered(connection, f"numbered_{name}", files)
    fields, rows = fields_of(source), rows_of(source, files)
    connection.execute(f"create temp view landed_{name} as select {fields} from ({rows})")
    connection.execute(
        f"create temp view parts_{name} as select {fields}, _part, _part >= 0 as _is_new, _file, _row "
        f"from ({rows}) join numbered_{name} using (_file)"
    )


def fields_of(source: Source) -> str:
    """The columns of landed records, as SQL."""
    return ", ".join(identifier(column) for column in source.landed)


def rows_of(source: Source, files: Sequence[EventFile]) -> str:
    """The rows of *files* with the number of each file in this order, `_file`, and of each row within, `_row`."""
    if not files:
        nulls = [f"null::{KINDS.get(kind, 'varchar')} as {identifier(name)}" for name, kind in source.landed.items()]
        return f"select {', '.join(nulls)}, 0::bigint as _file, 0::bigint as _row where false"
    paths = parquet(file.path for file in files)
    return f"select {fields_of(source)}, file_index::bigint as _file, file_row_number as _row from {paths}"


def numbered(connection: Connection, table: str, files: Sequence[EventFile]) -> None:
    """Make *table*: `_file` (the number of each file in this order), `_name`, `_part` (-1 for kept ones)."""
    connection.execute(f"create temp table {table} (_file bigint, _name varchar, _part bigint)")
    rows = [f"({at}, {quote(file.name)}, {-1 if file.part is None else file.part})" for at, file in enumerate(files)]
    if rows:
        connection.execute(f"insert into {table} values {', '.join(rows)}")


def as_published(connection: Connection, name: str, sql: str) -> str:
    """The rows of *sql* as the table *name* has them: instants as timestamps (UTC), days as dates, and for wide sums
    ordinary integers.
    """
    kinds = {row[0]: row[1] for row in connection.execute(f"describe {sql}").fetchall()}
    replaced = [f"make_timestamp({column}) as {column}" for column in INSTANTS.get(name, ())]
    replaced += [f"date '1970-01-01' + {DAYS[name]}::integer as {DAYS[name]}"] if name in DAYS else []
    replaced += [f"{column}::bigint as {column}" for column, kind in kinds.items() if kind == "HUGEINT"]
    columns = f"* replace ({', '.join(replaced)})" if replaced else "*"
    return f"select {columns} from ({sql})"


def number(connection: Connection, sql: str) -> int:
    """The one number that a query gives."""
    rows = connection.execute(sql).fetchall()  # all of them: a result half read would stand in the way of others
    return int(rows[0][0])
