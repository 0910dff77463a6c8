"""Landing: many readers turn tasks into Parquet files of events and of rejects."""

import gc
import multiprocessing
import os
import signal
import sys
import time
import uuid
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, field, replace
from itertools import chain, islice
from pathlib import Path
from threading import Thread

import pyarrow as pa
import pyarrow.compute as pc

from sojourn.errors import SojournError, UsageError
from sojourn.ledger import Ledger
from sojourn.pipeline import Source
from sojourn.reading.again import Again, restored, types_of
from sojourn.reading.block import Block
from sojourn.reading.csv import CsvLines, header_of
from sojourn.reading.documents import refuse_documents
from sojourn.reading.forgotten import NOBODY, Forgotten, withdraw, without
from sojourn.reading.inputs import Input
from sojourn.reading.jsonl import JsonLines
from sojourn.reading.known import KnownInput, Recognised, Skipped, again, digest_of
from sojourn.reading.parquet import ParquetRows
from sojourn.reading.sources import Start, Task, blocks, first_line, tasks
from sojourn.reading.streams import StreamLines
from sojourn.reading.urls import derive
from sojourn.reading.writing import Writer


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

Execute = Callable[[Iterator[Task], Landing], Iterator[Part]]
"""How tasks are read: each by `read_task`, anywhere."""


@dataclass
class Landed:
    """All parts of one source's inputs in the order of the content, and where they lie.

    *read_before*: the contents' digests, where the inputs are records of earlier ones that are read again. *headers*:
    by the number of an input, what its records cannot be read without: the columns of CSV, the types of Parquet.
    *starts*: where the inputs that were read begin, *former*: what those were before that grew, *skipped*: those that
    give nothing new; each by the number of an input.
    """

    landing: Landing
    inputs: list[Input]
    parts: list[Part] = field(default_factory=list)
    read_before: list[str] = field(default_factory=list)
    headers: dict[int, tuple[str, ...]] = field(default_factory=dict)
    starts: dict[int, Start] = field(default_factory=dict)
    former: dict[int, KnownInput] = field(default_factory=dict)
    skipped: dict[int, Skipped] = field(default_factory=dict)

    def ledgers(self) -> list[Ledger]:
        """What each input's records came to, as far as reading can tell."""
        ledgers = [Ledger() for _ in self.inputs]
        for part in self.parts:
            ledgers[part.input_number].add(part.ledger)
        for number, skipped in self.skipped.items():
            ledgers[number].add(skipped.ledger)
        for number, former in self.former.items():
            ledgers[number].notes += Counter(withdrawn=former.tail_ledger.get("read", 0))
        return ledgers

    def contents(self) -> list[str]:
        """A digest of each input's content."""
        if self.read_before:
            return self.read_before
        digests = [bytearray() for _ in self.inputs]
        for part in self.parts:
            digests[part.input_number] += part.digests
        found = map(digest_of, digests)
        return [self.skipped[at].content if at in self.skipped else read for at, read in enumerate(found)]

    def sizes(self) -> list[int]:
        """The bytes of each input's content."""
        read = [0] * len(self.inputs)
        for part in self.parts:
            read[part.input_number] += part.bytes_in
        known = {at: skipped.size for at, skipped in self.skipped.items()}
        whole = {at: given.size for at, given in enumerate(self.inputs) if not given.is_stream}
        return list(({**dict(enumerate(read)), **whole, **known}).values())

    def lines_before(self) -> dict[int, int]:
        """Part number -> lines of its input that come before it."""
        before: dict[int, int] = {}
        counts = [self.starts.get(at, Start()).lines for at in range(len(self.inputs))]
        for part in self.parts:
            before[part.number] = counts[part.input_number]
            counts[part.input_number] += part.lines
        return before


def land(
    inputs: list[Input],
    landing: Landing,
    *,
    progress: Callable[[int], None],
    found: Recognised | None = None,
    execute: Execute | None = None,
) -> Landed:
    """Read *inputs* into Parquet files; *progress* is told the bytes as they are done.

    Tasks are read by processes of this machine, or by what *execute* is.

    Of inputs of which something was *found* to be known only the rest is read, and what turns out to be known when it
    is read is discarded.
    """
    source = landing.source
    found = found or Recognised(inputs, {at: Start() for at in range(len(inputs))})
    read = [inputs[at] for at in found.starts]
    skipped = {at: Skipped(one.content, one.size, again(one.ledger), one) for at, one in found.skipped.items()}
    landed = Landed(landing, inputs, starts=found.starts, former=found.former, skipped=skipped)
    progress(sum(inputs[at].size for at in skipped) + sum(start.offset for start in found.starts.values()))
    todo: Iterator[Task]
    if source.format == "parquet":
        wanted = {declared.keys("parquet")[0] for declared in source.fields.values()}
        landed.headers |= zip(found.starts, (types_of(given, wanted) for given in _files_only(read)), strict=True)
        todo = (Task(at, at, inputs[at], 0, inputs[at].size) for at in found.starts)
    elif source.format == "csv":
        todo = _with_headers(tasks(inputs, _workers(landing), found.starts), landed)
    else:
        for given in read:
            if given.messages is None:
                refuse_documents(given)
        todo = _no_documents(tasks(inputs, _workers(landing), found.starts))
    land_tasks(todo, landed, progress=progress, execute=execute)
    _discard_known(landed, found.known)
    return landed


def _discard_known(landed: Landed, known: list[KnownInput]) -> None:
    """Discard what came of inputs with a content that was read before, which only reading could tell.

    Where every record counts, however many are equal, this holds for contents that were read in the same run, too.
    """
    first: dict[tuple[str, int], KnownInput | None] = {}
    if any(given.is_stream for given in landed.inputs):
        first |= {(one.content, one.size): one for one in known}
    keeps_all = not landed.landing.source.identity
    contents = list(zip(landed.contents(), landed.sizes(), strict=True))
    ledgers = landed.ledgers()
    for at in landed.starts:
        given, content = landed.inputs[at], contents[at]
        if given.messages is not None or not content[1]:
            continue
        if content in first and (given.is_stream or keeps_all):
            same = first[content]
            ledger = again(same.ledger if same is not None else ledgers[at].as_dict())
            landed.skipped[at] = Skipped(*content, ledger, same)
        elif keeps_all:
            first[content] = None
    for part in landed.parts:
        if part.input_number in landed.skipped:
            landed.landing.event_file(part.number).unlink(missing_ok=True)
            landed.landing.reject_file(part.number).unlink(missing_ok=True)
    landed.parts = [part for part in landed.parts if part.input_number not in landed.skipped]


def land_tasks(
    todo: Iterator[Task], landed: Landed, *, progress: Callable[[int], None], execute: Execute | None = None
) -> Landed:
    """Read the tasks *todo* of the inputs of *landed* into Parquet files."""
    landing, workers = landed.landing, _workers(landed.landing)
    landing.folder.mkdir(parents=True, exist_ok=True)
    first = list(islice(todo, 2))
    if execute is not None:
        results: Iterator[Part] = execute(chain(first, todo), landing)
    elif len(first) < 2:
        _begin(landing)
        results = map(read_task, first)
    else:
        results = _in_processes(chain(first, todo), landing, workers)
    for part in results:
        landed.parts.append(part)
        progress(part.bytes_in)
    landed.parts.sort(key=lambda part: part.number)
    _withdraw(landed)
    return landed


def _withdraw(landed: Landed) -> None:
    """Take back every event of the sessions in which somebody who is forgotten was found, in whichever part."""
    sessions = frozenset[str]().union(*(part.sessions for part in landed.parts))
    for at, part in enumerate(landed.parts if sessions else ()):
        gone = withdraw(landed.landing.event_file(part.number), sessions) if part.rows else 0
        if gone:
            part.ledger.dropped["forgotten"] += gone
            landed.parts[at] = replace(part, rows=part.rows - gone)


def _workers(landing: Landing) -> int:
    """As many readers as there are processors, where memory does not say fewer."""
    cores = os.cpu_count() or 1
    if landing.memory is not None:
        cores = min(cores, (landing.memory - _BEGINNER) // _READER)
    return max(1, cores)


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


def _in_processes(todo: Iterator[Task], landing: Landing, workers: int) -> Iterator[Part]:
    """Parts as they are done. At most two tasks a process are under way, so that streams are not read ahead."""
    method = "fork" if sys.platform == "linux" else "spawn"
    context = multiprocessing.get_context(method)
    with ProcessPoolExecutor(workers, context, _begin_process, (landing,)) as pool:
        under_way: set[Future[Part]] = {pool.submit(read_task, task) for task in islice(todo, workers * 2)}
        try:
            while under_way:
                done, under_way = wait(under_way, return_when=FIRST_COMPLETED)
                under_way |= {pool.submit(read_task, task) for task in islice(todo, len(done))}
                for future in done:
                    yield future.result()
        except BrokenProcessPool as error:
            raise SojournError(
                "reader_died",
                "a reading process was ended from outside (out of memory?); nothing was published",
            ) from error
        finally:
            for future in under_way:
                future.cancel()


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


def _no_documents(todo: Iterator[Task]) -> Iterator[Task]:
    """The same tasks; a stream that turns out to be one JSON document is one clear error."""
    for task in todo:
        if task.start == 0 and task.content is not None:
            refuse_documents(task)
        yield task


def _with_headers(todo: Iterator[Task], landed: Landed) -> Iterator[Task]:
    """CSV tasks that know their input's columns; a required column that is missing is one clear error."""
    header: tuple[str, ...] = ()
    is_line, source = False, landed.landing.source
    for task in todo:
        if task.input_number not in landed.headers:
            header, is_line = header_of(first_line(task), source)
            landed.headers[task.input_number] = header
            for name, declared in source.fields.items():
                if declared.required and declared.keys("csv")[0] not in header:
                    raise UsageError(
                        "unknown_column",
                        f"{task.input.name} has no column {declared.keys('csv')[0]!r} (the field {name}); "
                        f"its first line names {', '.join(header)}; for files without a header line "
                        "name the columns in the pipeline: columns = [...]",
                    )
        yield replace(task, header=header, has_header_line=is_line and task.first == 0)


def _files_only(inputs: list[Input]) -> list[Input]:
    for given in inputs:
        if given.is_stream:
            raise UsageError("not_a_file", f"Parquet is read from uncompressed files only, not from {given.name}")
    return inputs
