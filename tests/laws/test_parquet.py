"""Parquet: typed columns become the events that the same values in JSON lines become (semantics 1.2, 1.5, 2.1)."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any

import msgspec
import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from sojourn.pipeline import Field, Source
from sojourn.reading.jsonl import JsonLines
from sojourn.reading.parquet import ParquetRows
from tests.laws.adapt import differing, rejects_of, rows_of
from tests.laws.effort import each, examples

instants = st.datetimes() | st.datetimes().map(lambda moment: moment.replace(year=2021, month=3, day=28))
texts = st.sampled_from(
    [*each("x 12 -1 1.5 1e3 true null 1524900000 2022-04-28T07:38:46 2021-03-28T02:30:00+02:00"), "", "é"]
)
whole = st.sampled_from([0, 1, 12, -1, (1 << 31) - 1, 1524900000]) | st.integers(-(1 << 31), (1 << 31) - 1)
COLUMNS: dict[str, tuple[pa.DataType, st.SearchStrategy[Any]]] = {
    "text": (pa.string(), texts),
    "large": (pa.large_string(), texts),
    "coded": (pa.dictionary(pa.int32(), pa.string()), texts),
    "whole": (pa.int64(), whole | st.integers(-(1 << 63), (1 << 63) - 1)),
    "small": (pa.int32(), whole),
    "double": (
        pa.float64(),
        st.sampled_from([0.0, 1.0, 1.5, -1.0, 12.0, 1e16, 1e-7, 0.1, 1524900000.5])
        | st.floats(allow_nan=False, allow_infinity=False),
    ),
    "flag": (pa.bool_(), st.booleans()),
    "lists": (pa.list_(pa.string()), st.lists(st.sampled_from(["a", "b ", "b,a", "", None]), max_size=3)),
    "numbers": (pa.list_(pa.int64()), st.lists(st.sampled_from([0, -1, 7, None]), max_size=2)),
    "nothing": (pa.null(), st.none()),
    "local": (pa.timestamp("us"), instants),
    "utc": (pa.timestamp("us", "UTC"), instants),
    "absent": (pa.null(), st.none()),
}


@st.composite
def declared(draw) -> Field:
    """A field of any type over any column."""
    kind = draw(st.sampled_from(["text", "integer", "number", "boolean", "time", "labels"]))
    column = draw(st.sampled_from(sorted(COLUMNS)))
    values: dict[str, tuple[str | float, ...]] = {"text": ("x", "12"), "integer": (12, -1), "number": (1.5, 12)}
    formats = draw(st.sampled_from([(), ("epoch_s",), ("iso", "epoch_ms"), ("%Y-%m-%dT%H:%M:%S",)]))
    return Field(
        path=column,
        type=kind,
        required=draw(st.booleans()),
        values=values.get(kind, ()) if draw(st.integers(0, 3)) == 0 else (),
        # what is an instant already needs no format
        formats=formats if kind == "time" and column not in ("local", "utc") else (),
    )


@st.composite
def cases(draw) -> tuple[Source, dict[str, list[Any]]]:
    """A contract, and a few rows of every column."""
    fields = {f"f{at}": draw(declared()) for at in range(draw(st.integers(1, 4)))}
    rows = draw(st.integers(0, 6))
    values = {
        name: draw(st.lists(st.none() | kind, min_size=rows, max_size=rows)) for name, (_, kind) in COLUMNS.items()
    }
    zone = draw(st.sampled_from(["UTC", "Europe/Berlin"]))
    return Source(fields=fields, format="parquet", timezone=zone, strict=draw(st.booleans())), values


def as_json(name: str, value: Any) -> Any:
    """The value as JSON holds it: instants as ISO text, those of a zone with their offset."""
    if isinstance(value, datetime):
        return value.isoformat() + ("+00:00" if name == "utc" else "")
    return value


@examples(150)
@given(cases())
def test_parquet_is_judged_like_json(case):
    """The same values become the same events, or are refused for the same reason at the same place."""
    source, values = case
    del values["absent"]
    table = pa.table({name: pa.array(column, COLUMNS[name][0]) for name, column in values.items()})
    ours = ParquetRows(source).read(table)
    rows = [
        {name: as_json(name, value) for name, value in zip(values, row, strict=True)}
        for row in zip(*values.values(), strict=True)
    ]
    theirs = JsonLines(msgspec.structs.replace(source, format="jsonl")).read(
        "".join(json.dumps(row) + "\n" for row in rows).encode()
    )
    fields = list(source.fields)
    assert rows_of(ours.events.select(fields)) == rows_of(theirs.events.select(fields))
    left, right = ([reject[:3] for reject in rejects_of(block.rejects)] for block in (ours, theirs))
    assert left == right, differing(left, right)
    assert ours.ledger == theirs.ledger
