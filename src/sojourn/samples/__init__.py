"""Seeded sample data for every pipeline: the demo, the tests and the benchmarks share it.

    python -m sojourn.samples {webshop,activity,pageviews,devices,live} --lines N --seed S [--clean] [-o FILE]

The same pipeline, seed and number of lines give the same bytes. The site, its visitors and their ways are
invented. `write` tells what it spoiled, by the reason that a run has to give (semantics 1.2), so that a
ledger can be checked against it. Devices come with a second file, the list of servers: for `FILE.csv` it is
`FILE-servers.csv`; standard output gets the events alone.
"""

from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from itertools import islice
from pathlib import Path
from random import Random
from tempfile import TemporaryFile
from typing import BinaryIO

from sojourn.samples import activity, devices, live, pageviews, webshop
from sojourn.samples.chance import Rnd
from sojourn.samples.trouble import Shape, plan, spoiled

BLOCK = 100_000  # records that are held in memory at once; larger files are shuffled by way of the disk
SHAPES: dict[str, Shape] = {
    "webshop": webshop.SHAPE,
    "activity": activity.SHAPE,
    "pageviews": pageviews.SHAPE,
    "devices": devices.SHAPE,
    "live": live.SHAPE,
}
PIPELINES = tuple(SHAPES)


def stream(
    pipeline: str, out: BinaryIO, *, lines: int, seed: int, dirty: bool = True, folder: Path | None = None
) -> dict[str, int]:
    """Write *lines* lines of events to *out*; large files are shuffled in *folder*. Gives what `write` gives."""
    shape, rng, done = SHAPES[pipeline], Random(f"{pipeline} {seed}"), Counter[str]()
    todo = plan(Random(f"trouble {seed}"), shape, lines) if dirty else []
    records = islice(spoiled(shape.records(rng.random, lines), todo, shape.whole, done), lines)
    if shape.is_shuffled:
        chunks = _shuffled(records, lines, Random(f"order {seed}").random, folder)
    else:
        chunks = map(_encode, _blocks(records, 10_000))
    out.writelines(chunks)
    return dict(done)


def write(pipeline: str, path: Path, *, lines: int, seed: int, dirty: bool = True) -> dict[str, int]:
    """Write a sample of *lines* lines for *pipeline* to *path*.

    Gives the trouble in it, counted as the ledger of a first run has to count it: reasons of quarantine,
    `blank`, `duplicate`, and `conflicting` (of the duplicates, those with another time).
    Kinds that do not occur are left out. Without *dirty* there is no trouble. A pipeline with a second source
    gets its file too, see `sources`.
    """
    if (beside := SHAPES[pipeline].beside) is not None:
        name, records = beside
        sources(pipeline, path)[name].write_text("".join(records()), encoding="utf-8")
    with path.open("wb") as out:
        return stream(pipeline, out, lines=lines, seed=seed, dirty=dirty, folder=path.parent)


def sources(pipeline: str, path: Path) -> dict[str, Path]:
    """The files that `write` makes for *path*, by the source that each is for."""
    beside = SHAPES[pipeline].beside
    return {"events": path} | ({beside[0]: path.with_name(f"{path.stem}-{beside[0]}.csv")} if beside else {})


def _blocks(records: Iterator[str], size: int) -> Iterator[list[str]]:
    while block := list(islice(records, size)):
        yield block


def _shuffled(records: Iterator[str], lines: int, rnd: Rnd, folder: Path | None) -> Iterator[bytes]:
    """All records out of order: first dealt to heaps on disk one by one, then shuffled heap by heap."""
    with ExitStack() as files:
        many = 1 + min(lines // BLOCK, 120)
        heaps = [files.enter_context(TemporaryFile(dir=folder)) for _ in range(many)]
        for block in _blocks(records, BLOCK):
            for number, heap in enumerate(heaps):
                heap.write(_encode(block[number::many]))
        for heap in heaps:
            heap.seek(0)
            shuffled = heap.read().split(b"\n")[:-1]
            shuffled.sort(key=lambda _: rnd())
            yield b"\n".join([*shuffled, b""])


def _encode(records: Iterable[str]) -> bytes:
    return "".join(records).encode("utf-8", "surrogateescape")
