"""Damaged and hostile messages: both paths judge alike, and none takes long."""

from __future__ import annotations

import json
from collections import Counter
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from sojourn.live import protocol
from sojourn.live.exact import Breach, look, without_trailing_commas
from sojourn.live.protocol import Incoming
from sojourn.live.refusals import ANSWERS, Refusal
from tests.laws.effort import EFFORT, each, seeded
from tests.live.stream import END, ID, START, array, event, exactly, numbered, reading

if TYPE_CHECKING:
    from random import Random

TOKENS = [
    *(
        token.encode()
        for token in each(r', ,, ] [ { } " \ \u \ud800 0 - 1.5 .1234567 e5 E null true NaN : "":[], [] é')
    ),
    *(b" ", b"\n", b"\t", b"\x00", b"\xff", b"\xc3", b"\xef\xbb\xbf", b'"EVENT"', b'"SESSION_END"', b'"visit-1"'),
    *(f'"{key}":'.encode() for key in ("type", "seq", "events", "session_id", "name", "timestamp")),
]
SEEDS = [
    text.encode()
    for text in (
        array(START, event("1569972084.25", "a,]"), END),
        numbered(7, START, event("1569972084", more=',"cart":{"a":[1,{"b":"\\"}"}],"c":[]}')),
        f'{{"session_id":"{ID}","seq":1,"events":[{START}, ],}}',
        '[{"timestamp":1569972084,"type":"EVENT","name":"cart","name":"é","x":[1,],},]',
        array(event("1e3"), event("-1"), event("0.5")),
        array(*[event("1", more=',"x":[[],[{}]]')] * 40),
    )
]


def damaged(random: Random) -> bytes:
    """One of the seeds after a few accidents."""
    data = random.choice(SEEDS)
    for _ in range(random.choice((0, 1, 1, 1, 2, 3, 6))):
        at, end = sorted(random.randrange(len(data) + 1) for _ in range(2))
        match random.randrange(5):
            case 0:
                data = data[:at] + random.choice(TOKENS) + data[at:]
            case 1:
                data = data[:at] + data[at + 1 :]
            case 2:
                data = data[:at] + random.choice(TOKENS) + data[at + 1 :]
            case 3:
                end = min(end, at + 40)
                data = data[:end] + data[at:end] + data[end:]
            case _:
                data = data[:at] + data[min(end, at + 20) :]
    return data


def reference_cleaned(text: str) -> str:
    """*text* without trailing commas, character by character."""
    kept, in_string, before = list[str](), False, ""
    at = 0
    while at < len(text):
        step = 2 if in_string and text[at] == "\\" else 1
        here = text[at : at + step]
        in_string ^= here == '"'
        is_comma = here == "," and not in_string
        trails = is_comma and text[at + 1 :].lstrip(" \t\r\n")[:1] in ("]", "}")
        kept.append(" " if trails and before not in ("", "[", "{", ":", ",") else here)
        before = before if here in " \t\r\n" else here
        at += step
    return "".join(kept)


def strict(text: str) -> Any:
    """The value of *text* under the standard library, without what only Python reads; `ValueError` otherwise."""

    def refuse(constant: str) -> Any:
        raise ValueError(constant)

    every = json.loads(text, parse_int=Decimal, parse_float=Decimal, parse_constant=refuse, object_pairs_hook=list)
    json.dumps(every, default=str, ensure_ascii=False).encode()  # half a pair of surrogates cannot be
    return exactly(text)


def test_damage_is_judged_alike_on_both_paths():
    """What the decoder accepts, the exact look accepts as the same; accepted is JSON but for trailing commas."""
    random, seed = seeded("live messages")
    outcomes = Counter[str]()
    for _ in range(6000 * EFFORT):
        data = damaged(random)
        about = f"{data!r} (seed {seed})"
        found = reading(data, max_entries=60)
        code = found.code if isinstance(found, Refusal) else "ok"
        outcomes[code] += 1
        assert code == "ok" or code in ANSWERS, about
        if code != "invalid_utf8":
            assert found == slowly(data), about
            compare_with_strict(data.decode(), found, about)
    wanted = {"invalid_json", "invalid_utf8", "bad_time", "missing_field", "unknown_field", "bad_type", "unknown_value"}
    assert wanted <= outcomes.keys()
    assert outcomes["ok"] > 500


def slowly(data: bytes) -> Incoming | Refusal:
    """The message by the exact look alone."""
    try:
        seq, entries, kinds = look(without_trailing_commas(data), ID, 60)
    except Breach as breach:
        return breach.refusal
    return protocol._incoming(seq, entries, kinds)


def compare_with_strict(text: str, found: Incoming | Refusal, about: str) -> None:
    """A strict parser reads the text without trailing commas exactly when the message is not refused as no JSON."""
    cleaned = reference_cleaned(text)
    try:
        value = strict(cleaned)
    except ValueError:
        assert isinstance(found, Refusal), about
        assert found.code == "invalid_json", about
        return
    assert not isinstance(found, Refusal) or found.code != "invalid_json", about
    if isinstance(found, Incoming):
        assert exactly(found.entries) == (value if found.seq is None else value["events"]), about


def test_hostile_messages_take_no_longer_than_others():
    """A mebibyte of brackets, quotes, escapes, commas or digits is read once, not once per character."""
    digits = "9" * 1_000_000
    for text in (
        '["' + '\\"' * 500_000 + "\\", '["' + '\\"' * 500_000, "[" * 1_000_000, "," * 1_000_000,
        "[1" + ",   " * 250_000,
        '{"a":' * 200_000, f'{{"seq":{digits},"events":[]}}', array(event(digits)), array(event("1e" + digits)),
        array(START.replace("}", f',"n":[{digits},1e{digits}]}}')),
        array(event("1", more=f',"x":[{",".join(["[]"] * 300_000)}]')),
    ):  # fmt: skip
        assert isinstance(reading(text, max_bytes=1 << 22), Incoming | Refusal)
