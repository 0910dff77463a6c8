"""A file that grows in any steps gives what one run over all of it gives (semantics 1.3, 1.4, 3.3, 10)."""

from __future__ import annotations

from collections import Counter
from contextlib import nullcontext, suppress
from pathlib import Path
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sojourn import run
from sojourn.errors import UsageError
from sojourn.loading import load
from sojourn.reading import known, land, sources
from sojourn.reading.inputs import resolve
from sojourn.reading.readers import in_this_process
from tests.laws.adapt import rounded
from tests.laws.effort import some_examples
from tests.laws.homes import Home
from tests.laws.pipelines import PIPELINES, written
from tests.laws.records import lines
from tests.laws.test_streams import message

ROWS = written(
    "rows",
    """
    [source.events]
    format = "csv"
    dedupe = "off"
    [source.events.fields]
    occurred_at = { path = "at", required = true }
    actor       = "who"
    url         = "page"
    [sessions]
    rule = "gap"
    """,
)
NAMED = written(
    "named",
    """
    [source.events]
    format = "csv"
    dedupe = "record"
    columns = ["at", "who", "page"]
    [source.events.fields]
    occurred_at = { path = "at", required = true }
    actor       = "who"
    url         = "page"
    [sessions]
    rule = "gap"
    """,
)
LIVE = load("live")
KINDS = {
    "webshop": PIPELINES["webshop"],
    "activity": PIPELINES["activity"],
    "off": PIPELINES["shop_without_id"],
    "rows": ROWS,
    "named": NAMED,
    "live": LIVE,
}
CELLS = [
    b"2022-03-01T10:00:00",
    b"2022-03-01 10:00:00.5",
    b"never",
    b"",
    b"c",
    "é".encode(),
    b'"a, ""b"""',
    b'"open',
    b" ",
]
CELLS += [b"/a", b"\xff", b"x\ry"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder for homes, and no other process beside this one."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(land, "in_processes", in_this_process)
        patch.setattr(land, "refuse_documents", lambda _: None)  # the beginning of a line may look like a document
        yield tmp_path_factory.mktemp("growing")


@st.composite
def contents(draw, kind: str) -> bytes:
    """A file of that kind: with any line breaks, with a byte-order mark, with a last line that is not finished."""
    rng = Random(draw(st.integers(0, 1 << 32)))
    if kind == "live":
        count = draw(st.integers(0, 12))
        found = [message(rng, rng.choice("ab"), rng.randrange(1, 5)) for _ in range(count)]
    elif kind in ("rows", "named"):
        count = draw(st.integers(0, 12))
        weights = [6, 3] + [1] * (len(CELLS) - 2)
        found = [b",".join([*rng.choices(CELLS, weights), *rng.choices(CELLS, k=2)]) for _ in range(count)]
        found = [b"at,who,page", *found] if kind == "rows" or rng.random() < 0.5 else found
    else:
        found = draw(lines(KINDS[kind].name, 12))
    breaks = draw(st.sampled_from([b"\n", b"\r\n", b"\n\n"]))
    end = draw(st.sampled_from([b"", breaks, breaks, b"\r", b" "]))
    mark: bytes = draw(st.sampled_from([b"", b"\xef\xbb\xbf"]))
    content: bytes = mark + breaks.join(found) + end
    return content


class Log:
    """A file that a pipeline reads again and again, in a home of its own."""

    def __init__(self, folder: Path, kind: str) -> None:
        self.home = Home(folder, KINDS[kind])
        self.path = folder / ("log.csv" if kind in ("rows", "named") else "log.jsonl")
        self.read: Counter[str] = Counter()
        self.withdrawn = 0

    def run(self, content: bytes, **options: Any) -> dict[str, Any]:
        """The file's entry in the report of a run over so much of it."""
        self.path.write_bytes(content)
        inputs = resolve([str(self.path)], self.home.pipeline.events.format)
        given = run.Options(**options)
        report = run.execute(self.home.pipeline, inputs, self.home.store, given, lambda _: None).report()
        entries = report["files"]
        for entry in entries:
            if not entry.get("skipped"):
                self.read["read"] += entry["read"]
                self.withdrawn += entry["notes"].get("withdrawn", 0)
        return entries[0] if entries else {}

    def tables(self) -> dict[str, list[dict[str, Any]]]:
        """What is published, as multisets."""
        return {name: rounded(rows) for name, rows in self.home.tables().items()}

    def quarantine(self) -> Counter[Any]:
        """The records in quarantine, but for the digest that they are known by."""
        rows = self.home.query("select file, line, reason, path, value, raw from sojourn.quarantine")
        return Counter((Path(row["file"]).name, *list(row.values())[1:]) for row in rows)


def ends(entry: dict[str, Any]) -> dict[str, Any]:
    """Where records ended, of a file that is read again."""
    names = ("read", "blank", "accepted", "duplicate", "dropped", "quarantined", "skipped")
    return {name: entry.get(name) for name in names}


@some_examples(5)
@given(st.data())
def test_a_file_that_grows_gives_what_one_run_gives(folder, data):
    """Cut at any bytes, within lines and characters: the same tables and quarantine; what was read in all runs, less
    what was withdrawn, is what one run reads; and reading it once more repeats the ends of one run."""
    kind = data.draw(st.sampled_from(sorted(KINDS)))
    content = data.draw(contents(kind))
    cuts = sorted(data.draw(st.lists(st.integers(0, len(content)), max_size=4)))
    whole, growing = Log(folder / "whole", kind), Log(folder / "growing", kind)
    unit = data.draw(st.sampled_from([64, 300, sources.UNIT]))
    is_waiting = data.draw(st.booleans())
    with pytest.MonkeyPatch.context() as patch:
        for module in (sources, known):
            patch.setattr(module, "UNIT", unit)
        patch.setattr(known, "_YOUNG", data.draw(st.sampled_from([0, known._YOUNG])))
        for cut in cuts:
            with suppress(UsageError) if kind == "rows" else nullcontext():  # the header is not finished yet
                growing.run(content[:cut], is_watching=is_waiting)
        one = whole.run(content)
        growing.run(content)
        assert growing.tables() == whole.tables()
        assert growing.quarantine() == whole.quarantine()
        assert growing.read["read"] - growing.withdrawn == one["read"]
        again, expected = growing.run(content), whole.run(content)
        assert again["skipped"]
        assert ends(again) == ends(expected)
        assert again["accepted"] == 0
        assert again["duplicate"] == one["accepted"] + one["duplicate"]
