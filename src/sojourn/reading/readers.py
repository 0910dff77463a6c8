"""Readers turn tasks into Parquet files of events and of rejects: here, in processes, or where somebody else decides.

What a reader reads with (one contract, one folder) belongs to its process.
"""

import gc
import multiprocessing
import os
import signal
import sys
import time
import uuid
from collections.abc import Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from threading import Thread

import pyarrow as pa
import pyarrow.compute as pc

from sojourn.errors import SojournError
from sojourn.ledger import Ledger
from sojourn.pipeline import Source
from sojourn.reading.again import Again, restored
from sojourn.reading.block import Block
from sojourn.reading.csv import CsvLines
from sojourn.reading.forgotten import NOBODY, Forgotten, without
from sojourn.reading.jsonl import JsonLines
from sojourn.reading.parquet import ParquetRows
from sojourn.reading.sources import Task, blocks
from sojourn.reading.streams import StreamLines
from sojourn.reading.urls import derive
from sojourn.reading.writing import Writer
from sojourn.signals import held


@dataclass(frozen=True)
class Part:
    """What one task gave. *rows* events lie in the file named after the task, if any.

    *sessions*: those of streams in which somebody who is forgotten was found. *tail*: the bytes of a last line without
    a line break, where the part is of that line.
    """

    number: int
    input_number: int
    bytes_in: int
    ledger: Ledger
    lines: int
    rows: int
    rejects: int
    digests: bytes
    sessions: frozenset[str] = frozenset()
    tail: int = 0


@dataclass(frozen=True)
class Landing:
    """What every task of one source is read with: its *name* and contract, and the folder to write to.

    Events after *until* (epoch microseconds) are dropped, and records of who is *forgotten*. *memory*: bytes for all
    that read here, and for who began them.
    """

    name: str
    source: Source
    folder: Path
    until: int | None = None
    forgotten: Forgotten = NOBODY
    memory: int | None = None

    def event_file(self, number: int) -> Path:
        """The file with the events of task *number*."""
        return self.folder / f"{self.name}-{number:06d}.parquet"

    def reject_file(self, number: int) -> Path:
        """The file with the rejects of task *number*."""
        return self.folder / f"rejects-{self.name}-{number:06d}.parquet"


_READER, _BEGINNER = 120_000_000, 130_000_000  # of a process, without the pages that all of them share


def workers_of(landing: Landing) -> int:
    """As many readers as there are processors, where memory does not say fewer."""
    cores = os.cpu_count() or 1
    if landing.memory is not None:
        cores = min(cores, (landing.memory - _BEGINNER) // _READER)
    return max(1, cores)


def in_this_process(todo: Iterable[Task], landing: Landing) -> Iterator[Part]:
    """Parts of tasks, one after the other."""
    _begin(landing)
    return map(read_task, todo)


def in_processes(todo: Iterator[Task], landing: Landing) -> Iterator[Part]:
    """Parts of tasks as processes of this machine are done with them.

    At most two tasks a process are under way, so that streams are not read ahead.
    """
    workers = workers_of(landing)
    method = "fork" if sys.platform == "linux" else "spawn"
    context = multiprocessing.get_context(method)
    pool = ProcessPoolExecutor(workers, context, _begin_process, (landing,))
    try:
        under_way = {_begun(pool, task) for task in islice(todo, workers * 2)}
        while under_way:
            done, under_way = wait(under_way, return_when=FIRST_COMPLETED)
            under_way |= {_begun(pool, task) for task in islice(todo, len(done))}
            for future in done:
                yield future.result()
    except BrokenProcessPool as error:
        raise SojournError(
            "reader_died",
            "a reading process was ended from outside (out of memory?); nothing was published",
        ) from error
    finally:
        pool.shutdown(cancel_futures=True)


def _begun(pool: ProcessPoolExecutor, task: Task) -> "Future[Part]":
    """The part of *task* to come. A pool that is broken off while it starts a process, or notes a task, never ends."""
    with held():
        return pool.submit(read_task, task)


def read_apart(landing: Landing, task: Task) -> Part:
    """Read one task where somebody else decides, who may begin it twice: files come into place when they are whole."""
    gc.disable()
    attempt = landing.folder / f"attempt-{uuid.uuid4().hex}"
    attempt.mkdir(parents=True)
    _begin(replace(landing, folder=attempt))
    part = read_task(task)
    for path in attempt.iterdir():
        path.replace(landing.folder / path.name)
    attempt.rmdir()
    return part


def read_task(task: Task) -> Part:
    """Read one task in this process, which `_begin` has made ready."""
    ledger, lines, rows, rejects = Ledger(), 0, 0, 0
    digests, sessions = bytearray(task.digests), frozenset[str]()
    events = Writer(_landing.event_file(task.number), "lz4", lambda table: derive(table, _landing.source))
    refused = Writer(_landing.reject_file(task.number), "zstd")
    for fresh, skipped, read in _blocks(task):
        digests += fresh
        lines += skipped
        if read is None:
            continue
        if read.rejects.num_rows:
            moved = pc.add(read.rejects["line"], lines)
            if task.places:
                moved = pc.take(pa.array(task.places), pc.subtract(moved, 1))
            refused.write(read.rejects.set_column(0, "line", moved))
        kept = _observed(read)
        events.write(kept)
        ledger.add(read.ledger)
        lines += read.lines
        rows += kept.num_rows
        rejects += read.rejects.num_rows
        sessions |= read.sessions
    events.close()
    refused.close()
    lines = 0 if task.places else lines  # a place in a journal counts from its beginning already
    tail = task.end - task.start if task.is_tail else 0
    return Part(
        task.number, task.input_number, task.bytes_in, ledger, lines, rows, rejects, bytes(digests), sessions, tail
    )


def _observed(read: Block) -> pa.Table:
    """The events of a block without those after the end of observation, which its ledger counts."""
    if _landing.until is None:
        return read.events
    kept = read.events.filter(pc.less_equal(read.events["occurred_at"], _landing.until))
    if kept.num_rows < read.events.num_rows:
        read.ledger.dropped["after_until"] += read.events.num_rows - kept.num_rows
    return kept


Reader = JsonLines | CsvLines | ParquetRows | StreamLines
_READERS: dict[str, type[Reader]] = {
    "jsonl": JsonLines,
    "csv": CsvLines,
    "parquet": ParquetRows,
    "streams": StreamLines,
}
_reader: Reader
_landing: Landing


def _begin(landing: Landing) -> None:
    """Make this process ready to read tasks: one contract, one folder."""
    global _reader, _landing  # noqa: PLW0603 - a pool's initializer has no other place to put it
    _reader = _READERS[landing.source.format](landing.source)
    _landing = landing


def _begin_process(landing: Landing) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C goes to all of us: the run alone answers it
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    Thread(target=_end_with_parent, daemon=True).start()
    gc.disable()  # decoded records hold no cycles; looking for some doubles the time
    pa.set_cpu_count(1)
    _begin(landing)


def _end_with_parent() -> None:
    """End this process once the run that began it is gone: it would hold the home's lock for good."""
    parent = multiprocessing.parent_process()
    while parent is not None and os.getppid() == parent.pid:
        time.sleep(0.2)
    os._exit(1)


def _blocks(task: Task) -> Iterator[tuple[bytes, int, Block | None]]:
    """A task's content block by block: digests of its units, lines that are no records, and what was read."""
    if isinstance(task, Again):
        yield b"", 0, without(_again(task), task.content or b"", _landing.source, _landing.forgotten)
        return
    if isinstance(_reader, ParquetRows):
        assert task.input.path is not None, "checked before"
        for read in _reader.blocks(task.input.path, task.input.name):
            yield b"", 0, without(read, b"", _landing.source, _landing.forgotten)
        for digested, _ in blocks(task):
            yield digested, 0, None
        return
    header_line = task.has_header_line
    for digested, block in blocks(task):
        yield digested, 0, None
        lines = block
        if header_line and block:
            lines = block[block.find(b"\n") + 1 :] if b"\n" in block else b""
            yield b"", 1, None
            header_line = False
        if lines:
            read = _reader.read(lines, task.header) if isinstance(_reader, CsvLines) else _reader.read(lines)
            yield b"", 0, without(read, lines, _landing.source, _landing.forgotten)


def _again(task: Again) -> Block:
    """Records that were read before, judged by the contract of now."""
    content = task.content or b""
    match _reader:
        case CsvLines():
            return _reader.read(content, task.header)
        case ParquetRows():
            return _reader.read(restored(content, task.header))
        case StreamLines():
            return _reader.read_again(content, task.positions)
        case JsonLines():
            return _reader.read(content)
