"""The slow, exact look at one message of a client. It alone names the code and the path of a refusal."""

import json
import re
from typing import Any

import msgspec

from sojourn.live.refusals import Refusal
from sojourn.reading.entries import KINDS, Kind, is_seq, is_time
from sojourn.reading.judge import MAX_DEPTH, Number, depth


class Breach(Exception):  # noqa: N818 - what it carries is the value; nobody outside sees it
    """Carries a refusal out of the look that found it."""

    def __init__(self, code: str, path: str, message: str) -> None:
        self.refusal = Refusal(code, path, message)


_ANY = msgspec.json.Decoder(msgspec.Raw)
_FIELDS = msgspec.json.Decoder(dict[str, msgspec.Raw])
_VALUES = json.JSONDecoder(parse_int=Number, parse_float=Number)
_COMMAS = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+(?:"|\\?\Z)|[\[{:,][ \t\r\n]*+,|(,)(?=[ \t\r\n]*+[\]}])', re.DOTALL)


def look(data: bytes, session_id: str, max_entries: int) -> tuple[int | None, bytes, list[Kind]]:
    """The number, the array of entries and their kinds of a UTF-8 message without trailing commas.

    Raises `Breach` with the first thing that is wrong.
    """
    try:
        _ANY.decode(data)  # stricter than the standard library: no NaN, no half pair of surrogates
    except msgspec.DecodeError as error:
        why = "half of a pair of surrogates stands alone, as in \\ud800" if _has_half_pair(data) else error
        raise Breach("invalid_json", "$", f"the message is not JSON: {why}") from None
    except RecursionError:
        raise Breach("too_large", "$", "the message nests too deep") from None
    seq, text, path = None, data, "$"
    if data.lstrip().startswith(b"{"):
        seq, text = _numbered(data, session_id)
        path = "$.events"
    value = _value(text)
    _check(isinstance(value, list), "bad_type", path, 'write entries as [...], or {"seq":n,"events":[...]}')
    _check(bool(value), "empty", path, "a message has at least one entry")
    _check(len(value) <= max_entries, "too_large", path, f"a message has at most {max_entries} entries")
    return seq, text, [_kind(entry, f"{path}[{at}]", session_id) for at, entry in enumerate(value)]


def without_trailing_commas(data: bytes) -> bytes:
    """*data* with a space for each comma that stands between a value and a closing bracket, outside of strings."""
    return _COMMAS.sub(lambda found: b" " if found[1] else found[0], data)


def _has_half_pair(data: bytes) -> bool:
    """Whether all that is wrong is a text that UTF-8 cannot hold: the decoder's own words are of something else."""
    try:
        json.dumps(json.loads(data.decode()), ensure_ascii=False).encode()
    except UnicodeEncodeError:
        return True
    except (ValueError, RecursionError):
        pass
    return False


def _numbered(data: bytes, session_id: str) -> tuple[int, bytes]:
    """The number of a message that says it, and its entries, which nobody has looked at yet."""
    fields = _FIELDS.decode(data)
    for key in fields:
        known = key in ("seq", "events", "session_id")
        _check(known, "unknown_field", "$", f"a message has no {key[:40]!r}; what to keep belongs into an entry")
    named = {key: _value(bytes(raw)) for key, raw in fields.items()}
    seq = _field(named, "seq", "$", Number)
    _check(is_seq(seq), "bad_type", "$.seq", "messages count 1, 2, 3, ...")
    if named.get("session_id") is not None:
        _of_session(named, "$", session_id)
    _check(named.get("events") is not None, "missing_field", "$.events", "events is missing")
    return int(seq), bytes(fields["events"])


def _value(text: bytes) -> Any:
    """The value of JSON, its numbers by their digits. What is stored stands one level deeper in a file of streams."""
    _check(depth(text) < MAX_DEPTH, "too_large", "$", "the message nests too deep")
    return _VALUES.decode(text.decode())


def _kind(entry: Any, path: str, session_id: str) -> Kind:
    """What sort of entry this is, all of it checked."""
    _check(isinstance(entry, dict), "not_an_object", path, "an entry is an object")
    kind: Kind = _field(entry, "type", path, str)
    _check(kind in KINDS, "unknown_value", f"{path}.type", f"type is {', '.join(KINDS[:2])} or {KINDS[2]}")
    digits = _field(entry, "timestamp", path, Number)
    _check(
        is_time(digits),
        "bad_time",
        f"{path}.timestamp",
        "write epoch seconds, not milliseconds, with at most 6 decimal places",
    )
    if kind == "EVENT":
        _field(entry, "name", path, str)
    else:
        _of_session(entry, path, session_id)
    return kind


def _of_session(value: dict[str, Any], path: str, session_id: str) -> None:
    named = _field(value, "session_id", path, str)
    _check(named == session_id, "other_session", f"{path}.session_id", f"this is the stream of session {session_id}")


def _field(value: dict[str, Any], key: str, path: str, wanted: type[str]) -> Any:
    """The text or the digits under *key*: null is as good as missing, and a `Number` is no text."""
    found = value.get(key)
    _check(found is not None, "missing_field", f"{path}.{key}", f"{key} is missing")
    _check(
        type(found) is wanted, "bad_type", f"{path}.{key}", f"write {key} as {'text' if wanted is str else 'a number'}"
    )
    return found


def _check(holds: bool, code: str, path: str, message: str) -> None:
    if not holds:
        raise Breach(code, path, message)
