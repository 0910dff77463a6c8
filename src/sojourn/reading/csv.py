"""CSV: a block of whole lines to columns of events, rejects and counts.

A record is one line: a quote that is still open at the line's end makes it `bad_row`, so that one
stray quote costs one record and never the rest of the file. Lines without a quote or a lone
carriage return are read as columns, a whole block at once where all of them are such; every other line
goes to the exact judgement. An empty field is
null, `""` is empty text.
"""

import re

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as arrow_csv
from msgspec.structs import replace

from sojourn.pipeline import Field, Source
from sojourn.reading import columns
from sojourn.reading.block import Block, Judged, finish, is_utf8, unknown_values
from sojourn.reading.judge import Contract, Reject, Value, coerce, dotted, first_reason

_RETURN, _BREAK, _QUOTE = b'\r\n"'
_SPACES = np.frombuffer(b" \t\n\r\v\f", np.uint8)
_QUOTED = re.compile(r'"((?:[^"]|"")*)"')
Places = npt.NDArray[np.intp]
_BOOLEANS = {"true": True, "t": True, "1": True, "false": False, "f": False, "0": False}


class CsvLines:
    """Reads blocks of CSV lines under one contract; which column is which comes with the input."""

    def __init__(self, source: Source) -> None:
        self.contract = Contract(replace(source, strict=False))  # CSV knows text only: it always coerces

    def read(self, block: bytes, header: tuple[str, ...]) -> Block:
        """The events and rejects of *block*, whole lines with the columns of *header*."""
        whole = block if block.endswith(b"\n") or not block else block + b"\n"
        ends = np.flatnonzero(np.frombuffer(whole, np.uint8) == _BREAK)
        starts = np.concatenate(([0], ends + 1))[:-1]
        odd = self._odd(whole, starts, ends, len(header) - 1)
        arrays, doubtful = self._columns(_without(whole, starts, ends, odd), header)
        plain = np.delete(np.arange(len(ends)), odd)
        judged, blank = Judged(), 0
        for at in sorted([*odd.tolist(), *(plain[row] for row in doubtful)]):
            line = whole[starts[at] : ends[at]].removesuffix(b"\r")
            if line.strip():
                judged.add(self.judge(line, header), int(at) + 1, line)
            else:
                blank += 1
        return finish(arrays, doubtful, judged, blank, len(ends), self.contract.source)

    def _odd(self, whole: bytes, starts: Places, ends: Places, wide: int) -> Places:
        """The lines, by number, that are not plainly a record of so many fields: blank ones, and those with quotes."""
        text = np.frombuffer(whole, np.uint8)
        marks = np.flatnonzero(text == ord(self.contract.source.delimiter))
        counts = np.diff(np.searchsorted(marks, ends), prepend=0)
        is_odd = (counts != wide) | (ends - starts > self.contract.max_record) | np.isin(text[starts], _SPACES)
        returns = np.flatnonzero(text == _RETURN)
        lone = returns[text[returns + 1] != _BREAK]  # Arrow ends a line at each of them
        for places in (np.flatnonzero(text == _QUOTE), lone):
            is_odd[np.searchsorted(ends, places)] = True
        if not is_utf8(whole):
            for line in np.unique(np.searchsorted(ends, np.flatnonzero(text >= 0x80))):
                is_odd[line] |= not is_utf8(whole[starts[line] : ends[line]])
        return np.flatnonzero(is_odd)

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

    def _columns(self, lines: bytes, header: tuple[str, ...]) -> tuple[list[pa.Array], set[int]]:
        cells = self._cells(lines, header)
        count = len(cells[header[0]])
        arrays: list[pa.Array] = []
        doubtful: set[int] = set()
        for _, declared, keys in self.contract.fields:
            column = cells[keys[0]] if keys[0] in cells else pa.nulls(count, pa.string())
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
            case "labels":
                return columns.one_texts(column), set()
            case "time":
                return columns.instants(column, declared.formats, self.contract)
            case kind:
                return columns.from_text(column, kind)

    def _cells(self, lines: bytes, header: tuple[str, ...]) -> dict[str, pa.Array]:
        if not lines:
            return {name: pa.array([], pa.string()) for name in header}
        places = [str(at) for at in range(len(header))]  # what nobody reads may have no name, or that of another
        table = arrow_csv.read_csv(
            pa.BufferReader(lines),
            read_options=arrow_csv.ReadOptions(column_names=places, use_threads=False, block_size=1 << 30),
            parse_options=arrow_csv.ParseOptions(
                delimiter=self.contract.source.delimiter, quote_char=False, ignore_empty_lines=False
            ),
            convert_options=arrow_csv.ConvertOptions(
                column_types=dict.fromkeys(places, pa.string()), strings_can_be_null=True, null_values=[""]
            ),
        )
        return {name: column.combine_chunks() for name, column in zip(header, table.columns, strict=True)}


def _without(text: bytes, starts: Places, ends: Places, odd: Places) -> bytes:
    """The lines of *text* but for the *odd* ones."""
    if not len(odd):
        return text
    froms, untils = [0, *(ends[odd] + 1).tolist()], [*starts[odd].tolist(), len(text)]
    return b"".join(text[start:end] for start, end in zip(froms, untils, strict=True))


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
    spelled = {name.lower(): name for name in source.columns}
    named = tuple(spelled.get(cell.lower(), cell) for cell in cells)
    wanted = {declared.keys("csv")[0] for declared in source.fields.values() if declared.required}
    is_header = named == source.columns or (bool(wanted) and wanted <= set(named))
    return (named, True) if is_header else (source.columns, False)
