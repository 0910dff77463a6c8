"""A pipeline of the engine as the reference knows it, and both sides' answers in one form to compare."""

from __future__ import annotations

import json
import math
from collections import Counter
from typing import TYPE_CHECKING, Any

import msgspec

from sojourn.pipeline import parse_size
from sojourn.times import parse_duration
from tests import reference

if TYPE_CHECKING:
    from collections.abc import Iterable

    import pyarrow as pa

    from sojourn.pipeline import Goal, Pipeline, Source, Suspect
    from sojourn.reading.block import Block

Table = list[dict[str, Any]]
Reject = tuple[int, str, str, str | None, bytes]


def contract_of(source: Source) -> reference.Contract:
    """The source's contract."""
    fields = tuple(
        reference.Field(
            name,
            declared.keys(source.format),
            declared.type,
            required=declared.required,
            values=declared.values or None,
            formats=declared.formats or ("iso",),
        )
        for name, declared in source.fields.items()
    )
    return reference.Contract(fields, source.timezone, parse_size(source.max_record), source.strict)


def pipeline_of(pipeline: Pipeline) -> reference.Pipeline:
    """The pipeline."""
    rule = pipeline.sessions
    return reference.Pipeline(
        pipeline.name,
        contract_of(pipeline.events),
        dedupe=pipeline.events.dedupe,
        drop_anonymous="anonymous" in pipeline.events.drop,
        gap=parse_duration(rule.gap if rule is not None else "30m"),
        goal=rule.goal if rule is not None else None,
        own_hosts=rule.own_hosts if rule is not None else (),
        bucket_timezone=pipeline.bucket_timezone,
        **({"suspect": _suspect(rule.suspect)} if rule is not None else {}),
        experiments={name: (known.variants, known.control) for name, known in pipeline.experiments.items()},
        goals={name: _goal(known) for name, known in pipeline.counted_goals.items()},
    )


def _goal(given: Goal) -> tuple[str, str | int]:
    (said,) = [(name, value) for name, value in msgspec.structs.asdict(given).items() if value is not None]
    return said


def _suspect(given: Suspect) -> tuple[int, int, int]:
    return given.events, given.sessions, parse_duration(given.within)


class Expected:
    """What the reference reads in a file: rows of values, rejects and counts."""

    def __init__(self, data: bytes, source: Source) -> None:
        contract = contract_of(source)
        self.fields = list(source.fields)
        self.events: Counter[tuple[Any, ...]] = Counter()
        self.rejects: list[Reject] = []
        self.read = self.blank = self.dropped = 0
        for number, raw in reference.read_lines(data):
            judged = reference.judge(raw, contract)
            if isinstance(judged, reference.Blank):
                self.blank += 1
                continue
            self.read += 1
            if isinstance(judged, reference.Rejected):
                path, value = judged.path or "$", judged.value
                self.rejects.append((number, judged.reason, path, shown(value), raw))
            elif "anonymous" in source.drop and judged.values["actor"] in (None, ""):
                self.dropped += 1
            else:
                self.events[exact(judged.values[name] for name in source.fields)] += 1

    def check(self, blocks: Iterable[Block]) -> None:
        """The reader's blocks of the same file, in order, say the same of every record."""
        events: Counter[tuple[Any, ...]] = Counter()
        rejects: list[Reject] = []
        lines = read = blank = dropped = 0
        for block in blocks:
            events += rows_of(block.events.select(self.fields))
            rejects += rejects_of(block.rejects, lines)
            lines += block.lines
            read += block.ledger.read
            blank += block.ledger.blank
            dropped += block.ledger.dropped["anonymous"]
            assert block.ledger.quarantined.total() == block.rejects.num_rows
            assert block.ledger.candidates == block.events.num_rows
        assert sorted(rejects) == self.rejects, differing(rejects, self.rejects)
        assert events == self.events, differing(events.elements(), self.events.elements())
        assert (read, blank, dropped) == (self.read, self.blank, self.dropped)


def differing(ours: Iterable[Any], theirs: Iterable[Any]) -> str:
    """What only one side has."""
    left, right = Counter(ours), Counter(theirs)
    return f"only ours: {list((left - right).elements())[:3]}; only theirs: {list((right - left).elements())[:3]}"


def rows_of(table: pa.Table) -> Counter[tuple[Any, ...]]:
    """The rows as a multiset."""
    return Counter(exact(row.values()) for row in table.to_pylist())


def rejects_of(table: pa.Table, before: int = 0) -> list[Reject]:
    """Rejects with the line counted on from *before*."""
    return [
        (row["line"] + before, row["reason"], row["path"], whole_line(row), row["raw"]) for row in table.to_pylist()
    ]


def whole_line(row: dict[str, Any]) -> str | None:
    """The offending value; a line that is at fault as a whole shows none, or itself."""
    return None if row["path"] == "$" and row["reason"] == "not_an_object" else shown(row["value"])


def exact(values: Iterable[Any]) -> tuple[Any, ...]:
    """Values that are equal only when they are the same: 1, 1.0 and True differ (0.0 and -0.0 are one number)."""
    return tuple(
        repr(value) if isinstance(value, bool) else repr(value or 0.0) if isinstance(value, float) else value
        for value in values
    )


def shown(value: str | None) -> str | None:
    """An offending value without the spaces of its JSON, its numbers by their digits."""
    if value is None or value[:1] not in ("{", "["):
        return value
    try:
        return json.dumps(json.loads(value, parse_float=str, parse_int=str, parse_constant=str))
    except ValueError:
        return value


def rounded(rows: Table) -> Table:
    """Table rows in an order of their own."""
    return sorted(rows, key=lambda row: [(value is not None, str(value)) for value in row.values()])


def same_tables(ours: Table, theirs: Table) -> None:
    """Both tables hold the same rows, as multisets; doubles to a relative 1e-9 (semantics 10.1)."""
    left, right = rounded(ours), rounded(theirs)
    assert len(left) == len(right)
    for mine, other in zip(left, right, strict=True):
        assert mine.keys() == other.keys()
        for name, value in mine.items():
            if isinstance(value, float) and isinstance(other[name], float | int):
                assert math.isclose(value, other[name], rel_tol=1e-9), (name, mine, other)
            else:
                assert value == other[name], (name, mine, other)
                assert type(value) is type(other[name]), (name, mine, other)
