"""Kept events dealt into random parts, and tables built part by part, as so many runs would have built them."""

from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from random import Random

from sojourn.engines import duckdb as engine
from sojourn.engines.building import build
from sojourn.engines.duckdb import parquet, quote
from sojourn.engines.relations import EventFile
from sojourn.pipeline import Pipeline

MOST_PARTS = 4
_PLACES = 1 << 30


def cut(
    pipeline: Pipeline, files: Sequence[EventFile], folder: Path, chance: Random, until: int | None, memory: int | None
) -> tuple[Path, list[int]]:
    """A snapshot over *files*, made increment by increment, and the rows of each part.

    How many parts there are, how large they are and which row goes where is up to *chance*; so is the order in a part.
    """
    parts = _deal(files, folder, chance, memory)
    snapshot: Path | None = None
    kept: list[EventFile] = []
    for number, (fresh, _) in enumerate(parts):
        base, snapshot = snapshot, folder / f"{number}.duckdb"
        build(pipeline, [*kept, *fresh], snapshot, memory, folder / "spill", until, base=base)
        if base is not None:
            base.unlink()
        kept += [replace(file, part=None) for file in fresh]
    assert snapshot is not None, "there is at least one part"
    return snapshot, [rows for _, rows in parts]


def _deal(
    files: Sequence[EventFile], folder: Path, chance: Random, memory: int | None
) -> list[tuple[list[EventFile], int]]:
    """Write the rows of *files* into random parts of random sizes: a file for each source of each part."""
    count, salt = chance.randint(2, MOST_PARTS), chance.getrandbits(32)
    bounds = [0, *sorted(chance.randrange(_PLACES) for _ in range(count - 1)), _PLACES]
    parts: list[tuple[list[EventFile], int]] = []
    with engine.connect(memory, folder / "spill") as connection:
        for number, (low, high) in enumerate(pairwise(bounds)):
            (folder / str(number)).mkdir(parents=True, exist_ok=True)
            fresh: list[EventFile] = []
            total = 0
            for source in dict.fromkeys(file.source for file in files):
                paths = parquet(file.path for file in files if file.source == source)
                path = folder / str(number) / f"{source}-000000.parquet"
                place = f"hash(hash({salt}, file_index, file_row_number)) % {_PLACES}"
                rows = f"select * exclude (_place) from (select *, {place} as _place from {paths})"
                within = f"_place >= {low} and _place < {high} order by _place"
                written = connection.execute(f"copy ({rows} where {within}) to {quote(str(path))} (format parquet)")
                if here := int(written.fetchall()[0][0]):
                    fresh.append(EventFile(path, source, len(fresh), name=f"{number}/{path.name}"))
                    total += here
            parts.append((fresh, total))
    return parts
