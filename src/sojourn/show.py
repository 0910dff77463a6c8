"""Showing results to a person (tables) or to a program (JSON)."""

import base64
import csv
import json
import math
import sys
from collections.abc import Sequence
from datetime import date, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Literal

import click
import pyarrow as pa

if TYPE_CHECKING:
    from rich.console import Console

_SHOWN = 40
_UNLIMITED = 100_000


def rows(
    given: Sequence[dict[str, Any]], *, as_json: bool, title: str | None = None, numbers: Sequence[str] = ()
) -> None:
    """Print *given* as a table, or as a JSON list. The columns *numbers* hold numbers as text."""
    if as_json or not given:
        click.echo(dumps(list(given)) if as_json else "no rows")
        return
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table

    console = Console(highlight=False, markup=False)
    if not console.is_terminal:
        console.width = _UNLIMITED  # a file or a pipe has no edge to fold at
    if title is not None:
        console.print(title, style="bold", soft_wrap=True)
    if not _fits(given, console.width):
        _one_by_one(console, given)
        return
    table = Table(header_style="bold", box=SIMPLE_HEAD, show_edge=False)
    for name, value in given[0].items():
        is_number = name in numbers or (isinstance(value, int | float | Decimal) and not isinstance(value, bool))
        justify: Literal["left", "right"] = "right" if is_number else "left"
        table.add_column(name, justify=justify, overflow="fold", min_width=len(name))
    for row in given:
        table.add_row(*(_cell(value) for value in row.values()))
    with console.capture() as printed:
        console.print(table)
    click.echo("\n".join(line.rstrip() for line in printed.get().splitlines()) + "\n", color=console.is_terminal)


def _fits(given: Sequence[dict[str, Any]], width: int) -> bool:
    """Whether a table can be read at *width*: every name whole, and no row folded over many lines."""
    names = [sum(len(name) + 3 for name in row) for row in given[:1]]
    cells = [sum(len(_cell(value)) + 3 for value in row.values()) for row in given]
    return max(names, default=0) < width and max(cells, default=0) < 2 * width


def _one_by_one(console: "Console", given: Sequence[dict[str, Any]]) -> None:
    """Each row as lines of name and value: what a terminal too narrow for the columns can show."""
    widest = max(len(name) for name in given[0])
    for at, row in enumerate(given, 1):
        console.print(f"row {at}", style="bold")
        for name, value in row.items():
            console.print(f"  {name:{widest}}  {_cell(value)}", soft_wrap=True)


def value(given: dict[str, Any] | list[dict[str, Any]], *, as_json: bool) -> None:
    """Print a metric: one row as name and value, several as a table."""
    if as_json:
        click.echo(dumps(given))
    elif isinstance(given, list):
        rows(given, as_json=False)
    else:
        rows([{"name": name, "value": _cell(part)} for name, part in given.items()], as_json=False)


def reader(batches: pa.RecordBatchReader, *, as_json: bool, as_csv: bool) -> None:
    """Print a query's rows; as a table the first of them, and how many there are."""
    if as_csv:
        writer = csv.writer(sys.stdout, lineterminator="\n")
        writer.writerow(batches.schema.names)
        for batch in batches:
            writer.writerows([_cell(part, null="") for part in row.values()] for row in batch.to_pylist())
        return
    if as_json:
        click.echo(dumps(batches.read_all().to_pylist()))
        return
    table = batches.read_all()
    rows(
        table.slice(0, _SHOWN).to_pylist() or [dict.fromkeys(table.schema.names, "")][: 1 - bool(table.num_rows)],
        as_json=False,
    )
    more = f"; the first {_SHOWN} are shown, --csv prints all" if table.num_rows > _SHOWN else ""
    noun = "row" if table.num_rows == 1 else "rows"
    click.echo(f"{table.num_rows} {noun}{more}", err=True)


def ledger(report: dict[str, Any]) -> None:
    """Print where a run's records ended, what was published, and each file when there are several."""
    whole = report["ledger"]
    lines = [{"end": "read", "reason": "", "records": whole["read"]}]
    lines += [{"end": end, "reason": "", "records": whole[end]} for end in ("accepted", "duplicate")]
    for end in ("dropped", "quarantined"):
        lines += [{"end": end, "reason": reason, "records": count} for reason, count in whole[end].items()]
    lines += [{"end": "(blank lines)", "reason": "", "records": whole["blank"]}] if whole["blank"] else []
    lines += [{"end": "(note)", "reason": name, "records": count} for name, count in whole["notes"].items()]
    shown = [{**line, "records": f"{line['records']:,}"} for line in lines]
    took = f"{report['seconds']:.1f} s"
    title = f"{report['pipeline']}: {report['status']} in {took}, run {report['run_id']}"
    rows(shown, as_json=False, title=title, numbers=["records"])
    if len(report["files"]) > 1:
        counts = ["read", "accepted", "duplicate", "dropped", "quarantined"]
        rows([_file_line(entry) for entry in report["files"]], as_json=False, title="by file", numbers=counts)
    if report["tables"]:
        prefix = report["pipeline"]
        named = [{"table": f"{prefix}.{name}", "rows": f"{count:,}"} for name, count in report["tables"].items()]
        rows(named, as_json=False, title="published", numbers=["rows"])


def counted(number: int, what: str) -> str:
    """`1 run`, `2,000 runs`."""
    return f"{number:,} {what}{'' if number == 1 else 's'}"


def dumps(given: Any) -> str:
    """JSON text of plain values, instants and binary included; a number that JSON lacks (NaN) is null."""
    try:
        return json.dumps(given, ensure_ascii=False, default=_json, allow_nan=False)
    except ValueError:
        return json.dumps(_finite(given), ensure_ascii=False, default=_json)


def _finite(given: Any) -> Any:
    if isinstance(given, dict):
        return {name: _finite(part) for name, part in given.items()}
    if isinstance(given, list):
        return [_finite(part) for part in given]
    return None if isinstance(given, float) and not math.isfinite(given) else given


def _file_line(entry: dict[str, Any]) -> dict[str, Any]:
    counts = {name: entry[name] for name in ("read", "accepted", "duplicate")}
    counts |= {end: sum(entry[end].values()) for end in ("dropped", "quarantined")}
    return {"file": entry["file"], **{name: f"{count:,}" for name, count in counts.items()}}


def _cell(given: Any, null: str = "-") -> str:
    if given is None:
        return null
    if isinstance(given, bool):
        return str(given).lower()
    if isinstance(given, float):
        return f"{given:.6g}" if null else repr(given)
    if isinstance(given, bytes | datetime | date):
        return str(_json(given))
    return str(given)


def _json(given: Any) -> Any:
    if isinstance(given, datetime):
        return f"{given.replace(tzinfo=None).isoformat(timespec='microseconds')}Z"
    if isinstance(given, bytes):
        try:
            return given.decode()
        except UnicodeDecodeError:
            return f"base64:{base64.b64encode(given).decode()}"
    if isinstance(given, Decimal):
        return int(given) if given == given.to_integral_value() else float(given)
    return str(given)
