"""What a client may say to a live session: one message read, and whether the session takes it (semantics, 8).

The decoder takes whole messages; what it refuses or doubts gets the slow, exact look (`live.exact`), which
alone names code and path. Nothing here waits, stores or knows the time.
"""

from collections.abc import Callable
from typing import Annotated, Literal

import msgspec

from sojourn import times
from sojourn.live.exact import Breach, look, without_trailing_commas
from sojourn.live.refusals import Refusal
from sojourn.reading.entries import LAST_SEQ, USUAL_TIME, Kind, fingerprint
from sojourn.reading.judge import MAX_DEPTH, depth


class Incoming(msgspec.Struct, frozen=True):
    """A message that can be read. *entries* is the JSON array to store, without trailing commas.

    It has *count* entries, of which *events* are neither start nor end.
    *starts* are the places of its ``SESSION_START`` entries, each with its fingerprint; *end* is the place of
    the first ``SESSION_END``. *started_at* and *ended_at* are the times of the first of each, in epoch microseconds.
    *root* is where the entries stand in what the client sent.
    """

    seq: int | None
    entries: bytes
    count: int
    events: int
    starts: tuple[tuple[int, bytes], ...] = ()
    end: int | None = None
    started_at: int | None = None
    ended_at: int | None = None
    root: str = "$"

    def path(self, at: int | None = None) -> str:
        """Where the entries stand in the message, or the one *at* this place."""
        return f"{self.root}{'' if at is None else f'[{at}]'}"


class State(msgspec.Struct, frozen=True):
    """What a session holds: its last message's number, its start's fingerprint, whether it has ended, its events."""

    last: int = 0
    start: bytes | None = None
    ended: bool = False
    events: int = 0


class New(msgspec.Struct, frozen=True):
    """Store the message as *number* and then acknowledge it; *state* is what the session then holds.

    The message that opens the session says when (*started_at*), the one that ends it too; else they are None.
    """

    number: int
    state: State
    started_at: int | None = None
    ended_at: int | None = None


class Known(msgspec.Struct, frozen=True):
    """The message is stored already: acknowledge *number* again."""

    number: int


class _Entry(msgspec.Struct, gc=False):
    type: Kind
    timestamp: msgspec.Raw
    name: str | None = None
    session_id: str | None = None


class _Event(msgspec.Struct, gc=False):
    """An event as most are; nothing of it needs another look."""

    type: Literal["EVENT"]
    timestamp: Annotated[int, msgspec.Meta(ge=0, le=9_999_999_999)]
    name: str


class _Timed(msgspec.Struct, gc=False):
    timestamp: msgspec.Raw


class _Numbered(msgspec.Struct, gc=False, forbid_unknown_fields=True):
    seq: Annotated[int, msgspec.Meta(ge=1, le=LAST_SEQ)]
    events: msgspec.Raw
    session_id: str | None = None


_ENTRIES = msgspec.json.Decoder(list[_Entry])
_EVENTS = msgspec.json.Decoder(list[_Event])
_NUMBERED = msgspec.json.Decoder(_Numbered)
_RAW_ENTRIES = msgspec.json.Decoder(list[msgspec.Raw])
_TIMED = msgspec.json.Decoder(_Timed)
_FAILS = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)


def read(message: bytes | str, session_id: str, *, max_bytes: int, max_entries: int) -> Incoming | Refusal:
    """One message to the session: an array of entries, or one with its number, ``{"seq":n,"events":[...]}``."""
    try:
        data = message.encode() if isinstance(message, str) else message
        if len(data) > max_bytes:
            return Refusal("too_large", "$", f"a message has at most {max_bytes} bytes")
        if isinstance(message, bytes):
            str(data, "utf-8")  # the decoder does not look into fields that it skips
    except UnicodeError:
        return Refusal("invalid_utf8", "$", "the message is not UTF-8")
    return _fast(data, session_id, max_entries) or _slow(data, session_id, max_entries)


def take(state: State, message: Incoming, known: Callable[[int], bytes]) -> New | Known | Refusal:
    """What to do with *message*; *known* gives the `fingerprint` of the entries stored under a number up to the last.

    A message without a number gets the next one.
    """
    number = state.last + 1 if message.seq is None else message.seq
    if number <= state.last:
        if known(number) == fingerprint(message.entries):
            return Known(number)
        return Refusal("other_content", message.path(), f"message {number} is stored with other content")
    if state.ended:
        return Refusal("ended", "$", "the session has ended")
    if number > state.last + 1:
        return Refusal("gap", "$.seq", f"message {state.last + 1} comes next, not {number}")
    start = state.start or (message.starts[0][1] if message.starts else b"")
    started_at = message.started_at if state.start is None else None
    after = State(number, start, message.end is not None, state.events + message.events)
    return _refused(state, message, start) or New(number, after, started_at, message.ended_at)


def resume(last: int, first: bytes, *, ended: bool, events: int) -> State:
    """The session whose stored messages reach to number *last*, begin with the array of entries *first*, and hold so
    many *events*."""
    return State(last, fingerprint(bytes(_RAW_ENTRIES.decode(first)[0])), ended, events)


def _refused(state: State, message: Incoming, start: bytes) -> Refusal | None:
    """The first entry that a session which began with *start* does not take."""
    if state.start is None and (not message.starts or message.starts[0][0] > 0):
        return Refusal("not_started", message.path(0), "the first entry of a session is its SESSION_START")
    for at, content in message.starts:
        if content != start and (message.end is None or at < message.end):
            return Refusal("other_start", message.path(at), "the session has started with another SESSION_START")
    if message.end is not None and message.end + 1 < message.count:
        return Refusal("ended", message.path(message.end + 1), "nothing may follow SESSION_END")
    return None


def _fast(data: bytes, session_id: str, max_entries: int) -> Incoming | None:
    """The message, or None for whatever needs the exact look. What it accepts, `_slow` accepts as the same."""
    seq, text = None, data
    try:
        if not data.startswith(b"["):
            numbered = _NUMBERED.decode(data)
            if numbered.session_id not in (None, session_id):
                return None
            seq, text = numbered.seq, bytes(numbered.events)
        kinds = _kinds(text, session_id)
    except _FAILS:
        return None
    if kinds is None or not 0 < len(kinds) <= max_entries:
        return None
    if text.count(b"[") + text.count(b"{") - len(kinds) >= MAX_DEPTH - 1 and _is_deep(text):
        return None
    return _incoming(seq, text, kinds)


def _kinds(text: bytes, session_id: str) -> list[Kind] | None:
    """What sort each entry is of; None where one needs the exact look, as those do that the decoder refuses."""
    try:
        return ["EVENT"] * len(_EVENTS.decode(text))  # as most messages are; a third of the price
    except _FAILS:
        entries = _ENTRIES.decode(text)
    for entry in entries:
        whole = entry.name is not None if entry.type == "EVENT" else entry.session_id == session_id
        if not whole or USUAL_TIME.fullmatch(entry.timestamp) is None:
            return None
    return [entry.type for entry in entries]


def _is_deep(text: bytes) -> bool:
    """Whether the entries nest too deep. Only if one alone has brackets enough, its strings are told from the rest."""
    entries = map(bytes, _RAW_ENTRIES.decode(text))
    suspect = any(entry.count(b"[") + entry.count(b"{") >= MAX_DEPTH - 1 for entry in entries)
    return suspect and depth(text) >= MAX_DEPTH


def _slow(data: bytes, session_id: str, max_entries: int) -> Incoming | Refusal:
    cleaned = without_trailing_commas(data)
    found = None if cleaned == data else _fast(cleaned, session_id, max_entries)
    try:
        return found or _incoming(*look(cleaned, session_id, max_entries))
    except Breach as breach:
        return breach.refusal


def _incoming(seq: int | None, text: bytes, kinds: list[Kind]) -> Incoming:
    root = "$" if seq is None else "$.events"
    if "SESSION_START" not in kinds and "SESSION_END" not in kinds:
        return Incoming(seq, text, len(kinds), len(kinds), root=root)
    raw = list(map(bytes, _RAW_ENTRIES.decode(text)))
    starts = tuple((at, fingerprint(raw[at])) for at, kind in enumerate(kinds) if kind == "SESSION_START")
    end = kinds.index("SESSION_END") if "SESSION_END" in kinds else None
    started_at = _instant(raw[starts[0][0]]) if starts else None
    ended_at = None if end is None else _instant(raw[end])
    return Incoming(seq, text, len(kinds), kinds.count("EVENT"), starts, end, started_at, ended_at, root)


def _instant(entry: bytes) -> int | None:
    return times.parse_epoch(bytes(_TIMED.decode(entry).timestamp).decode(), "epoch_s")
