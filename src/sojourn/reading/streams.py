"""Streams: a line is a message of a live session, ``{"session_id":..,"seq":..,"events":[..]}``, an entry a record.

The decoder takes whole messages; one that it refuses or doubts is judged entry by entry, exactly. What is asked of an
entry is what a live session asks (`reading.entries`), and beside it the fields that the pipeline declares itself.
"""

from dataclasses import dataclass, field, replace
from typing import Any

import msgspec
import pyarrow as pa

from sojourn.pipeline import STREAM_FIELDS, Field, Source
from sojourn.reading.block import Block, Judged, field_schema, finish, is_utf8
from sojourn.reading.entries import (
    LAST_SEQ,
    Kind,
    fingerprint,
    is_session_id,
    kind_of,
    message_fault,
    session_of,
    text_of,
    time_of,
    usual_time,
)
from sojourn.reading.judge import (
    MAX_DEPTH,
    Contract,
    Number,
    Reject,
    Value,
    as_text,
    depth,
    field_value,
    first_reason,
    parse,
)


class _Line(msgspec.Struct, gc=False):
    session_id: str
    seq: int
    events: msgspec.Raw


class _Entry(msgspec.Struct, gc=False):
    type: Kind
    timestamp: msgspec.Raw
    name: str | None = None
    session_id: str | None = None


class _Message(msgspec.Struct):
    """A message that can be read: its entries as they stand, and their values."""

    session_id: str
    seq: int
    texts: list[bytes]
    entries: list[Any]


_LINE = msgspec.json.Decoder(_Line)
_ENTRIES = msgspec.json.Decoder(list[_Entry])
_RAW_LINE = msgspec.json.Decoder(dict[str, msgspec.Raw])
_RAW_ENTRIES = msgspec.json.Decoder(list[msgspec.Raw])
_REFUSED = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
_VALUES = msgspec.json.Decoder(list[dict[str, Any]])
_PLAIN = {"text": str, "integer": int, "boolean": bool}
_DOUBTFUL = object()


@dataclass
class _Rows:
    """Columns of decoded entries, and how many records and blank lines there were."""

    columns: dict[str, list[Any]]
    judged: Judged = field(default_factory=Judged)
    records: int = 0
    blank: int = 0


class StreamLines:
    """Reads blocks of messages under one contract. Make one per process, and use it again."""

    def __init__(self, source: Source) -> None:
        self.contract = Contract(source)
        self.own = [found for found in self.contract.fields if found[0] not in STREAM_FIELDS]

    def read(self, block: bytes) -> Block:
        """The events and rejects of *block*, which holds whole lines."""
        lines = block.split(b"\n")
        count = len(lines) - (not lines[-1])
        rows = _Rows({name: [] for name in self.contract.source.fields})
        is_whole = is_utf8(block)
        for at, line in enumerate(lines[:count]):
            if not line.strip():
                rows.blank += 1
            elif not ((is_whole or is_utf8(line)) and self._decode(line, rows)):
                # a carriage return belongs to the newline, and the last line may have none
                self._judge(line.removesuffix(b"\r") if at < len(lines) - 1 else line, at + 1, rows)
        return self._finished(rows, count)

    def read_again(self, block: bytes, positions: tuple[frozenset[int] | None, ...]) -> Block:
        """Of each line of *block* the entries at *positions*, or all for None."""
        rows = _Rows({name: [] for name in self.contract.source.fields})
        for at, (line, wanted) in enumerate(zip(block.split(b"\n"), positions, strict=False), 1):
            self._judge(line, at, rows, wanted)
        return self._finished(rows, len(positions))

    def _finished(self, rows: _Rows, count: int) -> Block:
        """The block of *count* lines that *rows* are made of."""
        schema = field_schema(self.contract.source)
        arrays = [pa.array(rows.columns[name], kind) for name, kind in zip(schema.names, schema.types, strict=True)]
        found = finish(arrays, set(), rows.judged, rows.blank, rows.records + rows.blank, self.contract.source)
        return replace(found, lines=count)

    def _decode(self, line: bytes, rows: _Rows) -> bool:
        """Take all entries of *line*, or none: False for what needs the exact look."""
        try:
            message = _LINE.decode(line)
            entries = _ENTRIES.decode(message.events)
        except _REFUSED:
            return False
        session_id, seq, count = message.session_id, message.seq, len(entries)
        if not (count and 0 < seq <= LAST_SEQ and is_session_id(session_id)) or self._is_suspect(line, count):
            return False
        moments = [usual_time(entry.timestamp) for entry in entries]
        for entry, time in zip(entries, moments, strict=True):
            whole = entry.name is not None if entry.type == "EVENT" else entry.session_id == session_id
            if not whole or time is None:
                return False
        own = self._plain(message, entries)
        if own is None:
            return False
        self._take(message, entries, moments, own, rows)
        return True

    def _plain(self, message: _Line, entries: list[_Entry]) -> dict[str, list[Any]] | None:
        """The columns of the pipeline's own fields, where every value is of its type as it stands; else None."""
        columns: dict[str, list[Any]] = {name: [None] * len(entries) for name, *_ in self.own}
        try:
            values = _VALUES.decode(message.events) if columns else []
        except _REFUSED:
            return None
        for position, (entry, value) in enumerate(zip(entries, values, strict=False)):
            if entry.type == "EVENT":
                value |= {"session_id": message.session_id, "seq": message.seq, "position": position}
                for name, declared, keys in self.own:
                    found = _plain(value, declared, keys, is_strict=self.contract.source.strict)
                    if found is _DOUBTFUL:
                        return None
                    columns[name][position] = found
        return columns

    def _take(
        self, message: _Line, entries: list[_Entry], moments: list[int | None], own: dict[str, list[Any]], rows: _Rows
    ) -> None:
        count, kinds = len(entries), [entry.type for entry in entries]
        prints: list[str | None] = [None] * count
        if "SESSION_START" in kinds:
            texts = _RAW_ENTRIES.decode(message.events)
            prints = [_fingerprint(kind, bytes(text)) for kind, text in zip(kinds, texts, strict=True)]
        known: dict[str, list[Any]] = {
            "session_id": [message.session_id] * count,
            "seq": [message.seq] * count,
            "position": list(range(count)),
            "type": kinds,
            "occurred_at": moments,
            "name": [entry.name if entry.type == "EVENT" else None for entry in entries],
            "fingerprint": prints,
        }
        for name, values in (known | own).items():
            rows.columns[name] += values
        rows.records += count

    def _is_suspect(self, line: bytes, count: int) -> bool:
        """Whether *line*, which holds *count* entries, is too long or too deep; its strings are told only if needed."""
        if len(line) > self.contract.max_record:
            return True
        brackets = line.count(b"[") + line.count(b"{") - count
        return brackets > MAX_DEPTH - 2 and depth(line) > MAX_DEPTH

    def _judge(self, line: bytes, number: int, rows: _Rows, wanted: frozenset[int] | None = None) -> None:
        """Judge the line *number*: each of its (*wanted*) entries, or all of it where it is no message."""
        message = self._message(line)
        if isinstance(message, Reject):
            rows.judged.add(message, number, line)
            rows.records += 1
            return
        positions = [at for at in range(len(message.texts)) if wanted is None or at in wanted]
        for position in positions:
            rows.judged.add(self._entry(message, position), number, message.texts[position])
        rows.records += len(positions)

    def _message(self, line: bytes) -> _Message | Reject:
        """The message on *line*, its entries unjudged; or why it is none."""
        document = parse(line, self.contract.max_record)
        if isinstance(document, Reject):
            return document
        if (fault := message_fault(document)) is not None:
            return fault
        texts = [bytes(text) for text in _RAW_ENTRIES.decode(_RAW_LINE.decode(line)["events"])]
        return _Message(str(document["session_id"]), int(document["seq"]), texts, document["events"])

    def _entry(self, message: _Message, position: int) -> tuple[Value, ...] | Reject:
        """An entry's values in declared order, or why it is refused."""
        entry, root = message.entries[position], f"$.events[{position}]"
        if not isinstance(entry, dict):
            return Reject("not_an_object", root, as_text(entry))
        kind = kind_of(entry, root)
        session: str | Reject = message.session_id
        name: str | Reject | None = None
        own: list[Value | Reject] = [None] * len(self.own)
        if kind == "EVENT":
            name, own = text_of(entry, "name", root), self._own(message, position, root)
        elif not isinstance(kind, Reject):
            session = session_of(entry, message.session_id, root)
        printed = _fingerprint(str(kind), message.texts[position])
        return first_reason([session, message.seq, position, kind, time_of(entry, root), name, printed, *own])

    def _own(self, message: _Message, position: int, root: str) -> list[Value | Reject]:
        """The values of the pipeline's own fields, or why one breaks its declaration."""
        of_message = {"session_id": message.session_id, "seq": message.seq, "position": position}
        numbers = {name: Number(value) if name != "session_id" else value for name, value in of_message.items()}
        whole = message.entries[position] | numbers
        return [field_value(whole, declared, keys, self.contract, root) for _, declared, keys in self.own]


def _plain(entry: dict[str, Any], declared: Field, keys: tuple[str, ...], *, is_strict: bool) -> Any:
    """The value of a field where it is of its type as it stands, or `_DOUBTFUL`."""
    value: Any = entry
    for key in keys:
        if value is None:
            break
        if type(value) is not dict:
            return _DOUBTFUL
        value = value.get(key)
    if value is None:
        return _DOUBTFUL if declared.required else None
    if declared.type == "text" and type(value) is int and value and not is_strict:
        value = str(value)  # its digits, as they stood; but 0 may have been -0
    fits = type(value) is _PLAIN.get(declared.type) and (type(value) is not int or -LAST_SEQ <= value <= LAST_SEQ)
    return value if fits and (not declared.values or value in declared.values) else _DOUBTFUL


def _fingerprint(kind: str, text: bytes) -> str | None:
    """What tells a session's start from another; other entries need none."""
    return fingerprint(text).hex() if kind == "SESSION_START" else None
