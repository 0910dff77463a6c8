"""Quarantined records as they are to be read again: by the input that each stands in, line by line."""

from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq

from sojourn import quarantine
from sojourn.engines import duckdb as engine
from sojourn.engines.duckdb import Connection, quote
from sojourn.ledger import Ledger
from sojourn.reading.again import Line
from sojourn.reading.known import KnownInput
from sojourn.rereading import pieces, why_gone
from sojourn.store.base import Store
from sojourn.store.schemas import IDENTITY

_ENTRY = r"^\$\.events\[(\d+)\](?:\.|$)"
_AT_ONCE = 16 << 20
_BOM = b"\xef\xbb\xbf"
_LINES = pa.schema([("input", pa.int32()), ("line", pa.int64()), ("message", pa.binary())])


class Kind(NamedTuple):
    """What inputs have in common that are one to a run: the same records, read in the same way."""

    source: str
    content: str
    until: int | None
    read_as: str


@dataclass
class Asked:
    """Records of one input that are read again, which stand under one digest (*content*).

    *known* are the names that the input is known by. Records stand in *counts* by reason, or in *tail* (with the paths
    *tail_paths*) if they lie behind the last line break.
    """

    known: list[KnownInput]
    content: str
    counts: Counter[str] = field(default_factory=Counter)
    tail: Counter[str] = field(default_factory=Counter)
    tail_paths: set[str] = field(default_factory=set)

    @property
    def kind(self) -> Kind:
        """What the input is read as."""
        return kind_of(self.known[0])

    @property
    def ledger(self) -> Ledger:
        """The records as they were counted when they were read."""
        return _quarantined(self.counts + self.tail)

    @property
    def tail_ledger(self) -> Ledger:
        """Those behind the last line break."""
        return _quarantined(self.tail)


class Left(NamedTuple):
    """So many *records* of a *file* that stay in quarantine unread, and *why*."""

    file: str
    records: int
    why: str


@dataclass
class Standing:
    """What stands in quarantine of one pipeline.

    *rows* has the columns of `sojourn.quarantine`. *lines* has what is read again, in the order of *inputs* and lines:
    `input` (a place in *inputs*), `line`, `raw`, `is_tail`, and of messages the `positions` of entries or null for all.
    """

    rows: Path
    lines: Path
    inputs: list[Asked]
    left: list[Left]


def kind_of(known: KnownInput) -> Kind:
    """What *known* has in common with other names of the same content."""
    return Kind(known.source, known.content, known.until, known.read_as)


def gather(
    store: Store, pipeline: str, known: tuple[KnownInput, ...], reason: str | None, folder: Path, memory: int | None
) -> Standing:
    """What stands in quarantine of *pipeline*, and can be read again as part of what is *known*; files in *folder*."""
    whole = folder / "standing.parquet"
    quarantine.copy(store, whole, pipeline=pipeline, reason=reason)
    found = Standing(folder / "asked.parquet", folder / "again.parquet", _inputs(known), [])
    with engine.connect(memory, folder / "spill") as connection:
        _match(connection, whole, found.inputs)
        _take_entries(connection, found.inputs, folder)
        _write(connection, found)
        columns = "input, is_tail, reason, count(*)::bigint as records, list(path) as paths"
        for number, is_tail, why, count, paths in _rows(connection, f"select {columns} from asked group by all"):
            one = found.inputs[number]
            (one.tail if is_tail else one.counts)[why] += count
            one.tail_paths |= set(paths) if is_tail else set()
        sql = "select file, count(*)::bigint, why from unread group by all order by all"
        found.left = [Left(*row) for row in _rows(connection, sql)]
    return found


def _inputs(known: tuple[KnownInput, ...]) -> list[Asked]:
    """The inputs that records may stand in; those that are read in the same way stand together."""
    kinds: dict[Kind, list[KnownInput]] = defaultdict(list)
    for one in known:
        kinds[kind_of(one)].append(one)
    ordered = sorted(kinds, key=lambda kind: (kind.source, kind.read_as, kind.until or 0, kind.content))
    return [
        Asked(kinds[kind], content)
        for kind in ordered
        for content in sorted({kind.content, *(digest for one in kinds[kind] for digest in one.refused)})
    ]


def changes(
    standing: Standing, still: Path | None, folder: Path, memory: int | None
) -> tuple[Path | None, Path | None]:
    """What leaves the quarantine when of what was *standing* only *still* does, and what comes to it.

    A record that fails for the reason that it failed for before stays as it is; with another it changes places.
    """
    gone, fresh = folder / "replayed.parquet", folder / "changed.parquet"
    identity = ", ".join(IDENTITY)
    same = quarantine.is_same("a", "s")
    with engine.connect(memory, folder / "spill") as connection:
        connection.execute(f"create view asked as from {engine.parquet([standing.rows])}")
        rows = engine.parquet([still]) if still is not None else "(select * from asked where false)"
        # of equal contents the first by name stands for all
        connection.execute(
            f"create view still as select distinct on ({identity}) * from {rows} order by {identity}, file"
        )
        counts = [
            _copy(connection, f"from {of} anti join {other} on {same}", target)
            for of, other, target in (("asked as a", "still as s", gone), ("still as s", "asked as a", fresh))
        ]
    return tuple(path if count else None for path, count in zip((gone, fresh), counts, strict=True))  # type: ignore[return-value]


def lines(found: Standing) -> Iterator[Line]:
    """The lines that are read again, by the place of their input."""
    with pq.ParquetFile(found.lines) as file:
        for batch in file.iter_batches(256):
            for row in batch.to_pylist():
                positions = frozenset(row["positions"]) if row["positions"] is not None else None
                yield Line(row["input"], row["line"], row["raw"], row["is_tail"], positions)


def _match(connection: Connection, whole: Path, inputs: list[Asked]) -> None:
    """Make `asked`, the records with the input that each stands in; and `unread`, those with none that is known."""
    connection.execute(
        "create table input (number integer, source varchar, content varchar, lines bigint, has_tail boolean, "
        "is_streams boolean, why varchar)"
    )
    rows = [
        [at, one.kind.source, one.content, one.known[0].lines, bool(one.known[0].tail_paths), *_how(one.known[0])]
        for at, one in enumerate(inputs)
    ]
    if rows:
        connection.executemany("insert into input values ($1, $2, $3, $4, $5, $6, $7)", rows)
    rows_of = engine.parquet([whole])
    # an entry of a message has a path of its own; a message without any is refused whole
    entry = (
        f"is_streams and regexp_matches(path, {quote(_ENTRY)}) and (path, reason) <> ('$.events[0]', 'missing_field')"
    )
    connection.execute(
        f"create table asked as select r.*, number as input, coalesce(has_tail and line > lines, false) as is_tail, "
        f"case when {entry} then regexp_extract(path, {quote(_ENTRY)}, 1)::integer end as position, why "
        f"from {rows_of} as r join input using (source, content)"
    )
    connection.execute(
        "create table unread as select file, case when file = 'journal' then 'every run reads the journal of live "
        "messages anyway' else 'no run that was published has read it: run it' end as why "
        f"from {rows_of} anti join input using (source, content)"
    )
    connection.execute("insert into unread select file, why from asked where why is not null")
    connection.execute("delete from asked where why is not null")


def _how(known: KnownInput) -> tuple[bool, str | None]:
    """Whether an input is read as streams; and why it cannot be read again by lines, if it cannot."""
    lacks = known.read_as.startswith(("csv", "parquet")) and not known.header
    said = "an earlier version read it, and did not note its columns: read it again with --mode replace"
    return known.read_as == "streams", said if lacks else None


def _take_entries(connection: Connection, inputs: list[Asked], folder: Path) -> None:
    """Make `message`: the lines that quarantined entries stand in, for they say nothing of session and number.

    They come from the file; where it is gone, or another by now, its entries stay where they are.
    """
    target = folder / "messages.parquet"
    with pq.ParquetWriter(target, _LINES) as writer:
        for number in [
            row[0] for row in _rows(connection, "select distinct input from asked where position is not null")
        ]:
            asked = f"from asked where position is not null and input = {number}"
            whys = [why_gone(one) for one in inputs[number].known]
            if None in whys:
                wanted = {row[0] for row in _rows(connection, f"select distinct line {asked}")}
                _copy_lines(writer, number, inputs[number].known[whys.index(None)], wanted)
                continue
            why = quote(f"an entry is read with its message, and the file cannot be: {whys[0]}")
            connection.execute(f"insert into unread select file, {why} {asked}")
            connection.execute(f"delete {asked}")
    connection.execute(f"create view message as from {engine.parquet([target])}")


def _copy_lines(writer: pq.ParquetWriter, number: int, known: KnownInput, wanted: set[int]) -> None:
    """Copy the *wanted* lines of a file, without their line breaks."""
    some: list[dict[str, Any]] = []
    size = 0
    for line, text in _lines(known):
        if line in wanted:
            some.append({"input": number, "line": line, "message": text})
            size += len(text)
        if size > _AT_ONCE:
            writer.write_table(pa.Table.from_pylist(some, _LINES))
            some, size = [], 0
    writer.write_table(pa.Table.from_pylist(some, _LINES))


def _lines(known: KnownInput) -> Iterator[tuple[int, bytes]]:
    """The lines of a file by number from 1; of one that ends without a line break, the last one, too."""
    carry, number = b"", 0
    for piece in pieces(known):
        *whole, carry = (carry + (piece if number or carry else piece.removeprefix(_BOM))).split(b"\n")
        for line in whole:
            number += 1
            yield number, line.removesuffix(b"\r")
    if carry:
        yield number + 1, carry


def _write(connection: Connection, found: Standing) -> None:
    """Write the records that are asked for, each once; and the lines that they are read from."""
    identity = ", ".join(IDENTITY)
    rows = f"select distinct on ({identity}) * exclude (input, is_tail, position, why) from asked"
    _copy(connection, rows, found.rows)
    _copy(
        connection,
        "select input, line, is_tail, any_value(coalesce(message, raw)) as raw, "
        "case when count(position) > 0 then list(position) end as positions "
        "from asked left join message using (input, line) group by input, line, is_tail order by input, line",
        found.lines,
        "row_group_size 4096",
    )


def _copy(connection: Connection, sql: str, target: Path, more: str = "compression zstd") -> int:
    rows = connection.execute(f"copy ({sql}) to {quote(str(target))} (format parquet, {more})").fetchone()
    return int(rows[0]) if rows is not None else 0


def _rows(connection: Connection, sql: str) -> list[tuple[Any, ...]]:
    return connection.execute(sql).fetchall()


def _quarantined(counts: Counter[str]) -> Ledger:
    return Ledger(read=counts.total(), quarantined=counts)
