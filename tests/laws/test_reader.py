"""The reader of JSON lines against the reference, on bytes of every kind."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sojourn.loading import load
from sojourn.pipeline import Field, Source
from sojourn.reading.jsonl import JsonLines
from tests.laws.adapt import Expected, rejects_of
from tests.laws.damage import LINES, PIECES, VALUES, spoil
from tests.laws.effort import EFFORT, examples, seeded

BOM = b"\xef\xbb\xbf"
READERS = {name: JsonLines(load(name).events) for name in LINES}


def check(data: bytes, reader: JsonLines) -> None:
    """The reader and the reference say the same of every line of *data*."""
    Expected(data, reader.contract.source).check([reader.read(data.removeprefix(BOM))])


@pytest.mark.parametrize("pipeline", LINES)
def test_spoiled_lines_end_where_the_reference_says(pipeline):
    """Flipped, cut, glued, spliced lines: same values, line numbers, reasons, paths, offending values and counts."""
    rng, seed = seeded(pipeline)
    lines, reader = LINES[pipeline], READERS[pipeline]
    for _ in range(60 * EFFORT):
        data = b"\n".join(
            spoil(rng.choice(lines), lines, rng) if rng.random() < 0.8 else rng.choice(lines) for _ in range(40)
        )
        data += rng.choice((b"", b"\n", b"\r\n", b"\r", b"\n\n"))
        try:
            check(data, reader)
        except AssertionError as error:
            error.add_note(f"seed {seed}; the first line that differs: {differing(data, reader)!r}")
            raise


def differing(data: bytes, reader: JsonLines) -> bytes | None:
    """The first line that is judged differently also alone."""
    for line in data.split(b"\n"):
        try:
            check(line, reader)
        except AssertionError:
            return line
    return None


@pytest.mark.parametrize("pipeline", LINES)
def test_a_bad_line_costs_no_neighbour(pipeline):
    """A line is judged alone: whatever stands beside it, it ends as it would end in a file of its own."""
    rng, _ = seeded(f"neighbours {pipeline}")
    lines, reader = LINES[pipeline], READERS[pipeline]
    block = [spoil(rng.choice(lines), lines, rng).replace(b"\n", b"") for _ in range(150 * EFFORT)]
    together = reader.read(b"\n".join(block) + b"\n")
    alone = [reader.read(line + b"\n") for line in block]
    assert together.events.num_rows == sum(one.events.num_rows for one in alone)
    assert together.rejects["line"].to_pylist() == [at for at, one in enumerate(alone, 1) if one.rejects.num_rows]


@st.composite
def shifted_breaks(draw):
    """Good records only, with line breaks too few between them and too many within them."""
    pipeline = draw(st.sampled_from(sorted(LINES)))
    data = b""
    for _ in range(draw(st.integers(1, 8))):
        line = draw(st.sampled_from(LINES[pipeline]))
        if draw(st.integers(0, 2)) == 0:
            at = draw(st.sampled_from([at for at, char in enumerate(line) if char in b"{},: "]))
            line = line[:at] + draw(st.sampled_from([b"\n", b"\r\n", b"\r", b"\n\n", b"\t"])) + line[at:]
        end = draw(
            st.sampled_from(
                [b"\n"] * 6
                + [b"\r\n", b"", b" ", b"\t", b"\r", b"\n\n", b" \n \n", b"\n{}", b",", b"\x0b", b"\xc2\xa0"]
            )
        )
        data += line + end
    return pipeline, data


@examples(300)
@given(shifted_breaks())
def test_line_breaks_alone_part_records(case):
    """Two objects on one line and an object over two lines are bad lines, whatever their numbers add up to."""
    pipeline, data = case
    check(data, READERS[pipeline])


KEYS = ["a", "b", "c"]
paths = st.lists(st.sampled_from(KEYS), min_size=1, max_size=3).map(tuple)
times = st.sampled_from(
    [
        (),
        ("iso",),
        ("epoch_s",),
        ("epoch_ms",),
        ("epoch_us",),
        ("epoch_ns",),
        ("%d/%m/%Y %H:%M:%S",),
        ("%Y-%m-%dT%H:%M:%S.%f",),
        ("%Y-%m-%d",),
        ("%y%m%d%H%M%S%z",),
        ("%Y-%m-%dT%H:%M:%S%z",),
        ("iso", "epoch_s"),
        ("%d/%m/%Y %H:%M:%S", "iso"),
        ("epoch_ms", "%Y-%m-%d"),
    ]
)
enumerations = {
    "text": st.sampled_from([(), ("x", "1"), ("", "null", "12")]),
    "integer": st.sampled_from([(), (0, 1, 12), (-1,)]),
    "number": st.sampled_from([(), (0, 1, 5.5), (0.1,)]),
}
zones = st.sampled_from(["UTC", "UTC", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Asia/Kolkata"])


@st.composite
def fields(draw):
    """One declared field of any type."""
    kind = draw(st.sampled_from(["text", "text", "integer", "number", "boolean", "time", "labels"]))
    return Field(
        path=draw(paths),
        type=kind,
        required=draw(st.booleans()),
        values=draw(enumerations.get(kind, st.just(()))),
        formats=draw(times) if kind == "time" else (),
    )


@st.composite
def sources(draw):
    """A contract of up to five fields; paths may meet, lie within one another, or be the same."""
    declared = draw(st.lists(fields(), min_size=1, max_size=5))
    named = {f"f{at}": field for at, field in enumerate(declared)}
    if draw(st.booleans()):
        named["actor"] = Field(path=draw(paths), type=draw(st.sampled_from(["text", "integer"])))
    return Source(
        fields=named,
        timezone=draw(zones),
        strict=draw(st.booleans()),
        max_record=draw(st.sampled_from(["16MiB", "16MiB", "200B", "60B"])),
        drop=("anonymous",) if "actor" in named else (),
    )


def fragments(declared: Field):
    """Values of the kind that the field wants, or any."""
    good = {
        "text": [b'"x"', b"12", b'"1"', b'"caf\\u00e9"'],
        "integer": [b"0", b"12", b'"-1"', b"-0", b'"00000000000000000000000012"'],
        "number": [b"0.1", b"1e3", b"12", b"5.5", b"-0", b"-0.0", b'"-0.0"'],
        "boolean": [b"true", b"false"],
        "labels": [
            *(b'"a"', b'"b, a,"', b"7", b"-0", b'["b", "a,b"]', b"[]", b'[" "]', b"[1, 0]", b"[-0]", b'["a", null]'),
            *(b'["a", 1.5]', b"[12345678901234567890]", b'["\\u00e9", "\\u2003x"]', b'[["a"]]', b"[true]", b"1e3"),
        ],
        "time": [
            *(value for value in VALUES if value.startswith((b'"2', b'"0', b'"1', b'"3', b'"9'))),
            *b"0 1524900000 1524900000123 1524900000123456 -1 1.5 253402300800 1524900000123456789 1e3".split(),
            b'"2017-03-02"', b'"170302202200Z"', b'"170302202200+0230"', b'"2017-03-02T20:22:00+02:00"',
        ],
    }[declared.type]  # fmt: skip
    return st.sampled_from(good) | st.sampled_from(good) | st.sampled_from(VALUES)


@st.composite
def records(draw, source: Source):
    """A JSON object that has most of the declared fields, keys in any order, some twice."""
    members: list[tuple[tuple[str, ...], bytes]] = [
        (declared.keys("jsonl"), draw(fragments(declared)))
        for declared in source.fields.values()
        if draw(st.sampled_from([True, True, True, False]))
    ]
    if draw(st.integers(0, 4)) == 0:
        members.append((draw(paths), draw(st.sampled_from(VALUES))))
    if draw(st.integers(0, 4)) == 0:
        members.append((("unread",), draw(st.sampled_from(VALUES))))
    return _object(draw(st.permutations(members)), draw(st.sampled_from([b"", b" "])))


def _object(members: list[tuple[tuple[str, ...], bytes]], space: bytes) -> bytes:
    """The members as JSON; those of one parent stand together, unless their parent holds a value too."""
    parts: dict[str, list[tuple[tuple[str, ...], bytes]]] = {}
    leaves = []
    for path, value in members:
        if len(path) == 1:
            leaves.append(b'"%b":%b%b' % (path[0].encode(), space, value))
        else:
            parts.setdefault(path[0], []).append((path[1:], value))
    nested = [b'"%b":%b%b' % (key.encode(), space, _object(inner, space)) for key, inner in parts.items()]
    return b"{" + (b"," + space).join(leaves + nested) + b"}"


@st.composite
def contracts_and_data(draw):
    """A contract, and a file of a few lines for it."""
    source = draw(sources())
    lines = draw(st.lists(records(source), min_size=1, max_size=12))
    return source, draw(st.sampled_from([b"\n", b"\r\n", b"\n\n"])).join(lines) + draw(
        st.sampled_from([b"", b"\n", b"\r"])
    )


@examples(250)
@given(contracts_and_data())
def test_any_contract_is_kept_as_the_reference_keeps_it(case):
    """All types, formats, zones, enumerations, strict or not; nested below parents that may be absent."""
    source, data = case
    check(data, JsonLines(source))


@examples(150)
@given(
    st.sampled_from(sorted(LINES)),
    st.lists(st.sampled_from([*PIECES, *VALUES, *(line for lines in LINES.values() for line in lines)]), max_size=12),
)
def test_glued_pieces_of_any_kind(pipeline, pieces):
    """Any pieces in a row, with and without newlines between them."""
    check(b"".join(pieces), READERS[pipeline])


@examples(100)
@given(st.sampled_from(sorted(LINES)), st.binary(max_size=60))
def test_any_bytes_at_all(pipeline, data):
    """No bytes make the reader fail; every line is counted once."""
    check(data, READERS[pipeline])


def test_an_open_string_of_escapes_is_judged_at_once():
    """A line that ends within an escape, after as many escapes as a record may hold: one look, not one for each."""
    line = b'{"id": "' + b'\\"' * 500_000 + b"\\"
    ours = JsonLines(load("webshop").events).read(line + b"\n")
    assert [reject[1] for reject in rejects_of(ours.rejects)] == ["invalid_json"]
