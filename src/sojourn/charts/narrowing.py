"""Queries over some of a table's rows only."""

import re
from collections.abc import Iterable, Mapping
from typing import TypeAlias

from sojourn.engines.duckdb import identifier

Where: TypeAlias = Mapping[str, str]
"""Table -> the SQL condition of its rows that are wanted."""

_BEFORE = re.compile(r"\A(?:\s|--[^\n]*\n)*(with\s)?", re.IGNORECASE)


def narrowed(sql: str, pipeline: str, tables: Iterable[str], where: Where) -> str:
    """*sql* over the wanted rows of *pipeline*'s *tables*; `all_sessions` in it still is the whole of `sessions`.

    Numbers that rest on an actor's whole history, such as visits before an order, read the latter.
    """
    schema = identifier(pipeline)
    names = [f"all_{table} as (select * from {schema}.{identifier(table)})" for table in tables]
    names += [
        f"{identifier(table)} as (select * from {schema}.{identifier(table)} where {where[table]})"
        for table in tables
        if table in where
    ]
    found = _BEFORE.match(sql)
    assert found is not None, "it matches anything"
    return f"with {', '.join(names)}{', ' if found[1] else ' '}{sql[found.end() :]}"
