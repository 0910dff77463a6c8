"""What every reader gives for a block of records, and the steps that all of them share."""

import struct
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from sojourn.ledger import Ledger
from sojourn.pipeline import Field, Source
from sojourn.reading.bots import are_bots
from sojourn.reading.judge import Reject, Value

ARROW_TYPES: dict[str, pa.DataType] = {
    "text": pa.string(),
    "integer": pa.int64(),
    "number": pa.float64(),
    "boolean": pa.bool_(),
    "time": pa.int64(),  # epoch microseconds: no engine ever reads a zone
    "labels": pa.string(),
}
REJECTS = pa.schema(
    [
        ("line", pa.int64()),
        ("reason", pa.string()),
        ("path", pa.string()),
        ("value", pa.string()),
        ("raw", pa.binary()),
    ]
)
"""Rejects of a block; *line* counts from 1 within the block."""


@dataclass
class Block:
    """What one block gave: events as a table, rejects, counts, and how many lines it had.

    *sessions* of streams are to be withdrawn when all is read, as somebody who is forgotten is named in them.
    """

    events: pa.Table
    rejects: pa.Table
    ledger: Ledger
    lines: int
    sessions: frozenset[str] = frozenset()


@dataclass
class Judged:
    """Verdicts of the exact judgement: values of events, and rejects with line and raw text."""

    events: list[tuple[Value, ...]] = field(default_factory=list)
    rejects: list[tuple[int, str, str, str | None, bytes]] = field(default_factory=list)

    def add(self, verdict: tuple[Value, ...] | Reject, line: int, raw: bytes) -> None:
        """Take one verdict on the record at *line*."""
        if isinstance(verdict, Reject):
            self.rejects.append((line, *verdict, raw))
        else:
            self.events.append(verdict)


def field_schema(source: Source) -> pa.Schema:
    """The pipeline's fields in declared order."""
    return pa.schema([(name, ARROW_TYPES[declared.type]) for name, declared in source.fields.items()])


def unknown_values(column: pa.Array, declared: Field) -> set[int]:
    """Positions of values outside the field's stated enumeration."""
    if not declared.values:
        return set()
    known = pc.is_in(column, value_set=pa.array(declared.values, column.type))
    return set(pc.indices_nonzero(pc.and_(column.is_valid(), pc.invert(known))).to_pylist())


def is_utf8(text: bytes) -> bool:
    """Whether *text* is valid UTF-8."""
    if text.isascii():
        return True
    offsets = pa.py_buffer(struct.pack("=ii", 0, len(text)))
    try:  # unlike decoding this makes no copy
        pa.Array.from_buffers(pa.string(), 1, [None, offsets, pa.py_buffer(text)]).validate(full=True)
    except pa.ArrowInvalid:
        return False
    return True


def finish(arrays: list[pa.Array], doubtful: set[int], judged: Judged, blank: int, lines: int, source: Source) -> Block:
    """A block from fast columns (without their *doubtful* rows) and what was judged exactly."""
    schema = field_schema(source)
    table = pa.Table.from_arrays(arrays, schema=schema)
    if doubtful:
        keep = [row not in doubtful for row in range(table.num_rows)]
        table = table.filter(pa.array(keep, pa.bool_()))
    if judged.events:
        table = pa.concat_tables([table, _table(judged.events, schema)])
    rejects = _table(judged.rejects, REJECTS)
    ledger = Ledger(read=lines - blank, blank=blank)
    ledger.quarantined.update(reject[1] for reject in judged.rejects)
    return Block(_kept(table, source, ledger), rejects, ledger, lines)


def _kept(table: pa.Table, source: Source, ledger: Ledger) -> pa.Table:
    """The table without what the drop rules set aside, which the ledger counts; of two the first counts it."""
    if "anonymous" in source.drop:
        table = _without(table, pc.invert(_has_actor(table, source)), "anonymous", ledger)
    if source.bots == "drop":
        table = _without(table, are_bots(table["user_agent"]), "bot", ledger)
    return table


def is_known(actor: pa.Array | pa.ChunkedArray) -> pa.Array | pa.ChunkedArray:
    """Where there is an actor: empty text is none."""
    known = actor.is_valid()
    return pc.and_(known, pc.not_equal(actor, "").fill_null(False)) if actor.type == pa.string() else known


def _has_actor(table: pa.Table, source: Source) -> pa.ChunkedArray:
    known = is_known(table["actor"])
    if source.format == "streams":  # markers have no actor: they say when a session begins and ends, for everybody
        known = pc.or_kleene(known, pc.not_equal(table["type"], "EVENT"))
    return known


def _without(table: pa.Table, is_dropped: pa.ChunkedArray, reason: str, ledger: Ledger) -> pa.Table:
    dropped = pc.sum(is_dropped).as_py()
    if not dropped:
        return table
    ledger.dropped[reason] += dropped
    return table.filter(pc.invert(is_dropped))


def _table(rows: list[Any], schema: pa.Schema) -> pa.Table:
    if not rows:
        return schema.empty_table()
    arrays = [pa.array(values, kind) for values, kind in zip(zip(*rows, strict=True), schema.types, strict=True)]
    return pa.Table.from_arrays(arrays, schema=schema)
