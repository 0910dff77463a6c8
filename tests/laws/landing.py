"""Landing in this process alone: quick, and without forking a test."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.parquet as pq

from sojourn.reading import land
from sojourn.reading.block import REJECTS, Block
from sojourn.reading.readers import Landing

if TYPE_CHECKING:
    from pathlib import Path

    from sojourn.pipeline import Source
    from sojourn.reading.inputs import Input


def landed(inputs: list[Input], source: Source, folder: Path) -> tuple[list[list[Block]], list[str]]:
    """What landing gives of each input, part by part as blocks, and each input's digest of content."""
    shutil.rmtree(folder, ignore_errors=True)
    landing = Landing("events", source, folder)
    whole = land.land(inputs, landing, progress=lambda _: None)
    before = whole.lines_before()
    found: list[list[Block]] = [[] for _ in inputs]
    for part in whole.parts:
        blocks = found[part.input_number]
        assert before[part.number] == sum(block.lines for block in blocks)
        events = _read(landing.event_file(part.number), list(source.fields))
        rejects = _read(landing.reject_file(part.number), REJECTS.names)
        assert (part.rows, part.rejects) == (events.num_rows, rejects.num_rows)
        blocks.append(Block(events, rejects, part.ledger, part.lines))
    return found, whole.contents()


def _read(path: Path, names: list[str]) -> pa.Table:
    return pq.read_table(path) if path.exists() else pa.table({name: [] for name in names})
