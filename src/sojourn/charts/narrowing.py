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

    Numbers that rest on an actor's whole history, such as visits before an order, read the latter; its `is_wanted`
    tells the wanted rows.
    """
    names = []
    for table in tables:
        source, condition = f"{identifier(pipeline)}.{identifier(table)}", where.get(table, "true")
        # not materialized: else PostgreSQL would first copy a table that is named twice
        names.append(f"all_{table} as not materialized (select *, ({condition}) as is_wanted from {source})")
        if table in where:
            names.append(f"{identifier(table)} as not materialized (select * from {source} where {condition})")
    found = _BEFORE.match(sql)
    assert found is not None, "it matches anything"
    return f"with {', '.join(names)}{', ' if found[1] else ' '}{sql[found.end() :]}"
