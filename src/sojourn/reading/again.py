"""Records that are read again: single lines of an input that was read before, each at its place."""

import ast
import base64
import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time
from decimal import Decimal
from itertools import groupby
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from sojourn.errors import SojournError
from sojourn.reading.inputs import Input, refuse_repeated
from sojourn.reading.sources import Task

_AT_ONCE = 1 << 20


@dataclass(frozen=True)
class Line:
    """A line as it is read again, of the input *number*: its *place* there; *is_tail*: no line break follows it.

    *positions*: of a message, which of its entries; None for all.
    """

    number: int
    place: int
    raw: bytes
    is_tail: bool = False
    positions: frozenset[int] | None = None


@dataclass(frozen=True)
class Again(Task):
    """Whole lines (*content*), each of which stands in its input at one of *places*.

    Of a message only the entries at its *positions* are read; None for all. Rows of Parquet come as JSON, their types
    in the *header* (`types_of`).
    """

    positions: tuple[frozenset[int] | None, ...] = ()


def tasks_of(
    lines: Iterable[Line], inputs: Sequence[Input], headers: Sequence[tuple[str, ...]], number: int
) -> Iterator[Again]:
    """Tasks over *lines*, which come input by input, numbered from *number*; what follows a last break is one alone."""
    for (at, is_tail), ones in groupby(lines, key=lambda line: (line.number, line.is_tail)):
        for some in _some(ones):
            content = b"\n".join(line.raw for line in some) + (b"" if is_tail else b"\n")
            yield Again(
                number, at, inputs[at], 0, len(content), content,
                header=headers[at],
                is_tail=is_tail,
                places=tuple(line.place for line in some),
                positions=tuple(line.positions for line in some),
            )  # fmt: skip
            number += 1


def _some(lines: Iterable[Line]) -> Iterator[list[Line]]:
    """The lines, about as many at a time as are read at once."""
    some: list[Line] = []
    size = 0
    for line in lines:
        some.append(line)
        size += len(line.raw)
        if size >= _AT_ONCE:
            yield some
            some, size = [], 0
    if some:
        yield some


def types_of(given: Input, wanted: set[str]) -> tuple[str, ...]:
    """The types of the *wanted* columns of a Parquet file, as `restored` takes them."""
    try:
        schema = pq.read_schema(given.path)
    except pa.ArrowException as error:
        raise SojournError("corrupt_file", f"{given.name} is not a readable Parquet file: {error}") from error
    refuse_repeated(given, schema.names, wanted)
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
