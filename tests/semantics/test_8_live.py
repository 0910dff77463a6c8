"""Live sessions: what is taken, and what a session looks like."""

import json
from decimal import Decimal

import pytest

from sojourn.live.protocol import Incoming, Known, New, resume
from sojourn.live.refusals import ANSWERS, Refusal
from sojourn.reading.entries import is_session_id
from tests.live.stream import END, ID, START, Stream, array, event, numbered, reading


def refused(outcome: object) -> tuple[str, str]:
    """The code and the path of a refusal."""
    assert isinstance(outcome, Refusal), outcome
    assert outcome.code in ANSWERS
    assert outcome.message
    return outcome.code, outcome.path


def only(entry: str) -> tuple[str, str]:
    """Why a message of this one entry is refused."""
    return refused(reading(array(entry)))


def test_8_1_document():
    """Children ascend by time, those of equal times keep the order they came in; the end follows the events."""
    stream = Stream(
        array(START, event("1569972086", "cart_update")),
        array(event("1569972084", "first"), event("1569972086", "second"), event("1569972084.5", "between")),
        array(END),
    )
    assert stream.text.decode() == (
        '{"type":"SESSION","start":1569972082,"end":1569972182,"children":['
        '{"type":"EVENT","timestamp":1569972084,"name":"first"},'
        '{"type":"EVENT","timestamp":1569972084.5,"name":"between"},'
        '{"type":"EVENT","timestamp":1569972086,"name":"cart_update"},'
        '{"type":"EVENT","timestamp":1569972086,"name":"second"}]}'
    )


@pytest.mark.parametrize("digits", ["1569972084", "1569972084.123456", "1569972084.10", "0", "-1.5", "1.569972084E9"])
def test_8_1_timestamps_come_back_as_they_came(digits: str):
    """An integer stays an integer and no decimal place is lost or added."""
    stream = Stream(array(START, event(digits)))
    assert f'"timestamp":{digits},' in stream.text.decode()
    assert stream.document["children"][0]["timestamp"] == Decimal(digits)


@pytest.mark.parametrize(
    "digits",
    ["1569972084.1234567", "1569972084.0000000", "1e-7", "253402300800", "1569972084123", "1e99999999999999999999"],
)
def test_8_1_more_than_six_places_are_refused(digits: str):
    """So is a number that is no second of the calendar, such as one of milliseconds."""
    assert only(event(digits)) == ("bad_time", "$[0].timestamp")


@pytest.mark.parametrize("value", ['"1569972084"', "true", "[]"])
def test_8_1_timestamps_are_numbers(value: str):
    """A number in quotes is text."""
    assert only(event(value)) == ("bad_type", "$[0].timestamp")


def test_8_1_further_keys_are_kept():
    """Whatever else an event says comes back, also a number that no double holds."""
    stream = Stream(array(START, event("1569972084", more=',"cart":{"items":[1,2.50],"id":12345678901234567890123}')))
    assert '"name":"cart_load","cart":{"items":[1,2.50],"id":12345678901234567890123}}' in stream.text.decode()


def test_8_2_open_until_it_ends():
    """Without SESSION_END the end is null."""
    stream = Stream(array(START, event("1569972084")))
    assert stream.document["end"] is None
    assert json.loads(stream.text)["end"] is None
    assert (stream.state.ended, stream.state.events) == (False, 1)
    stream.send(array(END))
    assert (stream.state.ended, stream.state.events) == (True, 1)
    assert stream.document["end"] == 1569972182


@pytest.mark.parametrize("name", ["a", "A-Z.a_z~0-9", "." * 128, "~"])
def test_8_2_session_ids(name: str):
    """1 to 128 of A-Z a-z 0-9 . _ ~ - name a session."""
    assert is_session_id(name)


@pytest.mark.parametrize("name", ["", "a" * 129, "a b", "a/b", "ä", "a\n", "٣", "a%20"])
def test_8_2_not_session_ids(name: str):
    """Nothing else does."""
    assert not is_session_id(name)


@pytest.mark.parametrize("marker", ["SESSION_START", "SESSION_END"])
def test_8_2_markers_carry_the_session_of_the_stream(marker: str):
    """A marker without it, or of another session, is refused."""
    entry = f'{{"timestamp":1569972082,"type":"{marker}"'
    assert only(entry + "}") == ("missing_field", "$[0].session_id")
    assert only(entry + ',"session_id":7}') == ("bad_type", "$[0].session_id")
    assert only(entry + ',"session_id":"visit-2"}') == ("other_session", "$[0].session_id")
    assert isinstance(reading(array(entry + f',"session_id":"{ID}"}}')), Incoming)


def test_8_4_numbered_messages_may_come_again():
    """Known with the same content: acknowledged again, also after the end, and stored once."""
    first, second = numbered(1, START), numbered(2, event("1569972084"), END)
    stream = Stream(first, second)
    assert stream.send(first) == Known(1)
    assert stream.send(second) == Known(2)
    assert stream.send(
        '{ "events":[{"session_id":"visit-1","type":"SESSION_START","timestamp":1569972082.0}],"seq":1}'
    ) == Known(1)
    assert len(stream.stored) == 2


def test_8_4_other_content_under_a_known_number_is_refused():
    """A number means one content."""
    stream = Stream(numbered(1, START), numbered(2, event("1569972084")))
    for other in (event("1569972085"), event("1569972084", "cart_update"), event("1569972084", more=',"n":"1"')):
        assert refused(stream.send(numbered(2, other))) == ("other_content", "$.events")
    assert ANSWERS["other_content"] == (4400, 409)


def test_8_4_a_gap_is_refused():
    """The next number is the last one and 1."""
    stream = Stream(numbered(1, START))
    assert refused(stream.send(numbered(3, event("1569972084")))) == ("gap", "$.seq")
    assert ANSWERS["gap"].close == 4409
    assert isinstance(stream.send(numbered(2, event("1569972084"))), New)


def test_8_4_a_plain_client_goes_on_from_the_last():
    """Messages without a number get the next one, and mix with numbered ones."""
    stream = Stream(array(START), array(event("1569972084")), numbered(3, event("1569972084")))
    assert stream.state.last == 3
    assert stream.send(numbered(2, event("1569972084"))) == Known(2)
    assert resume(3, stream.stored[0], ended=False, events=2) == stream.state


@pytest.mark.parametrize("seq", ["0", "-1", "1.0", "1e0", '"1"', "true", "9223372036854775808", "9" * 5000])
def test_8_4_numbers_count_from_one(seq: str):
    """Anything else is no number of a message."""
    assert refused(reading(f'{{"seq":{seq},"events":[{START}]}}')) == ("bad_type", "$.seq")


def test_8_4_a_numbered_message_holds_nothing_else():
    """Its session may be named, as in files of streams; what would be lost is refused."""
    assert isinstance(reading(f'{{"session_id":"{ID}","seq":1,"events":[{START}]}}'), Incoming)
    assert refused(reading(f'{{"session_id":"x","seq":1,"events":[{START}]}}')) == ("other_session", "$.session_id")
    assert refused(reading(f'{{"seq":1,"events":[{START}],"note":1}}')) == ("unknown_field", "$")
    assert refused(reading(f'{{"events":[{START}]}}')) == ("missing_field", "$.seq")
    assert refused(reading('{"seq":1}')) == ("missing_field", "$.events")
    assert refused(reading('{"seq":1,"events":{}}')) == ("bad_type", "$.events")


def test_8_5_trailing_commas():
    """They are accepted in objects and arrays, and stay what they are within texts."""
    stream = Stream(
        '[\n  {"timestamp":1569972082,"type":"SESSION_START","session_id":"visit-1",},\n]',
        '{"seq":2,"events":[{"timestamp":1569972084,"type":"EVENT","name":"a,]","list":[1,[],],} , ],}',
        '[{"timestamp":1569972182,"type":"SESSION_END","session_id":"visit-1"},]',
    )
    assert stream.document["children"] == [
        {"type": "EVENT", "timestamp": 1569972084, "name": "a,]", "list": [1, []]},
    ]
    assert stream.document["end"] == 1569972182


@pytest.mark.parametrize(
    "text",
    ["", "[", "[,]", "[{},,]", "{,}", "[1,,]", "[,1]", "nonsense", "[NaN]", "[Infinity]", "[1]]", "[] []", "[01]",
     '["\\ud800"]', "['a']", "[1 2]", '{"seq":1,"events":[,]}', '{"a":,}', "\ufeff[]", '["', '["\\'],
)  # fmt: skip
def test_8_5_everything_else_that_is_not_json_is_refused(text: str):
    """One comma may trail a value; nothing else is forgiven."""
    assert refused(reading(text)) == ("invalid_json", "$")
    assert ANSWERS["invalid_json"] == (4400, 400)


@pytest.mark.parametrize("half", ['"\\ud800"', '"\\udfff"', '"\\ud83d\\ud83d\\ude00"', '{"\\udc00":1}'])
def test_8_5_half_of_a_pair_of_surrogates_is_no_text(half: str):
    """UTF-8 cannot hold it. It is said to be that, unless something else is wrong, too."""
    outcome = reading(array(event("1", more=f',"more":{half}')))
    assert refused(outcome) == ("invalid_json", "$")
    assert isinstance(outcome, Refusal)
    assert "surrogates" in outcome.message
    for other in (f"[{half}", "[" * 100_000 + half):
        outcome = reading(other)
        assert isinstance(outcome, Refusal)
        assert "surrogates" not in outcome.message


def test_8_5_a_message_is_utf8():
    """Also in a key that nobody reads."""
    assert refused(reading(b'[{"timestamp":1,"type":"EVENT","name":"a","x":"\xff"}]')) == ("invalid_utf8", "$")
    assert refused(reading('["\ud800"]')) == ("invalid_utf8", "$")
    assert ANSWERS["invalid_utf8"].close == 1007


def test_8_5_a_message_has_at_least_one_entry():
    """And it is an array, or holds one with its number."""
    assert refused(reading("[]")) == ("empty", "$")
    assert refused(reading('{"seq":1,"events":[ ]}')) == ("empty", "$.events")
    for text in ("1", "null", '"[]"'):
        assert refused(reading(text)) == ("bad_type", "$")


def test_8_5_entries():
    """Each is an object of a known type with its fields; the path names the first that is wrong."""
    assert refused(reading(array(START, event("1569972084"), event("true")))) == ("bad_type", "$[2].timestamp")
    assert refused(reading(numbered(1, START, "5"))) == ("not_an_object", "$.events[1]")
    assert only("{}") == ("missing_field", "$[0].type")
    assert only('{"type":"session_start","timestamp":1}') == ("unknown_value", "$[0].type")
    assert only('{"type":7,"timestamp":1,"name":"a"}') == ("bad_type", "$[0].type")
    assert only('{"type":"EVENT","name":"a"}') == ("missing_field", "$[0].timestamp")
    assert only('{"type":"EVENT","timestamp":1}') == ("missing_field", "$[0].name")
    assert only('{"type":"EVENT","timestamp":1,"name":null}') == ("missing_field", "$[0].name")
    assert only('{"type":"EVENT","timestamp":1,"name":7}') == ("bad_type", "$[0].name")


def test_8_5_the_last_of_doubled_keys_counts():
    """As everywhere else."""
    stream = Stream(
        array(START, '{"type":"x","timestamp":"y","type":"EVENT","timestamp":1569972084,"name":1,"name":"a"}')
    )
    assert stream.document["children"] == [{"type": "EVENT", "timestamp": 1569972084, "name": "a"}]


def test_8_5_bounds():
    """A message has so many bytes, so many entries and so many levels, and not one more."""
    text = array(START, event("1569972084", "ä"))
    size = len(text.encode())
    assert isinstance(reading(text, max_bytes=size, max_entries=2), Incoming)
    assert refused(reading(text, max_bytes=size - 1)) == ("too_large", "$")
    assert refused(reading(text, max_entries=1)) == ("too_large", "$")
    assert ANSWERS["too_large"] == (1009, 413)
    for form, levels in ((array, 125), (lambda entry: numbered(1, entry), 125)):
        for bracket in ("[", '{"":'):
            fits, deep = (
                event("1", more=f',"x":{bracket * n}0{("]" if bracket == "[" else "}") * n}')
                for n in (levels, levels + 1)
            )
            assert isinstance(reading(form(fits)), Incoming)
            assert refused(reading(form(deep))) == ("too_large", "$")
    assert refused(reading("[" * 100_000 + "]" * 100_000)) == ("too_large", "$")


def test_8_6_the_first_entry_is_the_start():
    """Nothing comes before it, neither an event nor an end, nor in the same message."""
    for entries in ((event("1569972084"),), (event("1569972081"), START), (END,)):
        stream = Stream()
        assert refused(stream.send(array(*entries))) == ("not_started", "$[0]")
        assert refused(stream.send(numbered(1, *entries))) == ("not_started", "$.events[0]")
        assert stream.state.last == 0
        assert isinstance(stream.send(array(START)), New)


def test_8_6_a_second_start():
    """An identical one is ignored, however it is written; a different one is refused, and its message with it."""
    again = '{"session_id":"visit-1", "type":"SESSION_START", "timestamp":1569972082.0}'
    other = START.replace("082", "083")
    stream = Stream(array(START, START), array(again), array(event("1569972084"), START, event("1569972085")))
    assert [child["timestamp"] for child in stream.document["children"]] == [1569972084, 1569972085]
    assert refused(stream.send(array(event("1569972086"), other))) == ("other_start", "$[1]")
    assert refused(stream.send(array(START.replace("}", ',"device":1}')))) == ("other_start", "$[0]")
    assert refused(Stream().send(numbered(1, START, other))) == ("other_start", "$.events[1]")
    assert len(stream.stored) == 3


def test_8_6_a_session_starts_and_ends_once():
    """The message that opens it and the one that ends it say when; an ignored start says nothing."""
    stream = Stream()
    outcomes = [stream.send(array(*entries)) for entries in ((START,), (START, event("1569972084")), (START, END))]
    said = [(new.started_at, new.ended_at) for new in outcomes if isinstance(new, New)]
    assert said == [(1569972082_000000, None), (None, None), (None, 1569972182_000000)]
    both = Stream().send(array(START.replace("082", "082.000001"), END))
    assert isinstance(both, New)
    assert (both.started_at, both.ended_at) == (1569972082_000001, 1569972182_000000)


def test_8_6_nothing_new_after_the_end():
    """Neither in a later message nor in the same one, and not even the same end or start once more."""
    for late in (event("1569972084"), END, START):
        assert refused(Stream(array(START)).send(array(END, late))) == ("ended", "$[1]")
        stream = Stream(array(START), array(END))
        assert refused(stream.send(array(late))) == ("ended", "$")
        assert refused(stream.send(numbered(7, late))) == ("ended", "$")
    assert ANSWERS["ended"] == (4410, 410)


def test_8_6_events_outside_of_their_session_are_kept_with_a_warning():
    """At the very start and the very end they lie inside; warnings are there only when there are any."""
    stream = Stream(array(START, event("1569972082"), event("1569972182")))
    assert "warnings" not in stream.document
    stream.send(array(event("1569972000.5", "early"), event("1569972182.000001", "late")))
    assert [warning["code"] for warning in stream.document["warnings"]] == ["before_start"]
    stream.send(array(END))
    assert len(stream.document["children"]) == 4
    assert stream.document["warnings"] == [
        {"code": "before_start", "path": "$.children[0]", "message": "81.5 s before the session's start"},
        {"code": "after_end", "path": "$.children[3]", "message": "0.000001 s after the session's end"},
    ]
