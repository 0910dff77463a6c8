"""CSV: what is exported reads back as the tables, and what is read from CSV is what JSON lines would give."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sojourn.pipeline import Csv, Field, Source
from sojourn.reading import land
from sojourn.reading.csv import CsvLines
from sojourn.reading.jsonl import JsonLines
from sojourn.reading.readers import in_this_process
from tests.laws.adapt import differing, pipeline_of, rejects_of, rounded, rows_of
from tests.laws.damage import spoil
from tests.laws.effort import EFFORT, each, examples, seeded, some_examples
from tests.laws.homes import STATISTICS, Home, expected_tables
from tests.laws.pipelines import PIPELINES
from tests.laws.records import lines
from tests.reference import process

ORDERED = ("user_activity", "hourly_activity", "transitions", "pages", "session_durations_by_referrer")
INSTANTS = ("started_at", "ended_at", "time_stamp", "first_seen")
_CELL = re.compile(r'(?:"((?:[^"]|"")*)"|([^",\n]*))(,|\n)')


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder for homes, and no other process beside this one."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(land, "in_processes", in_this_process)
        yield tmp_path_factory.mktemp("csv")


def cells(text: str, null: str) -> list[list[str | None]]:
    """CSV by its grammar: bare text equal to *null* is null, quoted text never."""
    rows: list[list[str | None]] = [[]]
    at = 0
    while at < len(text):
        found = _CELL.match(text, at)
        assert found is not None, text[at : at + 50]
        quoted, bare, end = found.groups()
        rows[-1].append(quoted.replace('""', '"') if quoted is not None else None if bare == null else bare)
        rows += [[]] if end == "\n" else []
        at = found.end()
    assert rows.pop() == []
    return rows


def written(name: str, value: Any, conventions: Csv) -> str | None:
    """A value as its cell has to show it (semantics 6.3)."""
    if name in INSTANTS:
        moment = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=value)
        return moment.strftime(conventions.time or "%Y-%m-%dT%H:%M:%S.%fZ")
    if isinstance(value, bool):
        return "true" if value else "false"
    return None if value is None else str(value)


def same_cell(cell: str | None, value: str | None) -> bool:
    """Equal as text, or as numbers."""
    return cell == value or (cell is not None and value is not None and float(cell) == float(value))


@some_examples(10)
@given(st.data())
def test_csv_gives_the_tables_back(folder, data):
    """Every exported cell reads back as its value, null and empty text told apart; rows stand in the stated order;
    writing the same tables again gives the same bytes; the manifest tells rows, bytes and digests."""
    name = data.draw(st.sampled_from(sorted(PIPELINES)))
    pipeline = PIPELINES[name]
    content = b"\n".join(data.draw(lines(name)))
    home = Home(folder / name, pipeline)
    out, again = folder / name / "out", folder / name / "again"
    home.run({"all": content}, out=out)
    tables = home.tables()
    expected = expected_tables(process([[("all", content)]], pipeline_of(pipeline)).events, pipeline)
    for table, settings in pipeline.tables.items():
        header, *rows = cells((out / f"{table}.csv").read_bytes().decode(), settings.csv.null)
        shown = [[written(key, value, settings.csv) for key, value in row.items()] for row in tables[table]]
        if table in ORDERED:
            shown = [[written(key, value, settings.csv) for key, value in row.items()] for row in expected[table]]
        named = tables[table] if table in STATISTICS else expected[table]
        assert header == list(named[0]) if named else header
        ours, theirs = (rows, shown) if table in ORDERED else (by_text(rows), by_text(shown))
        assert len(ours) == len(theirs)
        for row, other in zip(ours, theirs, strict=True):
            assert all(map(same_cell, row, other)), (table, row, other)
    home.run({"all": content}, out=again, mode="replace")
    names = sorted(path.name for path in out.glob("*.csv"))
    assert names == sorted(f"{table}.csv" for table in pipeline.tables)
    assert all((out / file).read_bytes() == (again / file).read_bytes() for file in names)
    check_manifest(out, tables)


def by_text(rows: list[list[str | None]]) -> list[list[str | None]]:
    """Rows in an order of their own."""
    return sorted(rows, key=lambda row: [(cell is not None, cell or "") for cell in row])


def check_manifest(out, tables: dict[str, list[dict[str, Any]]]) -> None:
    """Rows, bytes and SHA-256 of every file."""
    import hashlib

    manifest = json.loads((out / "manifest.json").read_text())["tables"]
    for table, entry in manifest.items():
        content = (out / entry["file"]).read_bytes()
        assert (entry["rows"], entry["bytes"]) == (len(tables[table]), len(content))
        assert entry["sha256"] == hashlib.sha256(content).hexdigest()


texts = st.sampled_from(
    [
        *each(
            'x 12 -1 007 1.5 1e3 0.1 -0 1e999 NaN true T null NULL a,b a"b "" é \U0001f600 \' a;b 2022-04-28T07:38:46'
        ),
        *each(
            "2022-04-28 1524900000 9223372036854775807 9223372036854775808 12345678901234567890 0.1234567890123456789"
        ),
        *("2022-04-28 07:38:46.5Z", "28/04/2022 07:38:46", "", " x ", "12 ", "\x00", "\t", "\r", "x\ry", "1" * 400),
        *(None, None, None),
    ]
)
COLUMNS = ["a", "b", "c", "d.e"]


@st.composite
def csv_sources(draw) -> Source:
    """A contract over a few columns."""
    fields = {}
    values: dict[str, tuple[str | float, ...]] = {"text": ("x", "12"), "integer": (12, -1), "number": (1.5, 12)}
    for at in range(draw(st.integers(1, 4))):
        kind = draw(st.sampled_from(["text", "text", "integer", "number", "time", "labels"]))
        fields[f"f{at}"] = Field(
            path=draw(st.sampled_from([*COLUMNS, "absent"])),
            type=kind,
            required=draw(st.booleans()),
            values=values.get(kind, ()) if draw(st.integers(0, 3)) == 0 else (),
            formats=draw(st.sampled_from([(), ("%d/%m/%Y %H:%M:%S",), ("epoch_s",), ("iso", "epoch_ms")]))
            if kind == "time"
            else (),
        )
    return Source(
        fields=fields,
        format="csv",
        timezone=draw(st.sampled_from(["UTC", "Europe/Berlin"])),
        delimiter=draw(st.sampled_from([",", ";"])),
    )


def cell(value: str | None, delimiter: str, rng: Random) -> str:
    """One value as CSV: quoted where it must be, or anyway."""
    if value is None:
        return ""
    if value == "" or rng.random() < 0.2 or any(char in value for char in (delimiter, '"', "\r")):
        return '"' + value.replace('"', '""') + '"'
    return value


@examples(200)
@given(csv_sources(), st.lists(st.tuples(*[texts] * len(COLUMNS)), max_size=8), st.integers(0, 1 << 32))
def test_csv_is_judged_like_json_text(source, rows, seed):
    """The same texts in CSV cells and as JSON strings become the same events, or are refused for the same reason at the
    same place with the same value (semantics 1.2, 1.5)."""
    rng = Random(seed)
    # a line of nothing but white space is no record in CSV; one more column, which nobody reads, is never empty
    table = [(*row, "z") for row in rows]
    data = "".join(
        source.delimiter.join(cell(value, source.delimiter, rng) for value in row) + rng.choice(("\n", "\r\n"))
        for row in table
    )
    ours = CsvLines(source).read(data.encode(), (*COLUMNS, "last"))
    paths = {name: msgspec.structs.replace(field, path=(field.path,)) for name, field in source.fields.items()}
    as_json = Source(fields=paths, timezone=source.timezone)
    lines = "".join(json.dumps(dict(zip((*COLUMNS, "last"), row, strict=True))) + "\n" for row in table)
    theirs = JsonLines(as_json).read(lines.encode())
    fields = list(source.fields)
    assert rows_of(ours.events.select(fields)) == rows_of(theirs.events.select(fields))
    left, right = ([reject[:4] for reject in rejects_of(block.rejects)] for block in (ours, theirs))
    assert left == right, differing(left, right)
    assert ours.ledger == theirs.ledger


def test_spoiled_csv_lines_end_alone():
    """No bytes make the reader of CSV fail; each line is counted once and ends as it would end alone."""
    rng, seed = seeded("spoiled csv")
    source = Source(
        fields={
            "event_id": Field(path="id", required=True),
            "occurred_at": Field(path="at", type="time", required=True),
            "n": Field(path="n", type="number"),
            "flag": Field(path="flag", type="boolean"),
            "actor": Field(path="who"),
        },
        format="csv",
        max_record="300B",
    )
    header = ("id", "at", "n", "flag", "who")
    good = [
        b"4,2022-04-28T07:38:46,2,t,a\rb",
        b"1,2022-04-28T07:38:46,1.5,true,a",
        b'"2",2022-04-28 07:38:46Z,,F,"x, ""y"""',
        b"3,2022-04-28T07:38:46.5+02:00,-0,1,",
    ]
    reader = CsvLines(source)
    for _ in range(25 * EFFORT):
        block = [
            (spoil(rng.choice(good), good, rng) if rng.random() < 0.6 else rng.choice(good)).replace(b"\n", b"")
            for _ in range(20)
        ]
        together = reader.read(b"\n".join(block) + b"\n", header)
        alone = [reader.read(line + b"\n", header) for line in block]
        assert sum((rows_of(one.events) for one in alone), start=rows_of(together.events.slice(0, 0))) == rows_of(
            together.events
        ), seed
        expected = [(at, *reject[1:]) for at, one in enumerate(alone, 1) for reject in rejects_of(one.rejects)]
        assert rejects_of(together.rejects) == expected, seed
        assert together.ledger.candidates == together.events.num_rows
        assert together.lines == len(block)


@some_examples(6)
@given(st.data())
def test_exported_sessions_read_as_a_source(folder, data):
    """CSV that Sojourn wrote is CSV that Sojourn reads: of the exported sessions each is one event with its values."""
    name = data.draw(st.sampled_from(["pageviews", "views_with_names"]))
    content = b"\n".join(line for line in data.draw(lines(name)) if b"\\n" not in line)  # a record is one line
    home = Home(folder / "there", PIPELINES[name])
    home.run({"all": content}, out=folder / "there" / "out")
    fields = {
        "session_key": Field(path="session_id", required=True),
        "occurred_at": Field(path="started_at", type="time", required=True),
        "url": Field(path="landing_page"),
        "actor": Field(path="actor"),
        "n": Field(path="session_number", type="integer"),
        "seconds": Field(path="duration_seconds", type="number"),
        "bounced": Field(path="bounced", type="boolean"),
    }
    source = Source(fields=fields, format="csv", dedupe="off")
    header, _, rest = (folder / "there" / "out" / "sessions.csv").read_bytes().partition(b"\n")
    read = CsvLines(source).read(rest, tuple(header.decode().split(",")))
    assert read.rejects.num_rows == 0
    names = {
        "session_key": "session_id",
        "occurred_at": "started_at",
        "url": "landing_page",
        "n": "session_number",
        "seconds": "duration_seconds",
    }
    ours = rounded(read.events.select(list(fields)).to_pylist())
    theirs = rounded([{key: row[names.get(key, key)] for key in fields} for row in home.tables()["sessions"]])
    assert ours == theirs
