"""Rows of a snapshot's tables that take the place of others."""

from sojourn.engines.duckdb import Connection


def given(sql: str, **relations: str) -> str:
    """*sql* reading these *relations* under their names."""
    named = ", ".join(f"{name} as ({relation})" for name, relation in relations.items())
    return f"with {named} select * from ({sql})"


def replace(connection: Connection, table: str, rows: str, condition: str) -> None:
    """Put *rows* (a query, which may read the table) in the place of those for which the *condition* holds."""
    connection.execute(f"create or replace temp table fresh_rows as {rows}")
    connection.execute(f"delete from {table} where {condition}")
    connection.execute(f"insert into {table} from fresh_rows")


def remove(connection: Connection, table: str, touched: str, *keys: str) -> None:
    """Remove the rows that have *keys* in common with *touched* (a table, or a query in brackets)."""
    condition = " and ".join(same(table, key) for key in keys)
    connection.execute(f"delete from {table} using {touched} as touched where {condition}")


def of_touched(table: str, touched: str, *keys: str) -> str:
    """The rows of *table* that have *keys* in common with *touched* (a table, or a query in brackets)."""
    condition = " and ".join(same(table, key) for key in keys)
    return f"from {table} semi join {touched} as touched on {condition}"


def same(table: str, key: str) -> str:
    """That a row and one of `touched` have the same *key*; nulls are alike."""
    return f"{table}.{key} is not distinct from touched.{key}"
