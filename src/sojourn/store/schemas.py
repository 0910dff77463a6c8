"""How what a store keeps of its own is laid out: `sojourn.runs`, `sojourn.quarantine`, and the number of the format."""

import json
from datetime import datetime
from typing import Any

import pyarrow as pa

from sojourn.errors import SojournError

FORMAT = 2
"""How a home and a database are laid out; one that was written in a newer way is refused."""

RUNS = pa.schema(
    [
        *((name, pa.string()) for name in ("run_id", "pipeline", "status")),
        ("started_at", pa.timestamp("us")),
        ("seconds", pa.float64()),
        *((name, pa.int64()) for name in ("read", "blank", "accepted", "duplicate", "dropped", "quarantined")),
        *((name, pa.string()) for name in ("report", "message")),
    ]
)
"""`sojourn.runs`: one row per run; `report` is the whole of it as JSON, ledgers by file included."""

QUARANTINE = pa.schema(
    [
        *((name, pa.string()) for name in ("pipeline", "source", "file", "content")),
        ("line", pa.int64()),
        *((name, pa.string()) for name in ("reason", "path", "value")),
        ("raw", pa.binary()),
        ("run_id", pa.string()),
    ]
)
"""`sojourn.quarantine`: one row per quarantined record, which is known by `IDENTITY`."""

IDENTITY = ("pipeline", "source", "content", "line", "path")
"""A line of a file can hold several records, the entries of a message: the path tells them apart."""


def run_row(report: dict[str, Any], message: str | None) -> pa.Table:
    """The row of `sojourn.runs` for a run's *report*."""
    ledger = report["ledger"]
    row = {name: report[name] for name in ("run_id", "pipeline", "status", "seconds")}
    row |= {name: ledger[name] for name in ("read", "blank", "accepted", "duplicate")}
    row |= {name: sum(ledger[name].values()) for name in ("dropped", "quarantined")}
    row["started_at"] = datetime.fromisoformat(report["started_at"]).replace(tzinfo=None)
    row |= {"report": json.dumps(report, ensure_ascii=False), "message": message}
    return pa.Table.from_pylist([row], RUNS)


def check_format(found: int, what: str) -> None:
    """Raise when *what* was written by a newer Sojourn."""
    if found > FORMAT:
        raise SojournError(
            "newer_format",
            f"{what} was written by a newer Sojourn (format {found}, this one knows {FORMAT}); install that version",
        )
