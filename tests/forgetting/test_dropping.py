"""The drop rule: records of who is forgotten, in every format, whatever the value's type."""

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from sojourn.ledger import Ledger
from sojourn.pipeline import STREAM_FIELDS, Field, Source
from sojourn.reading import land, readers, sources
from sojourn.reading.forgotten import Forgotten, form_of, hashes_of
from sojourn.reading.inputs import resolve

KEY = bytes(range(32))
FIELDS = {
    "occurred_at": Field(path="at", type="time", required=True),
    "actor": Field(path="who"),
    "note": Field(path="note"),
}


def who(*actors: str, pipeline: str = "") -> Forgotten:
    """The actors, forgotten."""
    return Forgotten(KEY, {pipeline: frozenset(one for actor in actors for one in hashes_of(KEY, actor, pipeline))})


def landed(
    path: Path, source: Source, forgotten: Forgotten, monkeypatch: pytest.MonkeyPatch
) -> tuple[Ledger, list[dict[str, Any]], list[dict[str, Any]]]:
    """The ledger, the events and the rejects of a file, read in this process."""
    monkeypatch.setattr(land, "in_processes", readers.in_this_process)
    landing = readers.Landing("events", source, path.parent / "landed", None, forgotten)
    given = land.land(resolve([str(path)], source.format, "events"), landing, progress=lambda _: None)
    events = [row for part in given.parts if part.rows for row in rows(landing.event_file(part.number))]
    rejects = [row for part in given.parts if part.rejects for row in rows(landing.reject_file(part.number))]
    assert sum(part.rows for part in given.parts) == len(events)
    return given.ledgers()[0], events, rejects


def rows(path: Path) -> list[dict[str, Any]]:
    """The rows of a Parquet file."""
    found: list[dict[str, Any]] = pq.read_table(path).to_pylist()
    return found


def test_text_is_text(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Numbers by their digits; nobody else, and no null; what breaks the contract is not kept either."""
    records = ['"42"', "42", '"042"', "4200", "null", '""', '"\\u0034\\u0032"', '"ann"']
    path = tmp_path / "a.jsonl"
    text = [f'{{"at": "2024-01-01T10:00:00", "who": {actor}}}' for actor in records]
    text += ['{"at": "42", "who": "x"}', '{"at": "then", "who": 42}', '{"who": "x", "note": "page 42"}', '{"who": 42']
    path.write_text("\n".join(text))
    ledger, events, rejects = landed(path, Source(fields=FIELDS), who("42"), monkeypatch)
    assert [row["actor"] for row in events] == ["042", "4200", None, "", "ann"]
    assert [row["raw"] for row in rejects] == [b'{"who": "x", "note": "page 42"}']
    assert (ledger.read, dict(ledger.dropped), dict(+ledger.quarantined)) == (
        12,
        {"forgotten": 6},
        {"missing_field": 1},
    )


@pytest.mark.parametrize(("kind", "given"), [("integer", "042"), ("number", "4.2e1")])
def test_numbers_are_compared_as_numbers(
    kind: Any, given: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However somebody writes them."""
    path = tmp_path / "a.csv"
    path.write_text("at,who,note\n" + "".join(f"2024-01-01T10:00:00,{who},x\n" for who in ("42", "0042", "43", "")))
    source = Source(format="csv", fields={**FIELDS, "actor": Field(path="who", type=kind)})
    ledger, events, _ = landed(path, source, who(given), monkeypatch)
    assert [row["actor"] for row in events][-2:] == [43, None]
    assert ledger.dropped["forgotten"] >= 1


@pytest.mark.parametrize(
    "column",
    [
        pa.array(["ann", "bob", None]),
        pa.array(["ann", "bob", None]).dictionary_encode(),
        pa.array(["ann", "bob", None], pa.large_string()),
    ],
    ids=["text", "dictionary", "large"],
)
def test_columns_of_parquet(column: pa.Array, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Text in each of its forms."""
    path = tmp_path / "a.parquet"
    times = pa.array(["2024-01-01T10:00:00"] * 3)
    pq.write_table(pa.table({"at": times, "who": column, "note": times}), path)
    ledger, events, _ = landed(path, Source(format="parquet", fields=FIELDS), who("ann"), monkeypatch)
    assert [row["actor"] for row in events] == ["bob", None]
    assert dict(ledger.dropped) == {"forgotten": 1}


@pytest.mark.parametrize("block", [1, 1 << 20])
def test_whole_sessions_of_streams(block: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A value in one message, in a field that does not even land, takes back what landed of the others."""
    monkeypatch.setattr(sources, "BLOCK", block)
    path = tmp_path / "a.jsonl"
    messages: list[tuple[str, int, list[dict[str, Any]]]] = [
        ("a", 1, [{"x": 1}, {"x": 2}]),
        ("b", 1, [{"x": "\u0061nn"}]),
        ("b", 2, [{"x": 3}]),
        ("a", 2, [{"deep": [{"er": {"x": "ann"}}]}]),
        ("c", 1, [{"ann": "x", "note": "ann was here", "y": '["bob"]'}]),
        ("bob", 1, [{"x": 1}]),
        ("d", 1, [{"x": '{"is": "ann"}'}]),
    ]
    entries = [
        {"session_id": name, "seq": seq, "events": [{"type": "EVENT", "timestamp": 1, "name": "n", **it} for it in its]}
        for name, seq, its in messages
    ]
    broken = [
        '{"session_id": "e", "seq": 1, "events": [{"type": "EVENT", "timestamp": 1, "name": 5, "x": "ann"}]}',
        '"',
    ]
    path.write_text("\n".join([broken[1], *map(json.dumps, entries), broken[0]]))
    source = Source(format="streams", fields=STREAM_FIELDS)
    ledger, events, rejects = landed(path, source, who("ann"), monkeypatch)
    assert {row["session_id"] for row in events} == {"c", "bob"}
    assert [row["raw"] for row in rejects] == [b'"']
    assert (ledger.read, dict(ledger.dropped), dict(+ledger.quarantined)) == (10, {"forgotten": 7}, {"invalid_json": 1})


def test_a_hash_is_of_one_kind_and_pipeline() -> None:
    """So that no list of names could be tried without the key, and 42 in one pipeline is nobody in another."""
    everywhere, here = hashes_of(KEY, "42", ""), hashes_of(KEY, "42", "shop")
    assert (len(everywhere), len(here & everywhere)) == (3, 0)
    assert hashes_of(KEY[::-1], "42", "") & everywhere == set()
    assert len(hashes_of(KEY, "ann", "")) == 1
    assert [form_of("042", kind) for kind in ("text", "integer", "number")] == ["042", "42", None]
