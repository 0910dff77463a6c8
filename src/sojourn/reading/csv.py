"""CSV: a block of whole lines to columns of events, rejects and counts.

A record is one line: a quote that is still open at the line's end makes it `bad_row`, so that one
stray quote costs one record and never the rest of the file. Lines without a quote or a lone
carriage return are read as columns; every other line goes to the exact judgement. An empty field is
null, `""` is empty text.
"""

import re
from itertools import repeat

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as arrow_csv
from msgspec.structs import replace

from sojourn.pipeline import Field, Source
from sojourn.reading import columns
from sojourn.reading.block import Block, Judged, finish, unknown_values
from sojourn.reading.judge import Contract, Reject, Value, coerce, dotted, first_reason

_QUOTED = re.compile(r'"((?:[^"]|"")*)"')
_BOOLEANS = {"true": True, "t": True, "1": True, "false": False, "f": False, "0": False}


class CsvLines:
    """Reads blocks of CSV lines under one contract; which column is which comes with the input."""

    def __init__(self, source: Source) -> None:
        self.contract = Contract(replace(source, strict=False))  # CSV knows text only: it always coerces

    def read(self, block: bytes, header: tuple[str, ...]) -> Block:
        """The events and rejects of *block*, whole lines with the columns of *header*."""
        lines = block.split(b"\n")
        if not lines[-1]:
            lines.pop()
        lines = [line.removesuffix(b"\r") for line in lines] if b"\r" in block else lines
        wide = len(header) - 1
        delimiter = self.contract.source.delimiter.encode()
        ascii_only = block.isascii()
        marks = [mark for mark in (b'"', b"\r") if mark in block]  # Arrow ends a line at each carriage return
        plain = [
            at
            for at, commas in enumerate(map(bytes.count, lines, repeat(delimiter)))
            if commas == wide
            and (ascii_only or lines[at].isascii())
            and not any(mark in lines[at] for mark in marks)
            and len(lines[at]) <= self.contract.max_record
        ]
        blank = {at for at, line in enumerate(lines) if not line.strip()}
        plain = [at for at in plain if at not in blank] if blank else plain
        arrays, doubtful = self._columns([lines[at] for at in plain], header)
        judged = Judged()
        exact = set(range(len(lines))) - set(plain) - blank
        for at in sorted(exact | {plain[row] for row in doubtful}):
            judged.add(self.judge(lines[at], header), at + 1, lines[at])
        return finish(arrays, doubtful, judged, len(blank), len(lines), self.contract.source)

    def judge(self, line: bytes, header: tuple[str, ...]) -> tuple[Value, ...] | Reject:
        """The record's values in declared order, or why it is refused."""
        if len(line) > self.contract.max_record:
            return Reject("too_large", "$", None)
        try:
            cells = split(line.decode(), self.contract.source.delimiter)
        except UnicodeDecodeError:
            return Reject("invalid_utf8", "$", None)
        if cells is None:
            return Reject("bad_row", "$", "a quote is not closed")
        if len(cells) != len(header):
            return Reject("bad_row", "$", f"{len(cells)} fields instead of {len(header)}")
        row = dict(zip(header, cells, strict=True))
        return first_reason(self._cell(row.get(keys[0]), declared, keys) for _, declared, keys in self.contract.fields)

    def _cell(self, cell: str | None, declared: Field, keys: tuple[str, ...]) -> Value | Reject:
        path = dotted(keys)
        if cell is None:
            return Reject("missing_field", path, None) if declared.required else None
        if declared.type == "boolean":
            known = _BOOLEANS.get(cell.lower()) if cell.isascii() else None
            return Reject("bad_type", path, cell) if known is None else known
        return coerce(cell, declared, path, self.contract)

    def _columns(self, lines: list[bytes], header: tuple[str, ...]) -> tuple[list[pa.Array], set[int]]:
        cells = self._cells(lines, header)
        arrays: list[pa.Array] = []
        doubtful: set[int] = set()
        for _, declared, keys in self.contract.fields:
            column = cells[keys[0]] if keys[0] in cells else pa.nulls(len(lines), pa.string())
            array, doubts = self._column(column, declared)
            if declared.required and column.null_count:
                doubts |= set(pc.indices_nonzero(column.is_null()).to_pylist())
            doubtful |= doubts | unknown_values(array, declared)
            arrays.append(array)
        return arrays, doubtful

    def _column(self, column: pa.Array, declared: Field) -> tuple[pa.Array, set[int]]:
        match declared.type:
            case "text":
                return column, set()
            case "time":
                return columns.instants(column, declared.formats, self.contract)
            case kind:
                return columns.from_text(column, kind)

    def _cells(self, lines: list[bytes], header: tuple[str, ...]) -> dict[str, pa.Array]:
        if not lines:
            return {name: pa.array([], pa.string()) for name in header}
        table = arrow_csv.read_csv(
            pa.BufferReader(b"\n".join(lines) + b"\n"),
            read_options=arrow_csv.ReadOptions(column_names=list(header), use_threads=False, block_size=1 << 30),
            parse_options=arrow_csv.ParseOptions(
                delimiter=self.contract.source.delimiter, quote_char=False, ignore_empty_lines=False
            ),
            convert_options=arrow_csv.ConvertOptions(
                column_types=dict.fromkeys(header, pa.string()), strings_can_be_null=True, null_values=[""]
            ),
        )
        return {name: table[name].combine_chunks() for name in header}


def split(text: str, delimiter: str) -> list[str | None] | None:
    """The fields of one line, an empty one as None; None for the whole when a quote is not closed."""
    cells: list[str | None] = []
    at = 0
    while True:
        if text.startswith('"', at):
            found = _QUOTED.match(text, at)
            if found is None or text[found.end() : found.end() + 1] not in ("", delimiter):
                return None
            cells.append(found[1].replace('""', '"'))
            at = found.end()
        else:
            end = text.find(delimiter, at)
            end = len(text) if end < 0 else end
            cells.append(text[at:end] or None)
            at = end
        if at >= len(text):
            return cells
        at += len(delimiter)


def header_of(line: bytes, source: Source) -> tuple[tuple[str, ...], bool]:
    """The columns of a file whose first line is *line*, and whether that line is a header itself."""
    text = line.removeprefix(b"\xef\xbb\xbf").decode("utf-8", "replace").rstrip("\r\n")
    cells = tuple((cell or "").strip() for cell in split(text, source.delimiter) or ())
    if not source.columns:
        return cells, True
    return source.columns, [cell.lower() for cell in cells] == [name.lower() for name in source.columns]
