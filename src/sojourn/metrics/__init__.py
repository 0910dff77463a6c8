"""Metrics: named numbers, each one raw SQL text over published tables, for DuckDB and PostgreSQL alike.

A file's first lines say what it is: `-- title:`, `-- pipeline:` (the ready one it reads),
`-- tables:` (that it needs) and `-- returns:` (`one row` or `rows`).
"""

import re
from dataclasses import dataclass
from importlib import resources
from typing import Any

from sojourn.errors import UsageError
from sojourn.pipeline import did_you_mean
from sojourn.store.base import Store

_HEADER = re.compile(r"^-- (\w+): (.+)$", re.MULTILINE)


@dataclass(frozen=True)
class Metric:
    """A named number: its SQL reads *tables* of *pipeline* without naming the schema."""

    name: str
    title: str
    pipeline: str
    tables: tuple[str, ...]
    is_one_row: bool
    sql: str


def metrics() -> dict[str, Metric]:
    """Every metric by name."""
    folder = resources.files("sojourn") / "metrics"
    files = sorted((file for file in folder.iterdir() if file.name.endswith(".sql")), key=lambda file: file.name)
    return {file.name[:-4]: _metric(file.name[:-4], file.read_text(encoding="utf-8")) for file in files}


def metric(name: str) -> Metric:
    """The metric *name*; a `UsageError` names the known ones."""
    known = metrics()
    if name not in known:
        raise UsageError(
            "unknown_metric",
            f"there is no metric {name!r}{did_you_mean(name, known)} known are {', '.join(known)}",
        )
    return known[name]


def evaluate(name: str, store: Store, pipeline: str | None = None) -> dict[str, Any] | list[dict[str, Any]]:
    """The metric's value over the published tables: an object, or a list of rows."""
    wanted = metric(name)
    source = pipeline or wanted.pipeline
    with store.reading_for(f"metric {name}", source, sorted(wanted.tables)) as (reading, _):
        rows: list[dict[str, Any]] = reading.query(wanted.sql).read_all().to_pylist()
    return rows[0] if wanted.is_one_row else rows


def _metric(name: str, sql: str) -> Metric:
    header = dict(_HEADER.findall(sql))
    tables = tuple(header["tables"].replace(" ", "").split(","))
    return Metric(name, header["title"], header["pipeline"], tables, header["returns"] == "one row", sql)
