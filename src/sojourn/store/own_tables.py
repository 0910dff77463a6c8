"""The rows of `sojourn.runs` and `sojourn.quarantine` under a home: Parquet files, each written once and then named by
the catalog.
"""

import time
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from sojourn.engines import duckdb as engine
from sojourn.errors import SojournError
from sojourn.store.catalog import Catalog
from sojourn.store.files import make_folder, sync, write_whole
from sojourn.store.schemas import IDENTITY, QUARANTINE, RUNS, run_row

_MERGED = "merged-"
"""How the name of a file begins that holds the rows of several runs."""

_BATCH = 10_000
"""Rows that are held at a time."""

_GRACE = 600.0
"""Seconds for which a file stays whose rows moved to another: a reader may have looked up its name before."""


def run_path(home: Path, name: str) -> Path:
    """Where the rows of one run, or of several, lie."""
    return home / "runs" / f"{name}.parquet"


def quarantine_path(home: Path, name: str) -> Path:
    """Where quarantined records lie."""
    return home / "quarantine" / name


def listed(home: Path, catalog: Catalog) -> set[Path]:
    """The files that must stay."""
    runs = {run_path(home, name) for name in catalog.runs}
    return (
        runs | {quarantine_path(home, name) for name in catalog.quarantine} | {home / name for name in catalog.retired}
    )


def files(home: Path, catalog: Catalog, pipeline: str) -> list[Path]:
    """The files with the rows of all runs, and with those of *pipeline* in the quarantine."""
    refused = [name for name in catalog.quarantine if name.startswith(f"{pipeline}/")]
    return [*(run_path(home, name) for name in catalog.runs), *(quarantine_path(home, name) for name in refused)]


def attach(connection: engine.Connection, home: Path, catalog: Catalog) -> list[Path]:
    """Make the views `sojourn.runs` and `sojourn.quarantine`; the files that they read."""
    connection.execute("attach ':memory:' as sojourn")
    runs = [run_path(home, name) for name in catalog.runs]
    quarantine = [quarantine_path(home, name) for name in catalog.quarantine]
    for name, files, empty in (("runs", runs, RUNS), ("quarantine", quarantine, QUARANTINE)):
        if files:
            connection.execute(f"create view sojourn.{name} as from {engine.parquet(files)}")
        else:
            connection.register("empty", empty.empty_table())
            connection.execute(f"create table sojourn.{name} as from empty")
            connection.unregister("empty")
    return [*runs, *quarantine]


def is_recorded(home: Path, catalog: Catalog, run_id: str) -> bool:
    """Whether a run has its row."""
    merged = [run_path(home, name) for name in catalog.runs if name.startswith(_MERGED)]
    ids = (_read(path)["run_id"].to_pylist() for path in merged)
    return run_id in catalog.runs or any(run_id in known for known in ids)


def add_run(home: Path, catalog: Catalog, report: dict[str, Any], message: str | None) -> None:
    """Write the row of a run."""
    target = run_path(home, report["run_id"])
    _write(target, RUNS, run_row(report, message).to_reader())
    catalog.runs.append(report["run_id"])


def reword(home: Path, catalog: Catalog, run_id: str, message: str) -> None:
    """Replace the message in the row of a run."""
    for path in (run_path(home, name) for name in catalog.runs):
        rows = _read(path)
        is_it = pc.equal(rows["run_id"], run_id)
        if pc.any(is_it).as_py():
            told = pc.if_else(is_it, message, rows["message"])
            content = pa.BufferOutputStream()
            fresh = rows.set_column(RUNS.names.index("message"), RUNS.field("message"), told)
            pq.write_table(fresh, content, write_page_checksum=True)
            write_whole(path, content.getvalue().to_pybytes())


def merge_runs(home: Path, catalog: Catalog, goes: str, *, is_dry: bool) -> int:
    """Put the rows of all runs together into one file, but those that meet the SQL condition *goes*: how many these
    are. Nothing is written when *is_dry*."""
    paths = [run_path(home, name) for name in catalog.runs]
    if not paths:
        return 0
    name = f"{_MERGED}{uuid.uuid4().hex}"
    target = run_path(home, name)
    with engine.connect() as connection:
        source = engine.parquet(paths)
        rows = int(connection.execute(f"select count(*) from {source} where {goes}").fetchall()[0][0])
        if is_dry or (not rows and len(paths) == 1):
            return rows
        _write(target, RUNS, _rows(connection, f"from {source} where not ({goes})"))
    catalog.runs = [name]
    _retire(home, catalog, paths)
    return rows


@contextmanager
def standing(
    home: Path, catalog: Catalog, pipeline: str, where: str, names: Sequence[str]
) -> Iterator[pa.RecordBatchReader]:
    """The rows of *pipeline* in the quarantine that meet the SQL condition *where*, the columns *names* of them."""
    paths = [quarantine_path(home, name) for name in catalog.quarantine if name.startswith(f"{pipeline}/")]
    if not paths:
        yield QUARANTINE.empty_table().select(names).to_reader()
        return
    with engine.connect() as connection:
        sql = f"select {', '.join(names)} from {engine.parquet(paths)} where {where}"
        yield _rows(connection, sql)


def withdraw(home: Path, catalog: Catalog, report: dict[str, Any], replayed: Path) -> None:
    """Put the quarantine of the run's pipeline, without the records *replayed*, into one file."""
    folder = f"{report['pipeline']}/"
    known = [name for name in catalog.quarantine if name.startswith(folder)]
    if not known:
        return
    paths = [quarantine_path(home, name) for name in known]
    target = quarantine_path(home, fresh := f"{folder}{report['run_id']}-rest.parquet")
    rest = f"from {engine.parquet(paths)} anti join (from {engine.parquet([replayed])}) using ({', '.join(IDENTITY)})"
    with engine.connect() as connection:
        _write(target, QUARANTINE, _rows(connection, rest))
    catalog.quarantine = [*(name for name in catalog.quarantine if name not in known), fresh]
    _retire(home, catalog, paths)


def add_quarantine(home: Path, catalog: Catalog, report: dict[str, Any], staged: Path) -> None:
    """Keep the quarantined records that do not stand yet, as one more file, if there are any."""
    target = quarantine_path(home, name := f"{report['pipeline']}/{report['run_id']}.parquet")
    known = [quarantine_path(home, file) for file in catalog.quarantine]
    with engine.connect() as connection:
        rows = engine.parquet([staged])
        # of files with equal content in one run the first by name stands for all
        first = f"select source, content, run_id, min(file) as file from {rows} group by all"
        fresh = f"from {rows} semi join ({first}) using (source, content, run_id, file)"
        if known:
            identity = ", ".join(IDENTITY)
            fresh += f" anti join (select {identity} from {engine.parquet(known)}) using ({identity})"
        _write(target, QUARANTINE, _rows(connection, fresh))
    if pq.read_metadata(target).num_rows:
        catalog.quarantine.append(name)
    else:
        target.unlink()


def _read(path: Path) -> pa.Table:
    try:
        return pq.read_table(path, schema=RUNS)
    except (OSError, pa.ArrowException) as error:
        raise SojournError(
            "damaged_file", f"the file {path} is gone or damaged; bring it back from a backup"
        ) from error


def _retire(home: Path, catalog: Catalog, paths: list[Path]) -> None:
    """Stop naming *paths*; those that were retired long enough ago may go now."""
    now = time.time()
    catalog.retired = {name: at for name, at in catalog.retired.items() if now - at < _GRACE}
    catalog.retired |= {str(path.relative_to(home)): now for path in paths}


def _rows(connection: engine.Connection, sql: str) -> pa.RecordBatchReader:
    return connection.sql(sql).to_arrow_reader(_BATCH)


def _write(target: Path, schema: pa.Schema, rows: pa.RecordBatchReader) -> None:
    """Have *target* written, durably; its pages have checksums, so that `verify` notices a single other byte."""
    make_folder(target.parent)
    with pq.ParquetWriter(target, schema, write_page_checksum=True) as writer:
        for batch in rows:
            writer.write_table(pa.Table.from_batches([batch]).cast(schema))
    sync(target)
    sync(target.parent)
