"""Parquet: typed columns to events; what a column's type does not settle is judged value by value."""

import json
from collections.abc import Iterator
from datetime import date, datetime
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from sojourn.errors import SojournError
from sojourn.pipeline import Field, Source
from sojourn.reading import columns
from sojourn.reading.block import ARROW_TYPES, Block, Judged, finish, unknown_values
from sojourn.reading.judge import Contract, Number, Reject, Value, coerce, dotted, first_reason

_ROWS = 65_536


class ParquetRows:
    """Reads a Parquet file under one contract. A record is a row; its line is the row's number from 1."""

    def __init__(self, source: Source) -> None:
        self.contract = Contract(source)

    def blocks(self, path: str, name: str) -> Iterator[Block]:
        """The file's rows, some ten thousand at a time."""
        try:
            with pq.ParquetFile(path) as file:
                for batch in file.iter_batches(_ROWS):
                    yield self.read(pa.Table.from_batches([batch]))
        except pa.ArrowException as error:
            raise SojournError("corrupt_file", f"{name} is not a readable Parquet file: {error}") from error

    def read(self, rows: pa.Table) -> Block:
        """The events and rejects of *rows*."""
        rows = rows.combine_chunks()
        arrays: list[pa.Array] = []
        doubtful: set[int] = set()
        for _, declared, keys in self.contract.fields:
            found = rows[keys[0]].combine_chunks() if keys[0] in rows.column_names else pa.nulls(rows.num_rows)
            found = found if isinstance(found, pa.Array) else pa.concat_arrays(found.chunks)
            array, doubts = self._column(found, declared)
            if declared.required:
                doubts |= set(pc.indices_nonzero(found.is_null()).to_pylist())
            arrays.append(array)
            doubtful |= doubts | unknown_values(array, declared)
        judged = Judged()
        for at in sorted(doubtful):
            row = rows.slice(at, 1).to_pylist()[0]
            judged.add(self.judge(row), at + 1, json.dumps(row, default=str, ensure_ascii=False).encode())
        return finish(arrays, doubtful, judged, 0, rows.num_rows, self.contract.source)

    def judge(self, row: dict[str, Any]) -> tuple[Value, ...] | Reject:
        """The row's values in declared order, or why it is refused."""
        return first_reason(self._value(row.get(keys[0]), field, keys) for _, field, keys in self.contract.fields)

    def _value(self, value: Any, declared: Field, keys: tuple[str, ...]) -> Value | Reject:
        path = dotted(keys)
        if value is None:
            return Reject("missing_field", path, None) if declared.required else None
        if isinstance(value, bool):
            return coerce(value, declared, path, self.contract)
        if isinstance(value, int | float | Decimal):
            return coerce(Number(str(value)), declared, path, self.contract)
        if isinstance(value, list):
            parts = [Number(part) if isinstance(part, int) and not isinstance(part, bool) else part for part in value]
            return coerce(parts, declared, path, self.contract)
        if isinstance(value, datetime | date):
            return coerce(value.isoformat(), declared, path, self.contract)
        return coerce(value, declared, path, self.contract)

    def _column(self, found: pa.Array, declared: Field) -> tuple[pa.Array, set[int]]:
        kind = found.type
        if pa.types.is_dictionary(kind):
            return self._column(found.dictionary_decode(), declared)
        if pa.types.is_large_string(kind) or pa.types.is_string_view(kind):
            return self._column(found.cast(pa.string()), declared)
        if declared.type == "labels" and pa.types.is_list(kind) and kind.value_type == pa.string():
            joined = pc.binary_join(found, ",")
            lost = pc.xor(joined.is_valid(), found.is_valid())  # where one of the labels is null
            return columns.one_texts(joined), set(pc.indices_nonzero(lost).to_pylist())
        settled = self._settled(found, declared)
        if settled is not None:
            return settled, set()
        if declared.type == "time" and (kind == pa.string() or pa.types.is_int64(kind)):
            return columns.instants(found, declared.formats, self.contract)
        return pa.nulls(len(found), ARROW_TYPES[declared.type]), set(pc.indices_nonzero(found.is_valid()).to_pylist())

    def _settled(self, found: pa.Array, declared: Field) -> pa.Array | None:
        """The column where its own type already keeps the contract."""
        kind, wanted = found.type, declared.type
        if pa.types.is_timestamp(kind) and wanted == "time":
            utc = kind.tz is not None or self.contract.source.timezone == "UTC"
            return found.cast(pa.timestamp("us", kind.tz), safe=False).cast(pa.int64()) if utc else None
        is_whole = pa.types.is_integer(kind) and kind != pa.uint64()
        if is_whole and (wanted == "integer" or (wanted == "text" and not self.contract.source.strict)):
            return found.cast(pa.int64()).cast(ARROW_TYPES[declared.type])
        if pa.types.is_boolean(kind) and wanted == "boolean":
            return found
        if kind == pa.string() and wanted == "labels":
            return columns.one_texts(found)
        return found if kind == pa.string() and wanted == "text" else None
