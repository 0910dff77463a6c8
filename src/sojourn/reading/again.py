"""Records that are read again: single lines of an input that was read before, each at its place."""

import ast
import base64
import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime, time
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from sojourn.errors import SojournError
from sojourn.reading.inputs import Input
from sojourn.reading.sources import Task


@dataclass(frozen=True)
class Again(Task):
    """Whole lines (*content*), each of which stands in its input at one of *places*.

    Of a message only the entries at its *positions* are read; None for all. Rows of Parquet come as JSON, their types
    in the *header* (`types_of`).
    """

    positions: tuple[frozenset[int] | None, ...] = ()


def types_of(given: Input, wanted: set[str]) -> tuple[str, ...]:
    """The types of the *wanted* columns of a Parquet file, as `restored` takes them."""
    try:
        schema = pq.read_schema(given.path)
    except pa.ArrowException as error:
        raise SojournError("corrupt_file", f"{given.name} is not a readable Parquet file: {error}") from error
    fields = [schema.field(at) for at, name in enumerate(schema.names) if name in wanted]
    return (base64.b64encode(pa.schema(fields).serialize().to_pybytes()).decode(),)


def restored(content: bytes, header: tuple[str, ...]) -> pa.Table:
    """The rows that stand as JSON lines in *content*, in columns of the types that `types_of` gave as *header*.

    Raises `ValueError` for a row whose JSON does not tell its values.
    """
    schema = pa.ipc.read_schema(pa.py_buffer(base64.b64decode(header[0])))
    rows = [json.loads(line) for line in content.removesuffix(b"\n").split(b"\n")]
    columns = [pa.array([_restored(row.get(field.name), field.type) for row in rows], field.type) for field in schema]
    return pa.Table.from_arrays(columns, schema=schema)


def _restored(value: Any, kind: pa.DataType) -> Any:
    """A value of JSON as the one of type *kind* that was written with ``str``."""
    if pa.types.is_dictionary(kind):
        return _restored(value, kind.value_type)
    if isinstance(value, list) and pa.types.is_list(kind):
        return [_restored(part, kind.value_type) for part in value]
    if not isinstance(value, str):
        return value
    for is_kind, read in _READ.items():
        if is_kind(kind):
            return read(value)
    return value


_READ: dict[Callable[[pa.DataType], bool], Callable[[str], Any]] = {
    pa.types.is_timestamp: datetime.fromisoformat,
    pa.types.is_date: date.fromisoformat,
    pa.types.is_time: time.fromisoformat,
    pa.types.is_decimal: Decimal,
    pa.types.is_binary: ast.literal_eval,
}
