"""What a run changed in the quarantine, whole, in a Parquet file beside its manifest: what it took out, and what it
brought. Going back to an earlier run undoes that; going forward does it again.
"""

from collections.abc import Iterable, Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from sojourn.engines import duckdb as engine
from sojourn.engines.duckdb import Connection
from sojourn.store.manifest import Change
from sojourn.store.schemas import IDENTITY, QUARANTINE

SUFFIX = ".quarantine.parquet"
"""How the file's name goes on after the run's id; its columns are those of `QUARANTINE`, and *is_withdrawn*."""

_COLUMNS = ", ".join(QUARANTINE.names)
_CHANGES = QUARANTINE.append(pa.field("is_withdrawn", pa.bool_()))


def write_fresh(target: Path, refused: Path) -> None:
    """Write that a run brings the rows *refused* to the quarantine, and takes none out."""
    with pq.ParquetWriter(target, _CHANGES, compression="zstd") as writer:
        for batch in pq.ParquetFile(refused).iter_batches():
            rows = pa.Table.from_batches([batch]).select(QUARANTINE.names)
            writer.write_table(rows.append_column("is_withdrawn", [pa.repeat(False, len(batch))]).cast(_CHANGES))


def write(target: Path, standing: pa.RecordBatchReader, refused: Path | None, replayed: Path) -> None:
    """Write what a run changes in the quarantine, where these rows are *standing*: those *refused* come, and those that
    are *replayed* go, which names them by `IDENTITY`."""
    with engine.connect(spill=target.with_suffix(".spill")) as connection:
        connection.register("standing", standing)
        gone = f"from standing semi join {engine.parquet([replayed])} as replayed on {_are_same('replayed')}"
        parts = [f"select {_COLUMNS}, true as is_withdrawn {gone}"]
        if refused is not None:
            parts.append(f"select {_COLUMNS}, false as is_withdrawn from {engine.parquet([refused])}")
        rows = " union all ".join(parts)
        connection.execute(f"copy ({rows}) to {engine.quote(str(target))} (format parquet, compression zstd)")


def contents(replayed: Path) -> str:
    """The SQL condition that a row of the quarantine has one of the contents that are *replayed*."""
    with engine.connect() as connection:
        rows = connection.execute(f"select distinct content from {engine.parquet([replayed])}").fetchall()
    return f"content in ({', '.join(engine.quote(row[0]) for row in rows)})" if rows else "false"


def needed(kept: Iterable[Sequence[Change]]) -> set[str]:
    """The runs whose changes somebody may ask for who goes from one to another of the *kept* runs.

    What is behind all of them no way leads across.
    """
    runs = [{change.run_id for change in changes} for changes in kept]
    return {run for some in runs for run in some if any(run not in others for others in runs)}


def moved(
    standing: pa.RecordBatchReader, undone: Sequence[tuple[str, Path]], again: Sequence[Path], folder: Path
) -> tuple[Path | None, Path | None]:
    """Parquet files of the rows that come to the quarantine, and of those that leave it before, where runs are *undone*
    (id and changes, the newest first) and then the changes of others are made *again*."""
    with engine.connect(spill=folder / "spill") as connection:
        connection.register("standing", standing)
        connection.execute(f"create table before as select {_COLUMNS} from standing")
        connection.execute("create table quarantine as from before")
        for run_id, path in undone:
            connection.execute("delete from quarantine where run_id = $1", [run_id])
            _take_out(connection, path)
            connection.execute(f"insert into quarantine {_rows(path)} where is_withdrawn")
        for path in again:
            _take_out(connection, path)
            first = f"{_rows(path)} where not is_withdrawn {_FIRST}"
            connection.execute(
                f"insert into quarantine from ({first}) as fresh anti join quarantine as standing on "
                f"{_are_same('fresh')}"
            )
        come = _copied(connection, "quarantine", "before", folder / "quarantine.parquet")
        return come, _copied(connection, "before", "quarantine", folder / "replayed.parquet")


_FIRST = f"qualify row_number() over (partition by {', '.join(IDENTITY)} order by file) = 1"
"""Of files with equal content the first by name stands for all."""


def _rows(path: Path) -> str:
    return f"select {_COLUMNS} from {engine.parquet([path])}"


def _take_out(connection: Connection, path: Path) -> None:
    taken = f"({_rows(path)} where is_withdrawn) as taken"
    connection.execute(f"delete from quarantine as standing using {taken} where {_are_same('taken')}")


def _are_same(other: str) -> str:
    """The SQL condition that a row *standing* and one of *other* are known by the same; PostgreSQL has no NUL."""
    equal = [f"standing.{name} = {other}.{name}" for name in IDENTITY if name != "path"]
    paths = [f"replace({of}.path, chr(0), chr(65533))" for of in ("standing", other)]
    return " and ".join([*equal, " = ".join(paths)])


def _copied(connection: Connection, table: str, other: str, target: Path) -> Path | None:
    """Write the rows of *table* that *other* has not; None where there are none."""
    names = ", ".join((*IDENTITY, "run_id"))
    rows = f"from {table} anti join {other} using ({names})"
    connection.execute(f"copy ({rows}) to {engine.quote(str(target))} (format parquet, compression zstd)")
    return target if connection.execute(f"select 1 {rows} limit 1").fetchall() else None
