"""What is left of a name, anywhere in a home and its database: in rows and fields, and in the bytes of files."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import duckdb
import pyarrow.parquet as pq

from tests import postgres
from tests.store.places import Place


def remains(place: Place, name: str) -> list[str]:
    """Every place that still holds *name*, as text, escaped as JSON can, or in UTF-16."""
    found = [str(path) for path in place.home.rglob("*") if path.is_file() and _is_in(path, name)]
    return found + (list(_in_database(place.url, name)) if place.url else [])


def _forms(name: str) -> list[bytes]:
    escaped = "".join(f"\\u{ord(letter):04x}" for letter in name)
    return [name.encode(), escaped.encode(), escaped.upper().replace("\\U", "\\u").encode(), name.encode("utf-16-le")]


def _is_in(path: Path, name: str) -> bool:
    forms = _forms(name)
    if any(form in path.read_bytes() for form in forms):
        return True
    if path.suffix == ".parquet":
        return any(_holds(value, forms) for row in pq.read_table(path).to_pylist() for value in row.values())
    if path.suffix == ".duckdb":
        return _in_snapshot(path, forms)
    if path.suffix == ".sqlite":
        with closing(sqlite3.connect(path)) as connection:
            rows = connection.execute("select * from messages").fetchall()
        return any(_holds(value, forms) for row in rows for value in row)
    return False


def _in_snapshot(path: Path, forms: list[bytes]) -> bool:
    with duckdb.connect(str(path), read_only=True) as connection:
        tables = connection.execute("select schema_name, table_name from duckdb_tables()").fetchall()
        rows = [row for schema, table in tables for row in connection.execute(f'from "{schema}"."{table}"').fetchall()]
    return any(_holds(value, forms) for row in rows for value in row)


def _holds(value: Any, forms: list[bytes]) -> bool:
    raw = value if isinstance(value, bytes) else str(value).encode()
    return any(form in raw for form in forms)


def _in_database(url: str, name: str) -> Iterator[str]:
    sql = (
        "select quote_ident(nspname) || '.' || quote_ident(relname) as name from pg_class join pg_namespace as n "
        "on n.oid = relnamespace where relkind = 'r' and nspname not in ('pg_catalog', 'information_schema')"
    )
    for table in [str(row["name"]) for row in postgres.rows(url, sql)]:
        for row in postgres.rows(url, f"select t::text as row from {table} as t"):
            text = str(row["row"])
            if any(form.decode("latin-1") in text or form.hex() in text for form in _forms(name)):
                yield table
