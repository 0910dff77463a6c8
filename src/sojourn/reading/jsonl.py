"""JSON lines: a block of whole lines to columns of events, rejects and counts.

The decoder takes whole blocks; a line that it refuses or doubts goes to `reading.judge` alone.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import compress
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt
import pyarrow as pa

from sojourn import times
from sojourn.pipeline import Field, Source
from sojourn.reading import columns
from sojourn.reading.block import Block, Judged, field_schema, finish, is_known, is_utf8, unknown_values
from sojourn.reading.judge import MAX_DEPTH, Contract, judge
from sojourn.reading.sources import cut

Bytes = npt.NDArray[np.uint8]
Mask = npt.NDArray[np.bool_]
Values = Callable[[list[Any]], list[Any]]
_REFUSED = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
_RETURN, _BREAK, _LIST, _OPENS, _CLOSES = b"\r\n[{}"
_CHUNK = 128 << 10  # decoded at once: small enough for the processor's cache


@dataclass
class _Rows:
    """Decoded rows of a block of so many *lines*, and the lines of which there is none.

    Of the *doubtful* ones the exact judgement is asked.
    """

    decoded: list[Any] = field(default_factory=list)
    doubtful: list[int] = field(default_factory=list)
    blank: list[int] = field(default_factory=list)
    lines: int = 0

    def at(self) -> npt.NDArray[np.int64]:
        """The line that each row stands on."""
        return np.delete(np.arange(self.lines), self.doubtful + self.blank)


class JsonLines:
    """Reads blocks of JSON lines under one contract. Make one per process, and use it again."""

    def __init__(self, source: Source) -> None:
        self.contract = Contract(source)
        self.fields = field_schema(source)
        tree = _tree(self.contract)
        plain = {name for name, declared, _ in self.contract.fields if declared.type == "text" and not declared.values}
        self.late = plain - {"actor"}  # any text keeps the contract
        self.checked = set(self.fields.names) - self.late
        self.decoder = None if self.contract.schema is not None else _decoder(tree, source.strict)
        self.columns = dict(_columns_of(tree))

    def read(self, block: bytes) -> Block:
        """The events and rejects of *block*, which holds whole lines."""
        rows = _Rows()
        for chunk in cut(block, _CHUNK):
            self._decode(chunk, rows)
        arrays, doubtful, known = self._columns(rows)
        judged = Judged()
        exact = sorted({*rows.doubtful, *(rows.at()[known][list(doubtful)].tolist() if doubtful else ())})
        for at, line in zip(exact, _lines(block, exact), strict=True):
            judged.add(judge(line, self.contract), at + 1, line)
        read = finish(arrays, doubtful, judged, len(rows.blank), rows.lines, self.contract.source)
        if dropped := len(known) - int(np.count_nonzero(known)):
            read.ledger.dropped["anonymous"] += dropped
        return read

    def _decode(self, chunk: bytes, rows: _Rows) -> None:
        """Decode the lines of *chunk*, all at once where that cannot miss anything."""
        text = np.frombuffer(chunk, np.uint8)
        breaks = np.flatnonzero(text == _BREAK)
        count = len(breaks) + (not chunk.endswith(b"\n"))
        longest = self._longest_safe(chunk, text)
        whole = self._whole(chunk, count) if _is_plain(text, breaks, longest) else None
        if whole is None:
            self._one_by_one(chunk, count, longest, rows)
        else:
            rows.decoded += whole
        rows.lines += count

    def _whole(self, chunk: bytes, count: int) -> list[Any] | None:
        """The objects of a plain *chunk* when it holds exactly one on each of its *count* lines, else None.

        The decoder takes line breaks for any white space. But no object goes on from a line that ends with
        a brace to one that begins with a brace; so with as many objects as lines, each line holds one.
        """
        if self.decoder is None or not is_utf8(chunk):
            return None
        try:
            decoded: list[Any] = self.decoder.decode_lines(chunk)
        except _REFUSED:
            return None
        return decoded if len(decoded) == count else None

    def _one_by_one(self, chunk: bytes, count: int, longest: int, rows: _Rows) -> None:
        """Decode line by line; lines that fail, or that the decoder would let pass, are doubtful."""
        decode = None if self.decoder is None else self.decoder.decode
        is_whole = is_utf8(chunk)
        for at, line in enumerate(chunk.split(b"\n")[:count], rows.lines):
            if not line.strip():
                rows.blank.append(at)
            elif decode is None or (len(line) > longest and self._is_suspect(line)) or not (is_whole or is_utf8(line)):
                rows.doubtful.append(at)
            else:
                try:
                    rows.decoded.append(decode(line))
                except _REFUSED:
                    rows.doubtful.append(at)

    def _longest_safe(self, chunk: bytes, text: Bytes) -> int:
        """The longest line of *chunk* that can be neither too long nor nested too deep.

        A level takes two bytes as a list and five as an object (`{"":` and `}`), and no line has more
        lists than the whole chunk.
        """
        lists = min(int(np.count_nonzero(text == _LIST)), MAX_DEPTH) if b"[" in chunk else 0
        return min(5 * MAX_DEPTH - 3 * lists, self.contract.max_record)

    def _is_suspect(self, line: bytes) -> bool:
        return len(line) > self.contract.max_record or line.count(b"[") + line.count(b"{") > MAX_DEPTH

    def _columns(self, rows: _Rows) -> tuple[list[pa.Array], set[int], Mask]:
        """Arrays in declared order without the rows that a drop rule takes, doubtful ones, and which rows are left."""
        arrays, doubtful = self._arrays(rows.decoded, self.checked)
        known = np.ones(len(rows.decoded), np.bool_)
        decoded = rows.decoded
        if self.late and not doubtful and "anonymous" in self.contract.source.drop:
            # what breaks the contract is known by now: of rows that are dropped nothing more is needed
            known = is_known(arrays["actor"]).to_numpy(zero_copy_only=False)
            arrays = {name: array.filter(pa.array(known)) for name, array in arrays.items()}
            decoded = list(compress(decoded, known.tobytes()))
        late, doubts = self._arrays(decoded, self.late)
        arrays |= late
        return [arrays[name] for name in self.fields.names], doubtful | doubts, known

    def _arrays(self, decoded: list[Any], wanted: set[str]) -> tuple[dict[str, pa.Array], set[int]]:
        arrays: dict[str, pa.Array] = {}
        doubtful: set[int] = set()
        for name in wanted:
            declared, values_of = self.columns[name]
            array, doubts = self._column(declared, values_of(decoded))
            doubtful |= doubts | unknown_values(array, declared)
            arrays[name] = array
        return arrays, doubtful

    def _column(self, declared: Field, values: list[Any]) -> tuple[pa.Array, set[int]]:
        match declared.type:
            case "text":
                return columns.text(values)
            case "integer":
                return columns.integer(values)
            case "number":
                return columns.number(values)
            case "boolean":
                return columns.boolean(values)
            case "labels":
                return columns.labels(values)
            case "time":
                return columns.instants(values, declared.formats, self.contract)


@dataclass
class _Tree:
    """The keys that the contract reads, as a tree; each node becomes one struct of the decoder."""

    fields: dict[str, list[tuple[str, Field]]] = field(default_factory=dict)
    children: dict[str, "_Tree"] = field(default_factory=dict)
    empty: Any = None

    def is_required(self) -> bool:
        """Whether some field at or below this node must be there."""
        leaves = [declared for group in self.fields.values() for _, declared in group]
        return any(leaf.required for leaf in leaves) or any(child.is_required() for child in self.children.values())


def _tree(contract: Contract) -> _Tree:
    root = _Tree()
    for name, declared, keys in contract.fields:
        node = root
        for key in keys[:-1]:
            node = node.children.setdefault(key, _Tree())
        node.fields.setdefault(keys[-1], []).append((name, declared))
    return root


def _columns_of(tree: _Tree, node: str = "row", **known: object) -> Iterator[tuple[str, tuple[Field, Values]]]:
    """Each field's declaration, and what gives its values over decoded rows.

    Python code that names an attribute reads it three times as fast as what is told its name.
    """
    for at, group in enumerate(tree.fields.values()):
        values_of = eval(f"lambda rows: [{node}.f{at} for row in rows]", known)
        yield from ((name, (declared, values_of)) for name, declared in group)
    for at, child in enumerate(tree.children.values()):
        below = f"{node}.c{at}"
        if not child.is_required():
            below, empty = f"({below} or empty{len(known)})", {f"empty{len(known)}": child.empty}
            yield from _columns_of(child, below, **known, **empty)
        else:
            yield from _columns_of(child, below, **known)


def _decoder(tree: _Tree, strict: bool) -> Any:
    try:
        return msgspec.json.Decoder(_struct(tree, strict))
    except (ValueError, TypeError):  # a key that no struct can have: every line gets the exact judgement
        return None


def _struct(tree: _Tree, strict: bool) -> type[msgspec.Struct]:
    members: list[Any] = []
    for at, (key, group) in enumerate(tree.fields.items()):
        kind = _python_type(group[0][1], strict)
        if len({_python_type(declared, strict) for _, declared in group}) > 1:
            raise ValueError("one key declared with two types")
        members.append(_member(f"f{at}", kind, key, any(declared.required for _, declared in group)))
    for at, (key, child) in enumerate(tree.children.items()):
        members.append(_member(f"c{at}", _struct(child, strict), key, child.is_required()))
    struct = msgspec.defstruct("Record", members, gc=False, kw_only=True)
    if not tree.is_required():
        tree.empty = struct()
    return struct


def _member(name: str, kind: Any, key: str, required: bool) -> tuple[Any, ...]:
    if required:
        return (name, kind, msgspec.field(name=key))
    return (name, kind | None, msgspec.field(name=key, default=None))


def _python_type(declared: Field, strict: bool) -> Any:
    match declared.type:
        case "text":
            return str if strict else str | int
        case "integer":
            return int
        case "number":
            return float
        case "boolean":
            return bool
        case "labels":
            return str | list[str] if strict else str | int | list[str | int]
        case "time":
            epoch = bool(declared.formats) and all(name in times.EPOCH_UNITS for name in declared.formats)
            return int if epoch else str


def _lines(block: bytes, wanted: Sequence[int]) -> Iterator[bytes]:
    """The lines of *block* with these numbers, counted from 0."""
    breaks = np.flatnonzero(np.frombuffer(block, np.uint8) == _BREAK) if wanted else ()
    for at in wanted:
        start = breaks[at - 1] + 1 if at else 0
        # a carriage return belongs to the newline, and the last line may have none
        yield block[start : breaks[at]].removesuffix(b"\r") if at < len(breaks) else block[start:]


def _is_plain(text: Bytes, breaks: npt.NDArray[np.intp], longest: int) -> bool:
    """Whether every line runs from brace to brace and ends with a line break, and none is longer than *longest*."""
    if text[-1] != _BREAK or text[0] != _OPENS or breaks[0] >= longest:
        return False
    if len(breaks) > 1 and ((breaks[1:] - breaks[:-1]).max() > longest or (text[breaks[:-1] + 1] != _OPENS).any()):
        return False
    ends = text[breaks - 1]
    if (ends == _CLOSES).all():
        return True
    ends = np.where(ends == _RETURN, text[breaks - 2], ends)
    return bool((ends == _CLOSES).all())
