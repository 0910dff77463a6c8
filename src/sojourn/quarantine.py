"""Quarantine: every record that broke its contract, whole, with where and why."""

import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from sojourn.engines import duckdb as engine
from sojourn.errors import UsageError
from sojourn.ledger import REASONS
from sojourn.loading import ready_pipelines
from sojourn.pipeline import did_you_mean
from sojourn.reading.land import Landed
from sojourn.store.base import Store
from sojourn.store.schemas import IDENTITY, QUARANTINE

_JSON_COLUMNS = (
    "pipeline, run_id, source, file, line, reason, path, value, "
    "try(decode(raw)) as raw, case when try(decode(raw)) is null then to_base64(raw) end as raw_base64"
)


def gather(run: list[Landed], pipeline: str, run_id: str, folder: Path) -> Path | None:
    """All rejects of a *run*'s sources as one Parquet file with `sojourn.quarantine`'s columns; None without any.

    Readers count lines within their own range; here they become lines of the file.
    """
    origins = [origin for landed in run for origin in _origins(landed)]
    if not origins:
        return None
    target = folder / "quarantine.parquet"
    with pq.ParquetWriter(target, QUARANTINE, compression="zstd") as writer:
        for path, source, file, content, before in origins:
            for batch in pq.ParquetFile(path).iter_batches():
                columns = {name: batch[name] for name in batch.schema.names}
                columns["line"] = pc.add(columns["line"], before)
                same = {"pipeline": pipeline, "run_id": run_id, "source": source, "file": file, "content": content}
                columns |= {name: pa.repeat(value, len(batch)) for name, value in same.items()}
                writer.write_table(pa.table(columns).select(QUARANTINE.names).cast(QUARANTINE))
    return target


def _origins(landed: Landed) -> list[tuple[Path, str, str, str, int]]:
    """Of each file of rejects: its path, source, the input's name and content, and the lines that come before."""
    before, contents = landed.lines_before(), landed.contents()
    return [
        (
            landed.landing.reject_file(part.number),
            landed.landing.name,
            landed.inputs[part.input_number].name,
            contents[part.input_number],
            before[part.number],
        )
        for part in landed.parts
        if part.rejects
    ]


def withdrawn(store: Store, run: list[Landed], pipeline: str, refused: Path | None, folder: Path) -> Path | None:
    """Identities of the records that no longer stand as they stood, once a *run* with these *refused* is published.

    Those are last lines without a line break that have become whole since, and records of a content that was read now
    and that did not break the contract, or not in the same way: it was read by other rules then.
    """
    tails = [
        dict(zip(IDENTITY, (pipeline, former.source, former.content, former.lines + 1, path), strict=True))
        for landed in run
        for former in landed.former.values()
        for path in former.tail_paths
    ]
    identity = pa.schema([QUARANTINE.field(name) for name in IDENTITY])
    found = pa.concat_tables([pa.Table.from_pylist(tails, identity), _outdated(store, run, pipeline, refused)])
    if not found.num_rows:
        return None
    pq.write_table(found, target := folder / "withdrawn.parquet")
    return target


def _outdated(store: Store, run: list[Landed], pipeline: str, refused: Path | None) -> pa.Table:
    """Identities of the records of contents that were read, which stand and were not *refused* as they stand."""
    identity = pa.schema([QUARANTINE.field(name) for name in IDENTITY])
    read = {content for landed in run for at, content in enumerate(landed.contents()) if at not in landed.skipped}
    if not read:
        return identity.empty_table()
    contents = ", ".join(map(engine.quote, sorted(read)))
    with store.standing(pipeline, f"content in ({contents})", (*IDENTITY, "reason", "value")) as reader:
        standing = reader.read_all()
    if not standing.num_rows:
        return identity.empty_table()
    with engine.connect() as connection:
        connection.register("standing", standing)
        same = f"anti join {engine.parquet([refused])} as r on {is_same('s', 'r')}" if refused is not None else ""
        sql = f"select {', '.join(f's.{name}' for name in IDENTITY)} from standing as s {same}"
        return connection.sql(sql).to_arrow_table().cast(identity)


def is_same(one: str, other: str) -> str:
    """The SQL condition that two rows stand for the same record, refused for the same reason.

    PostgreSQL's text has U+FFFD for each NUL.
    """
    texts = [f"replace(coalesce({of}.value, ''), chr(0), chr(65533))" for of in (one, other)]
    paths = [f"replace({of}.path, chr(0), chr(65533))" for of in (one, other)]
    equal = [f"{one}.{name} = {other}.{name}" for name in (*IDENTITY, "reason") if name != "path"]
    return " and ".join([*equal, " = ".join(texts), " = ".join(paths)])


def of_files(store: Store, run: list[Landed], pipeline: str, refused: Path | None, folder: Path) -> Path | None:
    """The quarantined records of all of a *run*'s files: those that were *refused* now, and those of skipped files."""
    known = {
        (landed.landing.name, content)
        for landed in run
        for skipped in landed.skipped.values()
        for content in (skipped.known.refused if skipped.known is not None else ())
    }
    if not known:
        return refused
    pairs = ", ".join(f"({engine.quote(source)}, {engine.quote(content)})" for source, content in sorted(known))
    names = ", ".join(QUARANTINE.names)
    sql = f"select {names} from sojourn.quarantine where pipeline = {engine.quote(pipeline)}"
    with store.query(f"{sql} and (source, content) in ({pairs})") as reader:
        table = reader.read_all().cast(QUARANTINE)
    if refused is not None:
        table = pa.concat_tables([pq.read_table(refused).select(QUARANTINE.names).cast(QUARANTINE), table])
    pq.write_table(table, target := folder / "quarantine-of-files.parquet")
    return target


def write_jsonl(quarantined: Path | None, target: Path) -> None:
    """The records in *quarantined* as JSON, one object a line; text that is not UTF-8 stands in `raw_base64`."""
    target.write_bytes(b"")
    if quarantined is None:
        return
    with engine.connect() as connection:
        connection.execute(
            f"copy (select {_JSON_COLUMNS} from read_parquet({engine.quote(str(quarantined))}) "
            f"order by file, line, path) to {engine.quote(str(target))} (format json)"
        )


def check_reason(reason: str | None) -> None:
    """Refuse a *reason* that no record can have: `UsageError` ``unknown_reason``."""
    if reason is not None and reason not in REASONS:
        hint = did_you_mean(reason, list(REASONS))
        raise UsageError(
            "unknown_reason", f"no record is quarantined as {reason!r}{hint} reasons are {', '.join(REASONS)}"
        )


def check_pipeline(store: Store, pipeline: str | None) -> None:
    """Refuse a *pipeline* that no run was made of: `UsageError` ``unknown_pipeline``."""
    if pipeline is None:
        return
    with store.query("select distinct pipeline from sojourn.runs") as reader:
        names = {row["pipeline"] for row in reader.read_all().to_pylist()} | {*ready_pipelines()}
    if pipeline not in names:
        hint = did_you_mean(pipeline, sorted(names))
        raise UsageError(
            "unknown_pipeline", f"no run was made of {pipeline!r}{hint} there are {', '.join(sorted(names))}"
        )


def listing(store: Store, *, pipeline: str | None, reason: str | None, limit: int) -> list[dict[str, Any]]:
    """The first *limit* quarantined records, with the beginning of their text."""
    check_reason(reason)
    check_pipeline(store, pipeline)
    columns = "run_id, pipeline, file, line, reason, path, value, raw"
    where = _where(pipeline, reason)
    sql = f"select {columns} from sojourn.quarantine {where} order by pipeline, file, line, path limit {limit}"
    with store.query(sql) as reader:
        rows: list[dict[str, Any]] = reader.read_all().to_pylist()
    shown = {"value": lambda value: value and _beginning(value.encode()), "raw": _beginning}
    return [{**row, **{name: cut(row[name]) for name, cut in shown.items()}} for row in rows]


def export(store: Store, output: str, *, pipeline: str | None, reason: str | None) -> None:
    """Write quarantined records whole, one JSON object a line, to a file or ``-``."""
    check_reason(reason)
    check_pipeline(store, pipeline)
    with tempfile.TemporaryDirectory(prefix="sojourn-") as folder:
        whole = Path(folder) / "quarantine.parquet"
        copy(store, whole, pipeline=pipeline, reason=reason)
        target = Path(folder) / "quarantine.jsonl" if output == "-" else Path(output)
        write_jsonl(whole, target)
        if output == "-":
            with target.open("rb") as file:
                shutil.copyfileobj(file, sys.stdout.buffer)


def copy(store: Store, target: Path, *, pipeline: str | None, reason: str | None) -> None:
    """Copy quarantined records, with all columns, into one Parquet file."""
    sql = f"select {', '.join(QUARANTINE.names)} from sojourn.quarantine {_where(pipeline, reason)}"
    with store.query(sql) as reader, pq.ParquetWriter(target, reader.schema) as writer:
        for batch in reader:
            writer.write_batch(batch)


def _where(pipeline: str | None, reason: str | None) -> str:
    wanted = {"pipeline": pipeline, "reason": reason}
    conditions = [f"{name} = {engine.quote(value)}" for name, value in wanted.items() if value is not None]
    return f"where {' and '.join(conditions)}" if conditions else ""


def _beginning(raw: bytes) -> str:
    text = raw[:200].decode("utf-8", "backslashreplace")
    return text if len(raw) <= 200 else f"{text}..."
