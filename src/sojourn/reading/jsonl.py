"""JSON lines: a block of whole lines to columns of events, rejects and counts.

The decoder takes whole blocks; a line that it refuses or doubts goes to `reading.judge` alone.
"""

from dataclasses import dataclass, field
from operator import attrgetter
from typing import Any

import msgspec
import pyarrow as pa

from sojourn import times
from sojourn.pipeline import Field, Source
from sojourn.reading import columns
from sojourn.reading.block import Block, Judged, finish, landed_schema, unknown_values
from sojourn.reading.judge import MAX_DEPTH, Contract, judge

# without a '[' every nested bracket is a {"": at least: shorter lines cannot nest too deep
_DEEP_OBJECT = 4 * MAX_DEPTH
_DEEP_LIST = 2 * MAX_DEPTH
_REFUSED = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)


@dataclass
class _Rows:
    """Decoded rows of a block, the line each stands on, and lines for the exact judgement."""

    decoded: list[Any] = field(default_factory=list)
    at: list[int] = field(default_factory=list)
    doubtful: list[int] = field(default_factory=list)
    blank: int = 0


class JsonLines:
    """Reads blocks of JSON lines under one contract. Make one per process, and use it again."""

    def __init__(self, source: Source) -> None:
        self.contract = Contract(source)
        self.schema = landed_schema(source)
        self.tree = _tree(self.contract)
        self.decode = None if self.contract.schema is not None else _decoder(self.tree, source.strict)

    def read(self, block: bytes) -> Block:
        """The events and rejects of *block*, which holds whole lines."""
        lines = block.split(b"\n")
        if not lines[-1]:
            lines.pop()
        rows = self._rows(lines, is_utf8=_is_utf8(block), may_nest=b"[" in block)
        arrays, doubtful = self._columns(rows.decoded)
        judged = Judged()
        for at in sorted({*rows.doubtful, *(rows.at[row] for row in doubtful)}):
            line = lines[at].removesuffix(b"\r")
            judged.add(judge(line, self.contract), at + 1, line)
        return finish(arrays, doubtful, judged, rows.blank, len(lines), self.contract.source)

    def _rows(self, lines: list[bytes], *, is_utf8: bool, may_nest: bool) -> _Rows:
        """Decode every line; those that fail, and those the decoder does not check enough, are doubtful."""
        rows = _Rows()
        if self.decode is None:
            rows.doubtful = [at for at, line in enumerate(lines) if line.strip()]
            rows.blank = len(lines) - len(rows.doubtful)
            return rows
        suspects = self._suspects(lines, may_nest)
        if not is_utf8:  # the decoder does not look into what it skips
            suspects = sorted({*suspects, *(at for at, line in enumerate(lines) if not _is_utf8(line))})
        start = 0
        for suspect in [*suspects, len(lines)]:
            self._decode(lines[start:suspect] if start or suspect < len(lines) else lines, start, rows)
            start = suspect + 1
        rows.doubtful.extend(suspects)
        return rows

    def _suspects(self, lines: list[bytes], may_nest: bool) -> list[int]:
        """Lines that may be too long or nested too deep, which the decoder would let pass."""
        most = self.contract.max_record
        shortest = min(_DEEP_LIST if may_nest else _DEEP_OBJECT, most)
        if not lines or max(map(len, lines)) <= shortest:
            return []
        return [
            at
            for at, line in enumerate(lines)
            if len(line) > shortest
            and (len(line) > most or line.count(b"[") + line.count(b"{") > MAX_DEPTH)
            and line.strip()
        ]

    def _decode(self, lines: list[bytes], first: int, rows: _Rows) -> None:
        remaining = iter(lines)
        at = first
        while at < first + len(lines):
            before = len(rows.decoded)
            try:
                rows.decoded.extend(map(self.decode, remaining))  # type: ignore[arg-type] # not None here
                failed = False
            except _REFUSED:
                failed = True  # what came before the refused line has been taken
            taken = len(rows.decoded) - before
            rows.at.extend(range(at, at + taken))
            at += taken
            if failed:
                if lines[at - first].strip():
                    rows.doubtful.append(at)
                else:
                    rows.blank += 1
                at += 1

    def _columns(self, decoded: list[Any]) -> tuple[list[pa.Array], set[int]]:
        arrays: dict[str, pa.Array] = {}
        doubtful: set[int] = set()
        for name, (declared, values) in self.tree.leaves(decoded).items():
            array, doubts = self._column(declared, values)
            doubtful |= doubts | unknown_values(array, declared)
            arrays[name] = array
        return [arrays[name] for name in self.schema.names], doubtful

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

    def leaves(self, nodes: list[Any]) -> dict[str, tuple[Field, list[Any]]]:
        """Field name -> its declaration and its values over all *nodes*."""
        found: dict[str, tuple[Field, list[Any]]] = {}
        for at, group in enumerate(self.fields.values()):
            values = list(map(attrgetter(f"f{at}"), nodes))
            found.update({name: (declared, values) for name, declared in group})
        for at, child in enumerate(self.children.values()):
            parts = list(map(attrgetter(f"c{at}"), nodes))
            if not child.is_required() and None in parts:
                parts = [child.empty if part is None else part for part in parts]
            found.update(child.leaves(parts))
        return found


def _tree(contract: Contract) -> _Tree:
    root = _Tree()
    for name, declared, keys in contract.fields:
        node = root
        for key in keys[:-1]:
            node = node.children.setdefault(key, _Tree())
        node.fields.setdefault(keys[-1], []).append((name, declared))
    return root


def _decoder(tree: _Tree, strict: bool) -> Any:
    try:
        return msgspec.json.Decoder(_struct(tree, strict)).decode
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
        case "time":
            epoch = bool(declared.formats) and all(name in times.EPOCH_UNITS for name in declared.formats)
            return int if epoch else str


def _is_utf8(block: bytes) -> bool:
    if block.isascii():
        return True
    try:
        block.decode()
    except UnicodeDecodeError:
        return False
    return True
