"""Exports: published tables as files that a person or another program takes away."""

import hashlib
import json
import shutil
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa

from sojourn import quarantine
from sojourn.engines import duckdb as engine
from sojourn.engines.apart import MADE
from sojourn.engines.spark import Spark
from sojourn.errors import SojournError, UsageError
from sojourn.pipeline import Csv, Pipeline

ORDER: dict[str, tuple[str, ...] | None] = {
    "sessions": ("actor", "session_number", "session_id"),
    "session_durations_by_referrer": ("referrer",),
    "referrer_differences": None,  # the test of all, then pairs by how many sessions they have
    "experiment_users": ("experiment", "actor"),
    "experiments": None,  # the control first, goals as they are declared
    "event_counts": ("session_id", "name"),
    "user_activity": None,  # made in the total order of events, which is more than its columns tell
    "hourly_activity": ("time_bucket", "url_level1", "url_level2", "activity"),
    "transitions": ("from_page", "to_page", "activity"),
    "pages": ("url",),
    "presence": ("device_id", "started_at", "ended_at", "server_id", "user_id", "rule"),
    "fleet_daily": None,  # by day and class, whose names do not sort as their sizes do
    "fleet_rolling_28d": None,
    "fleet_projection": None,
    "repairs": ("rule", "ended_by"),
    "device_uptime": ("device_id", "fleet_size"),
}
"""The order of each table's rows in files, by those of the columns that it has."""

_ISO = "%Y-%m-%dT%H:%M:%S.%fZ"


@dataclass
class Export:
    """Files made beside their place, to be moved there when the run is published."""

    pipeline: str = ""
    folder: Path | None = None
    staged: Path = Path()
    names: list[str] = field(default_factory=list)

    def put_in_place(self) -> None:
        """Replace the files of an earlier export by these."""
        if self.folder is None:
            return
        try:
            for name in _earlier(self.folder):
                are_files = (self.staged / name).is_file() and (self.folder / name).is_file()
                if not are_files:  # which replace one another, as folders do not
                    _remove(self.folder / name)
            for name in self.names:
                (self.staged / name).replace(self.folder / name)
        except OSError as error:
            raise SojournError(
                "out_unusable",
                f"the run was published, but its files cannot be put into {self.folder}: {error.strerror}; write them "
                f"with: sojourn export {self.pipeline} --out DIR",
            ) from error
        finally:
            shutil.rmtree(self.staged, ignore_errors=True)


def stage(
    pipeline: Pipeline,
    run_id: str,
    snapshot: Path,
    quarantined: Path | None,
    folder: Path | None,
    file_format: str,
    spark: Spark | None = None,
) -> Export:
    """Write every table of *snapshot*, the manifest and the quarantine beside *folder*'s files.

    Parquet is written by *spark* where that has built them: as folders of parts, by day; what a library has worked out
    is small, and stays one file.
    """
    if folder is None:
        return Export()
    export = Export(pipeline.name, folder, _staged(folder, run_id))
    try:
        for left in folder.glob(_staged(folder, "*").name):  # by a run that was killed
            shutil.rmtree(left, ignore_errors=True)
        export.staged.mkdir(parents=True)
    except OSError as error:
        raise UsageError("out_unusable", f"cannot write to {folder}: {error.strerror}") from error
    if spark is not None and file_format == "parquet":
        written = _in_parts(pipeline, snapshot, export.staged, spark)
    else:
        written = _written(pipeline, snapshot, pipeline.tables, export.staged, file_format)
    quarantine.write_jsonl(quarantined, export.staged / "quarantine.jsonl")
    manifest = {"pipeline": pipeline.name, "run_id": run_id, "tables": written}
    (export.staged / "manifest.json").write_text(json.dumps(manifest, indent=2) + "\n")
    export.names = [entry["file"] for entry in written.values()] + ["quarantine.jsonl", "manifest.json"]
    return export


def _written(
    pipeline: Pipeline, snapshot: Path, tables: Iterable[str], folder: Path, file_format: str
) -> dict[str, dict[str, Any]]:
    """Write *tables* of *snapshot* as files."""
    with engine.attached({pipeline.name: snapshot}) as connection:
        connection.execute(f"use {engine.identifier(pipeline.name)}")
        columns = {name: [row[0] for row in connection.execute(f"describe {name}").fetchall()] for name in tables}
        queries = {name: _ordered(name, columns[name]) for name in tables}
        return write_tables(connection, queries, pipeline, folder, file_format)


def _in_parts(pipeline: Pipeline, snapshot: Path, folder: Path, spark: Spark) -> dict[str, dict[str, Any]]:
    """Write every table of *snapshot* as Spark has it, into folders; those that Spark does not have, as files."""
    written = _written(pipeline, snapshot, [name for name in pipeline.tables if name in MADE], folder, "parquet")
    for name in pipeline.tables:
        if name not in MADE:
            path = folder / f"{name}.parquet"
            written[name] = _parts(spark.write(name, path), path)
    return written


def _parts(rows: int, folder: Path) -> dict[str, Any]:
    """What the manifest says of a table whose parts lie in a *folder*."""
    sizes = [path.stat().st_size for path in folder.rglob("*.parquet")]
    return {"file": folder.name, "rows": rows, "bytes": sum(sizes), "parts": len(sizes)}


def discard(folder: Path | None, run_id: str) -> None:
    """Remove what a run that broke off has written beside *folder*'s files."""
    if folder is not None:
        shutil.rmtree(_staged(folder, run_id), ignore_errors=True)


def _staged(folder: Path, run_id: str) -> Path:
    return folder / f".sojourn-{run_id}"


def write_tables(
    connection: engine.Connection,
    queries: Mapping[str, str],
    pipeline: Pipeline,
    folder: Path,
    file_format: str,
) -> dict[str, dict[str, Any]]:
    """Write the result of each query as `<table>.<format>`; file, rows, bytes and SHA-256 of each."""
    return {
        name: write_table(connection, query, folder / f"{name}.{file_format}", pipeline.tables[name].csv)
        for name, query in queries.items()
    }


def write_table(connection: engine.Connection, query: str, target: Path, conventions: Csv) -> dict[str, Any]:
    """Write one query's rows in their order, as CSV under *conventions* or as Parquet."""
    if target.suffix == ".csv":
        columns = ", ".join(
            _as_text(name, kind, conventions) for name, kind, *_ in connection.execute(f"describe {query}").fetchall()
        )
        query = f"select {columns} from ({query})"
        how = f"format csv, header true, nullstr {engine.quote(conventions.null)}"
    else:
        how = "format parquet, compression zstd"
    row = connection.execute(f"copy ({query}) to {engine.quote(str(target))} ({how})").fetchone()
    with target.open("rb") as file:
        checksum = hashlib.file_digest(file, "sha256").hexdigest()
    rows = int(row[0]) if row is not None else 0
    return {"file": target.name, "rows": rows, "bytes": target.stat().st_size, "sha256": checksum}


def write_reader(reader: pa.RecordBatchReader, target: Path, conventions: Csv) -> dict[str, Any]:
    """Write rows that some store gave, in the order they come."""
    with engine.connect() as connection:
        connection.register("given", reader)
        return write_table(connection, "select * from given", target, conventions)


def order(table: str, columns: Iterable[str]) -> list[str] | None:
    """The order of *table*'s rows in files, where it has these *columns*; None for that in which they were made."""
    keys = ORDER[table]
    return None if keys is None else [key for key in keys if key in columns]


def _ordered(table: str, columns: list[str]) -> str:
    keys = ", ".join(f"{key} nulls first" for key in order(table, columns) or ())
    return f"select * from {table} order by {keys or 'rowid'}"


def _as_text(name: str, kind: str, conventions: Csv) -> str:
    column = engine.identifier(name)
    if kind.startswith("TIMESTAMP"):
        return f"strftime({column}, {engine.quote(conventions.time or _ISO)}) as {column}"
    return column


def _remove(path: Path) -> None:
    """Remove a file or a folder of parts; another folder is not ours, and stays in the way."""
    if path.is_dir() and path.suffix == ".parquet":
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def _earlier(folder: Path) -> list[str]:
    """Names of the files that an earlier export left in *folder*, by its manifest."""
    try:
        manifest = json.loads((folder / "manifest.json").read_bytes())
        return [Path(entry["file"]).name for entry in manifest["tables"].values()]
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return []
