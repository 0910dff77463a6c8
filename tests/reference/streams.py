"""Streams: messages of live sessions as lines, what the sessions take, and the tables (semantics 4.3, 8.7)."""

from __future__ import annotations

import re
from collections import Counter
from decimal import Decimal
from typing import TYPE_CHECKING, Any, NamedTuple

from tests.reference import times
from tests.reference.jsontext import MAX_DEPTH, InvalidJsonError, nesting, parse
from tests.reference.ledger import Ledger, Quarantined
from tests.reference.records import FIELD_REASONS, Rejected, read_lines

if TYPE_CHECKING:
    from tests.reference.jsontext import Node

KINDS = ("SESSION_START", "EVENT", "SESSION_END")
Row = dict[str, Any]


class Entry(NamedTuple):
    """An entry that keeps the contract; *content* is all that a start says, None of other entries."""

    at: int
    session_id: str
    seq: int
    position: int
    kind: str
    name: str | None
    content: str | None


class Streams:
    """One home, and the runs into it."""

    def __init__(self) -> None:
        self.kept: dict[tuple[str, int, int], Entry] = {}
        self.quarantine: list[Quarantined] = []

    def run(self, *files: bytes) -> Ledger:
        """What a run over *files* tells of their records."""
        ledger, self.quarantine = Ledger(), []
        arrived: dict[tuple[str, int, int], list[Entry]] = {}
        for at, data in enumerate(files):
            for number, raw in read_lines(data):
                for entry in _entries(raw):
                    ledger.read += 1
                    if isinstance(entry, Entry):
                        arrived.setdefault(entry[1:4], []).append(entry)
                    else:
                        text, rejected = entry
                        ledger.quarantined[rejected.reason] += 1
                        self.quarantine.append(Quarantined(str(at), number, text, rejected))
                ledger.blank += not raw.strip()
        fresh = arrived.keys() - self.kept.keys()
        for identity, copies in arrived.items():
            self._dedupe(identity, copies, ledger)
        refused = {entry[1:4] for entry, verdict in verdicts(list(self.kept.values())) if verdict == "refused"}
        ledger.notes += Counter(refused=len(fresh & refused))
        return ledger

    def _dedupe(self, identity: tuple[str, int, int], copies: list[Entry], ledger: Ledger) -> None:
        old = self.kept.get(identity)
        copies = sorted(copies, key=_order)
        best = self.kept[identity] = min([*copies, *([old] if old else [])], key=_order)
        rivals = [best] * len(
            copies
        )  # what each copy is compared with: the kept one; one that wins, with the one before
        if old is None:
            ledger.accepted += 1
            copies, rivals = copies[1:], rivals[1:]
        elif best != old:
            rivals[0] = old
        ledger.duplicate += len(copies)
        ledger.notes["conflicting"] += sum(copy != rival for copy, rival in zip(copies, rivals, strict=True))

    def tables(self) -> dict[str, list[Row]]:
        """The tables `sessions` and `event_counts`; instants in epoch microseconds."""
        return tables(list(self.kept.values()))


def verdicts(entries: list[Entry]) -> list[tuple[Entry, str]]:
    """What the sessions make of their entries: `taken`, `ignored` or `refused`."""
    found = []
    sessions: dict[str, list[Entry]] = {}
    for entry in sorted(entries, key=lambda entry: entry[1:4]):
        so_far = sessions.setdefault(entry.session_id, [])
        if not so_far:
            verdict = "taken" if entry.kind == "SESSION_START" else "refused"
        elif so_far[-1].kind == "SESSION_END":
            verdict = "refused"
        elif entry.kind == "SESSION_START":
            verdict = "ignored" if entry.content == so_far[0].content else "refused"
        else:
            verdict = "taken"
        if verdict == "taken":
            so_far.append(entry)
        found.append((entry, verdict))
    return found


def tables(entries: list[Entry]) -> dict[str, list[Row]]:
    """The tables `sessions` and `event_counts`."""
    sessions: dict[str, list[Entry]] = {}
    for entry, verdict in verdicts(entries):
        if verdict == "taken":
            sessions.setdefault(entry.session_id, []).append(entry)
    found: dict[str, list[Row]] = {"sessions": [], "event_counts": []}
    for session_id, taken in sessions.items():
        start, end = taken[0].at, taken[-1].at if taken[-1].kind == "SESSION_END" else None
        names = [entry.name for entry in taken if entry.kind == "EVENT"]
        found["sessions"].append(
            {
                "session_id": session_id,
                "started_at": start,
                "ended_at": end,
                "duration_seconds": None if end is None else float(Decimal(end - start) / 1_000_000),
                "events": len(names),
                "status": "open" if end is None else "ended",
                "distinct_names": len(set(names)),
            }
        )
        for name, count in Counter(names).items():
            moments = [entry.at for entry in taken if entry.kind == "EVENT" and entry.name == name]
            found["event_counts"].append(
                {
                    "session_id": session_id,
                    "name": name,
                    "events": count,
                    "first_at": min(moments),
                    "last_at": max(moments),
                }
            )
    return found


def _order(entry: Entry) -> tuple[Any, ...]:
    """The total order: text by its UTF-8 bytes, nothing before something."""
    return (
        entry.at,
        KINDS_BY_NAME[entry.kind],
        (entry.name or "").encode(),
        entry.name is not None,
        entry.content or "",
    )


KINDS_BY_NAME = {kind: at for at, kind in enumerate(sorted(KINDS))}


def _entries(raw: bytes) -> list[Entry | tuple[bytes, Rejected]]:
    """The records of a line: a message's entries, each kept or rejected; or the line, rejected; none when blank."""
    if not raw.strip():
        return []
    line = _object(raw)
    if isinstance(line, str):
        return [(raw, Rejected(line, "$"))]
    fault = _of_line(line)
    if fault is not None:
        return [(raw, fault)]
    session_id, seq = line.members["session_id"].text, int(line.members["seq"].source)
    items = line.members["events"].items
    return [_entry(node, session_id, seq, position) for position, node in enumerate(items)]


def _object(raw: bytes) -> Node | str:
    """The object on a line, or the reason against it."""
    try:
        line = parse(raw.decode("utf-8")) if nesting(raw) <= MAX_DEPTH else None
    except UnicodeDecodeError:
        return "invalid_utf8"
    except InvalidJsonError:
        return "invalid_json"
    if line is None:
        return "too_large"
    return line if line.kind == "object" else "not_an_object"


def _of_line(line: Node) -> Rejected | None:
    """What keeps the line from being a message."""
    faults = [_wrong(line, "$", "session_id", "text"), _wrong(line, "$", "seq", "number")]
    faults.append(_wrong(line, "$", "events", "array"))
    if faults[0] is None and not re.fullmatch("[A-Za-z0-9._~-]{1,128}", line.members["session_id"].text):
        faults[0] = Rejected("bad_type", "$.session_id", line.members["session_id"].text)
    if faults[1] is None:
        digits = line.members["seq"].source
        if not re.fullmatch("[1-9][0-9]{0,18}", digits) or int(digits) >= 2**63:
            faults[1] = Rejected("bad_type", "$.seq", digits)
    if faults[2] is None and not line.members["events"].items:
        faults[2] = Rejected("missing_field", "$.events[0]")
    return _first(faults)


def _entry(node: Node, session_id: str, seq: int, position: int) -> Entry | tuple[bytes, Rejected]:
    raw, path = node.source.encode(), f"$.events[{position}]"
    if node.kind != "object":
        return raw, Rejected("not_an_object", path, _shown(node))
    kind_fault = _wrong(node, path, "type", "text")
    kind = node.members["type"].text if kind_fault is None else ""
    if kind_fault is None and kind not in KINDS:
        kind_fault = Rejected("unknown_value", f"{path}.type", kind)
    time_fault = _wrong(node, path, "timestamp", "number")
    moment = None if time_fault else _moment(node.members["timestamp"].source)
    if time_fault is None and moment is None:
        time_fault = Rejected("bad_time", f"{path}.timestamp", node.members["timestamp"].source)
    session_fault = name_fault = None
    if kind == "EVENT":
        name_fault = _wrong(node, path, "name", "text")
    elif kind in KINDS:
        session_fault = _wrong(node, path, "session_id", "text")
        if session_fault is None and node.members["session_id"].text != session_id:
            session_fault = Rejected("unknown_value", f"{path}.session_id", node.members["session_id"].text)
    fault = _first([session_fault, kind_fault, time_fault, name_fault])
    if fault is not None:
        return raw, fault
    assert moment is not None
    name = node.members["name"].text if kind == "EVENT" else None
    return Entry(moment, session_id, seq, position, kind, name, _content(node) if kind == "SESSION_START" else None)


def _first(faults: list[Rejected | None]) -> Rejected | None:
    """The fault that comes first by reason, then by field."""
    for reason in FIELD_REASONS:
        for fault in faults:
            if fault is not None and fault.reason == reason:
                return fault
    return None


def _wrong(node: Node, path: str, key: str, kind: str) -> Rejected | None:
    """Whether there is no value of this kind under the key."""
    found = node.members.get(key)
    if found is None or found.kind == "null":
        return Rejected("missing_field", f"{path}.{key}")
    return None if found.kind == kind else Rejected("bad_type", f"{path}.{key}", _shown(found))


def _shown(node: Node) -> str:
    return node.text if node.kind == "text" else node.source


def _moment(digits: str) -> int | None:
    """Epoch microseconds of a number of seconds with at most six decimal places; None of any other."""
    mantissa, _, exponent = digits.lower().partition("e")
    if abs(int(exponent or 0)) > 999:
        return None
    places = len(mantissa.partition(".")[2]) - int(exponent or 0)
    return times.read_epoch(digits, "epoch_s") if places <= 6 else None


def _content(node: Node) -> str:
    """Equal for JSON of equal content: keys in any order, numbers by value."""
    if node.kind == "object":
        return "{" + ",".join(f"{key!r}:{_content(node.members[key])}" for key in sorted(node.members)) + "}"
    if node.kind == "array":
        return "[" + ",".join(map(_content, node.items)) + "]"
    if node.kind == "number":
        sign, digits, power = Decimal(node.source).as_tuple()
        text = "".join(map(str, digits)).lstrip("0")
        short = text.rstrip("0")
        return f"{'-' * sign}{short}e{int(power) + len(text) - len(short)}" if short else "0"
    return repr(node.text) if node.kind == "text" else node.source
