"""Pipelines as text: whatever a TOML file holds, loading it gives a pipeline that runs or one sentence that helps."""

from __future__ import annotations

import json
import math
import tomllib
from datetime import date, datetime, time
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sojourn import export
from sojourn.balancing import Run, event_files
from sojourn.engines import building as engine
from sojourn.errors import UsageError
from sojourn.loading import load, parse, ready_pipelines, schema_name
from sojourn.pipeline import Pipeline
from sojourn.reading import land, readers
from sojourn.reading.csv import CsvLines
from sojourn.reading.jsonl import JsonLines
from sojourn.reading.parquet import ParquetRows
from tests.laws.effort import EFFORT, each, examples, seeded
from tests.laws.pipelines import TEXTS

READY = [ready.text for ready in ready_pipelines().values()]
RAW = [tomllib.loads(text) for text in [*READY, *TEXTS.values()]]
SAMPLE = (
    b'{"id":1,"type":"x","event":{"timestamp":"2022-04-28T07:38:46","customer-id":"a"},"sessionId":"s","event_id":"1",'
    b'"timestamp":"02/03/2017 20:22:00","url":"/a","action":"x","user":{"id":5}}\n\n{"id":-0}\noops\n{}\n'
)
SCHEMAS = {
    "good": '{"type": "object"}',
    "odd": '{"type": 5}',
    "regex": '{"pattern": "("}',
    "list": "[1]",
    "text": "oops",
    "inside": '{"properties": {"id": {"$ref": "#/definitions/id"}}, "definitions": {"id": {"type": "string"}}}',
    "nowhere": '{"$ref": "#/nowhere"}',
    "far": '{"$ref": "http://127.0.0.1:9/x.json"}',
    "draft": '{"$schema": 5}',
    "old": '{"$schema": "http://json-schema.org/draft-03/schema#", "extends": {"$ref": "#/q"}}',
    "number": '{"$ref": "#/a/b", "a": 5}',
    "deep": "[" * 3000,
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Where JSON Schemas lie, good ones and bad."""
    place = tmp_path_factory.mktemp("toml")
    for name, text in SCHEMAS.items():
        (place / f"{name}.json").write_text(text)
    (place / "folder.json").mkdir()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(land, "in_processes", readers.in_this_process)
        yield place


def loaded(text: str, folder: Path) -> Pipeline | None:
    """The pipeline, or None when it is refused: by a `UsageError` of one sentence that names the file."""
    try:
        return parse(text, name="tried", where="tried.toml", folder=folder)
    except UsageError as refused:
        error = refused
    assert error.message.startswith("tried.toml")
    assert "\n" not in error.message.strip() or "TOML" in error.message
    assert error.code in ("bad_toml", "bad_pipeline")
    return None


def check_reads(pipeline: Pipeline) -> None:
    """What loads can read: good records, blank lines and broken ones, none of them fails the reader."""
    source = pipeline.events
    if source.format == "jsonl":
        assert JsonLines(source).read(SAMPLE).lines == 5
    elif source.format == "csv":
        assert CsvLines(source).read(b'1,"x"\n,\noops\n', ("id", "timestamp")).lines == 3
    else:
        rows = pa.table({"id": [1, None], "timestamp": ["x", "2022-04-28T07:38:46"]})
        assert ParquetRows(source).read(rows).lines == 2


PIECES = [
    *each("\" [ ] { } = . , # ' \\ [[ ]] 0x 1e9 inf nan true 1979-05-27 07:32:00"),
    *each("source events fields tables sessions csv gap rule"),
    *("\n", "\t", '"""', "'''", "\x00", "\u00e9", "\ufeff", "[source.events]\n", "[source]\n", "x = 1\n", "path = "),
    "[" * 500,
    "a." * 300,
]


def test_edited_files_are_refused_in_one_sentence(folder):
    """Slips of the pen anywhere in a ready file: a `UsageError`, or a pipeline that reads."""
    rng, seed = seeded("toml")
    outcomes = {True: 0, False: 0}
    for _ in range(1200 * EFFORT):
        text = rng.choice(READY)
        for _ in range(rng.choice((1, 1, 2, 4))):
            at = rng.randrange(len(text) + 1)
            piece = (
                rng.choice(PIECES)
                if rng.random() < 0.7
                else text[(start := rng.randrange(len(text))) : start + rng.randrange(30)]
            )
            text = text[:at] + piece + text[at + rng.choice((0, 0, 1, 3, 20)) :]
        try:
            pipeline = loaded(text, folder)
            if pipeline is not None:
                check_reads(pipeline)
        except Exception as error:
            error.add_note(f"seed {seed}; the text: {text}")
            raise
        outcomes[pipeline is None] += 1
    assert min(outcomes.values()) > 50  # both happen


WORDS = each(
    """30m 0s 1s 1.5h 30 -30m 99999999999999d 0.1us 1e3s UTC Europe/Berlin Europe Mars/Base ../../etc/passwd /etc/passwd
    localtime text integer number boolean time id record off anonymous bot gap key jsonl csv parquet sessions pages
    page_view placed_order event.timestamp . .. a..b .a a. $ good.json odd.json missing.json 16MiB 1B 0B 0.4B 1e9GB
    999TB MB %Y %Y-%m-%d %d/%m/%Y %Y%Y %m%d%y %b %% % iso epoch_s epoch_ns event_id occurred_at actor url
    url_page place part is_new copies _x X x-y part_ select order group null true 1"""
)
strings = st.sampled_from(
    [*WORDS, *each("é ' \" \\ ( [ (?P<x> ;"), "", " ", "\x00", "a\x00b", "\n", "\t", ", ", "x" * 300, "a" * 70]
)
scalars = (
    strings
    | st.booleans()
    | st.sampled_from([0, 1, -1, 5, 1 << 40, 1 << 63, 1 << 70, -(1 << 70), (1 << 53) + 1])
    | st.sampled_from([0.0, -0.0, 1.5, math.inf, -math.inf, math.nan, 1e308])
    | st.sampled_from([date(2022, 4, 28), datetime(2022, 4, 28, 7, 38), time(7, 38)])  # noqa: DTZ001 - TOML's own
)
values = st.recursive(
    scalars,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["path", "type", "required", "values", "formats", "csv", "null", "time", "gap", "rule", "x", ""]
            ),
            inner,
            max_size=3,
        )
    ),
    max_leaves=5,
)
words = st.sampled_from(WORDS)
whole = [0, 1, -1, 1 << 53, (1 << 53) + 1, 1 << 62, (1 << 63) - 1, 1 << 63, -(1 << 63) - 1, 1 << 70]
numbers = st.sampled_from([*whole, 1.5, 0.1, 1e308, math.inf, math.nan])
formats = st.sampled_from(
    [
        *each("iso epoch_s epoch_ms epoch_us epoch_ns %Y-%m-%d %d/%m/%Y %Y%m%d%H%M%S.%f%z %Y-%m-%dT%H:%M:%S %y%m%d"),
        *each("%Y %m-%d %b%d %Y-%m-%d%Y %Y-%m-%d(?x) %Y-%m-%d[ %Y-%m-%d%% %Q %"),
        *("", "%Y-%m-%d\n%H:%M:%S", "%Y %m %d é", "\\%Y-%m-%d %H:%M:%S$^.*+?{1}|", "%Y-%m-%d \x00 %H:%M:%S"),
    ]
)
names = st.sampled_from(
    [*WORDS, *each("page url_level1 referrer_host filename k_x copies step hour viewed _part"), "n" * 70]
)
plain: list[Any] = [*each("event.timestamp timestamp id . a..b é a'b"), "", "a" * 300, "a\x00", 'a"b', "a\\b"]
plain += [[], [""], ["id"], ["a.b", "c"], ["x"] * 200]
kinds = st.sampled_from(["text", "text", "integer", "number", "boolean", "time", "date"])
declared = st.fixed_dictionaries(
    {"type": kinds},
    optional={
        "path": st.sampled_from(plain),
        "required": st.booleans(),
        "values": st.lists(numbers | words, max_size=3)
        | st.lists(numbers, min_size=1, max_size=2)
        | st.lists(words, min_size=1, max_size=2),
        "formats": st.lists(formats, max_size=3),
    },
)
PLAUSIBLE: dict[str, st.SearchStrategy[Any]] = {
    "title": strings,
    "bucket_timezone": words,
    "source.events.format": st.sampled_from(["jsonl", "csv", "parquet"]),
    "source.events.timezone": words,
    "source.events.dedupe": st.sampled_from(["id", "record", "off"]),
    "source.events.drop": st.sampled_from([[], ["anonymous"], ["anonymous", "anonymous"], ["bot"]]),
    "source.events.strict": st.booleans(),
    "source.events.max_record": st.sampled_from(
        [*each("1B 0B 0.4B 1GiB 1.5GiB 16 9e9 -1B ٣B"), "10 kib", "9" * 400 + "B", "0." + "9" * 400 + "B"]
    ),
    "source.events.schema": st.sampled_from([*SCHEMAS, "folder", "missing", "a\x00b", "a" * 300]).map("{}.json".format),
    "source.events.delimiter": st.sampled_from([",", ";", "\t", "|", "", ",,", '"', "\n", "\x00", "é", " ", "a"]),
    "source.events.columns": st.lists(st.sampled_from(["id", "timestamp", "", "a", "b"]), max_size=4),
    "source.events.fields.occurred_at.formats": st.lists(formats, max_size=3),
    "source.events.fields.occurred_at.path": st.sampled_from(plain),
    "source.events.fields.actor": declared,
    "source.events.fields.event_id": declared,
    "source.events.fields.url": declared,
    "source.events.fields.n": declared,
    "source.events.fields.experiments": declared,
    "sessions.rule": st.sampled_from(["gap", "key"]),
    "sessions.gap": st.sampled_from(
        [
            *each("0s 1us 0.5us 30m 1.5h 9223372036854775807us 9223372036854775808us 300000d 4000000d ٣m"),
            *("9" * 30 + "d", "9" * 5000 + "s"),
        ]
    ),
    "sessions.goal": strings,
    "sessions.own_hosts": st.lists(strings, max_size=3),
    "tables.sessions.csv.null": strings,
    "tables.sessions.csv.time": st.sampled_from(
        ["%Y", "%Q", "%", "", "%d/%m/%Y %H:%M:%S", "\x00", "'", "%%", "%s", "%-d", "%f%g"]
    ),
    "tables.hourly_activity.csv.null": strings,
    "tables.transitions.gap": st.sampled_from(["0s", "15m", "9" * 30 + "d", "x"]),
    "tables.pages": st.just({}),
    "tables.user_activity": st.just({}),
    "tables.session_durations_by_referrer": st.just({}),
}
PLACES = each(
    """name source source.events source.events.fields source.events.fields.occurred_at
    source.events.fields.occurred_at.type source.events.fields.actor.type source.events.fields.n.type
    source.events.fields.n.values source.events.fields.X source.servers source.other.fields sessions tables
    tables.sessions tables.sessions.gap tables.sessions.csv tables.transitions tables.nothing nothing"""
)


@st.composite
def changes(draw) -> tuple[str, Any]:
    """A place and a value: mostly one that might stand there."""
    chance = draw(st.integers(0, 9))
    if chance == 0:
        return draw(st.sampled_from([*PLACES, *PLAUSIBLE])), draw(values)
    if chance == 1:
        return f"source.events.fields.{draw(names)}", draw(declared | words)
    place = draw(st.sampled_from(sorted(PLAUSIBLE)))
    return place, draw(PLAUSIBLE[place])


def with_value(raw: Any, place: list[str], value: Any) -> Any:
    """The TOML with one value put at a place; what stands in the way gives way."""
    if not place:
        return value
    first, *rest = place
    if isinstance(raw, str) and first in ("type", "values", "formats", "required"):
        raw = {"path": raw}  # a field in its short form
    parent = dict(raw) if isinstance(raw, dict) else {}
    return {**parent, first: with_value(parent.get(first), rest, value)}


def dumped(value: Any) -> str:
    """A value as TOML, tables inline."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{json.dumps(key)} = {dumped(part)}" for key, part in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(dumped, value)) + "]"
    if isinstance(value, str):
        return json.dumps(value).replace("\x7f", "\\u007f")
    if isinstance(value, date | time):
        return value.isoformat()
    return str(value).lower()  # numbers and booleans


def document(raw: dict[str, Any]) -> str:
    """A whole TOML file, one key a line."""
    return "".join(f"{json.dumps(key)} = {dumped(value)}\n" for key, value in raw.items())


@st.composite
def changed(draw) -> str:
    """A good pipeline with some values at some keys, wanted or not."""
    raw = draw(st.sampled_from(RAW))
    for _ in range(draw(st.sampled_from([1, 1, 1, 2, 3]))):
        place, value = draw(changes())
        raw = with_value(raw, place.split("."), value)
    return document(raw)


def test_the_writer_of_toml_writes_toml():
    """What the tests write reads back as what they meant."""
    for raw in RAW:
        assert tomllib.loads(document(raw)) == raw


@examples(600)
@given(changed())
def test_any_value_at_any_key_is_refused_or_read(folder, text):
    """Loading gives a `UsageError` or a pipeline whose reader takes good, blank and broken records."""
    pipeline = loaded(text, folder)
    if pipeline is not None:
        check_reads(pipeline)


@examples(25)
@given(changed())
def test_what_loads_can_be_computed(folder, text):
    """Every table of a pipeline that loads is made and written as CSV, over no events and over some."""
    pipeline = loaded(text, folder)
    if pipeline is None or pipeline.events.format != "jsonl":
        return
    for number, content in enumerate((b"", SAMPLE)):
        path = folder / f"sample{number}.jsonl"
        path.write_bytes(content)
        landing = readers.Landing("events", pipeline.events, folder / "events")
        landed = [land.land(land_inputs(path), landing, progress=lambda _: None)]
        files = event_files(landed, Run(pipeline.name))
        snapshot = folder / "snapshot.duckdb"
        snapshot.unlink(missing_ok=True)
        built = engine.build(pipeline, files, snapshot, None, folder / "spill")
        assert built.tables.keys() == pipeline.tables.keys()
        staged = export.stage(pipeline, "run", snapshot, None, folder / "out", "csv")
        assert {f"{name}.csv" for name in pipeline.tables} < set(staged.names)


def land_inputs(path: Path):
    """The one file as inputs."""
    from sojourn.reading.inputs import resolve

    return resolve([str(path)], "jsonl")


@examples(300)
@given(st.text(max_size=20) | strings)
def test_any_name_of_a_pipeline_is_a_schema_or_an_error(folder, name):
    """A word that names no pipeline gets one sentence; a file's name becomes a name that SQL takes."""
    stem = schema_name(name)
    assert stem.isidentifier()
    assert stem == stem.lower()
    assert len(stem) <= 48
    if name not in ready_pipelines() and not name.endswith(".toml"):
        with pytest.raises(UsageError):
            load(f"no {name}")
