"""Laws of live sessions: for any split, any redelivery, any content and any number."""

from __future__ import annotations

import json
from decimal import Decimal
from itertools import pairwise
from typing import Any

from hypothesis import assume, given
from hypothesis import strategies as st

from sojourn.live.exact import without_trailing_commas
from sojourn.live.protocol import Incoming, Known, New
from sojourn.reading.entries import fingerprint
from tests.live.stream import END, START, Stream, array, event, exactly, numbered, reading
from tests.live.texts import EVENTS, VALUES, WHOLE, tries


def pieces(entries: list[str], cuts: list[int]) -> list[list[str]]:
    """*entries* cut at these places."""
    places = sorted({0, len(entries), *(cut % len(entries) for cut in cuts)})
    return [entries[begin:end] for begin, end in pairwise(places)]


@tries(200)
@given(WHOLE, st.lists(st.integers(0, 20)))
def test_any_split_gives_the_same_document(entries: list[str], cuts: list[int]):
    """How a client cuts its entries into messages is nobody's business."""
    parts = pieces(entries, cuts)
    plain = Stream(*(array(*part) for part in parts))
    assert plain.text == Stream(array(*entries)).text
    assert plain.text == Stream(*(numbered(at, *part) for at, part in enumerate(parts, 1))).text


@tries(200)
@given(WHOLE, st.lists(st.integers(0, 20)), st.lists(st.integers(0, 20)))
def test_redelivery_changes_nothing(entries: list[str], cuts: list[int], backs: list[int]):
    """A client that goes back and sends again what it has sent already leaves no trace."""
    messages = [numbered(at, *part) for at, part in enumerate(pieces(entries, cuts), 1)]
    once, often = Stream(*messages), Stream()
    for at, message in enumerate(messages):
        assert isinstance(often.send(message), New)
        for back in backs:
            again = messages[back % (at + 1)]
            assert often.send(json.dumps(json.loads(again), indent=1, sort_keys=True)) == Known(back % (at + 1) + 1)
    assert often.stored == once.stored
    assert often.state == once.state


def _document(events: list[str], is_ended: bool) -> Any:
    """What the document must be, made the slow and obvious way."""
    start, end = Decimal(1569972082), Decimal(1569972182) if is_ended else None
    children = sorted(map(exactly, events), key=lambda child: child["timestamp"])
    codes = []
    for at, child in enumerate(children):
        if child["timestamp"] < start:
            codes.append(("before_start", f"$.children[{at}]"))
        if end is not None and child["timestamp"] > end:
            codes.append(("after_end", f"$.children[{at}]"))
    return {"type": "SESSION", "start": start, "end": end, "children": children}, codes


@tries(200)
@given(EVENTS, st.booleans())
def test_the_document_holds_every_event_with_its_own_numbers(events: list[str], is_ended: bool):
    """In order of time, equal ones as they came; numbers equal as decimals, and each oddity under warnings."""
    document = Stream(array(START, *events, *[END] * is_ended)).document
    expected, codes = _document(events, is_ended)
    warnings = document.pop("warnings", [])
    assert document == expected
    assert [(warning["code"], warning["path"]) for warning in warnings] == codes


MARKED = st.sampled_from([START, START.replace("082", "082.0"), START.replace("082", "083"), END, event("1569972090")])


def _takes(entries: list[str], stored: list[str]) -> bool:
    """Whether a session that holds the entries *stored* takes these, one by one."""
    for entry in entries:
        kind = exactly(entry)["type"]
        is_first, is_start = not stored, kind == "SESSION_START"
        if is_first != is_start and not (is_start and exactly(entry) == exactly(stored[0])):
            return False
        if END in stored:
            return False
        stored = [*stored, entry]
    return True


@tries(400)
@given(st.lists(st.lists(MARKED, min_size=1, max_size=4), max_size=5))
def test_a_message_is_taken_whole_or_not_at_all(messages: list[list[str]]):
    """It is taken exactly when each of its entries would be."""
    stream, stored = Stream(), list[str]()
    for entries in [[START], *messages]:
        outcome = stream.send(array(*entries))
        assert isinstance(outcome, New) == _takes(entries, stored)
        stored += entries * isinstance(outcome, New)
    assert [exactly(entry) for entry in stored] == [entry for text in stream.stored for entry in exactly(text)]
    assert stream.state.ended == (END in stored)


@tries(300)
@given(VALUES, VALUES)
def test_fingerprints_are_equal_for_equal_content(one: Any, other: Any):
    """However it is written; texts and numbers that look alike differ."""
    text = json.dumps(one)
    assert fingerprint(text.encode()) == fingerprint(json.dumps(exactly(text), default=_longer, indent=1).encode())
    same = _typed(exactly(text)) == _typed(exactly(json.dumps(other)))
    assert (fingerprint(text.encode()) == fingerprint(json.dumps(other).encode())) == same
    assert len({fingerprint(text) for text in (b"1", b'"1"', b'"1e0"', b'["1e0"]', b"true", b'"true"')}) == 6


def _longer(number: Decimal) -> float | int:
    return int(number) if number == number.to_integral_value() and abs(number) > 1 << 53 else float(number)


def _typed(value: Any) -> Any:
    """The value with true and 1 told apart."""
    if isinstance(value, dict):
        return {key: _typed(part) for key, part in value.items()}
    if isinstance(value, list):
        return [_typed(part) for part in value]
    return ("truth", value) if isinstance(value, bool) else value


@tries(300)
@given(st.from_regex(r"(0|[1-9][0-9]{0,20})(\.[0-9]{1,9})?([eE][+-]?[0-9]{1,3})?", fullmatch=True), st.booleans())
def test_numbers_keep_every_digit(digits: str, is_negative: bool):
    """Timestamps of microseconds within the calendar are taken, all others refused, and none is changed."""
    digits = "-" * is_negative + digits
    number = Decimal(digits)
    found = reading(array(START, event(digits, more=f',"more":{digits}')))
    whole = int(number.as_tuple().exponent) >= -6
    if isinstance(found, Incoming):
        assert whole
        child = Stream(found.entries).document["children"][0]
        assert child["timestamp"] == child["more"] == number
        assert found.entries.decode().count(digits) >= 2
    else:
        assert (found.code, found.path) == ("bad_time", "$[1].timestamp")
        assert not (whole and -62135596800 <= number <= 253402300799)


@tries(300)
@given(VALUES)
def test_json_has_no_trailing_commas(value: Any):
    """JSON comes back byte for byte, whatever its texts hold."""
    for data in (json.dumps(value), json.dumps(value, indent=1), json.dumps(value, ensure_ascii=False)):
        assert without_trailing_commas(data.encode("utf-8", "surrogatepass")).decode("utf-8", "surrogatepass") == data


@tries(300)
@given(VALUES, st.integers(0, 200))
def test_one_comma_may_trail_any_value(value: Any, place: int):
    """In whichever list or object it stands, it means the same as none; two are refused."""
    text = json.dumps([value, [value], {"a": value}])
    closing = [at for at, reads in _outside(text) if reads in "]}" and text[at - 1] not in "[{"]
    assume(closing)
    at = closing[place % len(closing)]
    assert exactly(without_trailing_commas((text[:at] + " ,\n" + text[at:]).encode())) == exactly(text)
    doubled = text[:at] + ",," + text[at:]
    assert without_trailing_commas(doubled.encode()).decode() == doubled


def _outside(text: str) -> list[tuple[int, str]]:
    """The characters that stand outside of strings, with their places."""
    found, at = [], 0
    while at < len(text):
        if text[at] == '"':
            at = at + len(json.dumps(json.JSONDecoder().raw_decode(text, at)[0]))
        else:
            found.append((at, text[at]))
            at += 1
    return found
