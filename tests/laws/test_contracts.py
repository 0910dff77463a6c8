"""A contract that only accepts more accepts what the one before it accepted, as the same event."""

from itertools import product
from random import Random

from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from sojourn.contracts import accepts_more
from sojourn.pipeline import Field, Pipeline, Source
from sojourn.reading.judge import Contract, Reject, judge

FORMATS = ["iso", "epoch_s", "epoch_ms", "%Y%m%d", "%d%m%Y"]
TIMES = ['"20240301"', "20240301", '"01022024"', "1709251200", '"1709251200"', '"2024-03-01T00:00:00"']
VALUES = ["1", '"1"', '"a"', '"b"', "true", "null", "1.0", "[1]"]
MORE = ["", ',"more":"%s"' % ("x" * 40)]
LINES = [
    f'{{"id":{value},"at":{time},"k":{value}{more}}}'.encode() for time, value, more in product(TIMES, VALUES, MORE)
]


def contract(rng: Random) -> Source:
    """A contract of which each setting matters to some line."""
    fields = {
        "event_id": Field(path="id", type=rng.choice(["text", "integer"])),
        "occurred_at": Field(
            path="at", type="time", required=True, formats=tuple(rng.sample(FORMATS, rng.choice((0, 1, 2, 2))))
        ),
        "kind": Field(path="k", required=rng.random() < 0.5, values=rng.choice([(), ("a",), ("a", "1")])),
    }
    return Source(fields=fields, strict=rng.random() < 0.5, max_record=rng.choice(["60B", "1KiB"]))


def changed(rng: Random, source: Source) -> Source:
    """The contract with some settings changed, often to what accepts more."""
    time, kind = source.fields["occurred_at"], source.fields["kind"]
    formats = [*(time.formats or ("iso",)), *rng.sample(FORMATS, rng.randrange(2))]
    if rng.random() < 0.3:
        rng.shuffle(formats)
    values = rng.choice([kind.values, (), ("1",), ("b", "1", "a")])
    fresh = source.fields | {
        "occurred_at": replace(time, formats=tuple(formats)),
        "kind": replace(kind, required=rng.choice([kind.required, False, True]), values=values),
    }
    strict, most = rng.choice([source.strict, False]), rng.choice([source.max_record, "1KiB"])
    return replace(source, fields=fresh, strict=strict, max_record=most)


@given(st.randoms(use_true_random=False))
def test_what_was_accepted_is_accepted_as_the_same_event(rng: Random) -> None:
    """Whatever the change: what `accepts_more` says of it holds."""
    for _ in range(20):
        old = contract(rng)
        new = changed(rng, old)
        if not accepts_more(*(Pipeline(name="own", source={"events": it}).fingerprint() for it in (old, new))):
            continue
        before, after = Contract(old), Contract(new)
        for line in LINES:
            verdict = judge(line, before)
            assert isinstance(verdict, Reject) or judge(line, after) == verdict, line
