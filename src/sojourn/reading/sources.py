"""Inputs cut into tasks for the readers: byte ranges of files, whole lines of streams; and their units for hashing."""

import io
import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import BinaryIO

import xxhash

from sojourn.errors import SojournError, UsageError
from sojourn.reading.inputs import Input, open_input
from sojourn.reading.unpacking import decompressed, read_up_to

UNIT = 4 << 20
"""Content is hashed in units of this many bytes; tasks are whole units."""

BLOCK = 1 << 20
"""Lines are read and decoded about this many bytes at a time: what a block needs stays in the processor's cache."""

BOM = b"\xef\xbb\xbf"
"""UTF-8's byte-order mark, which a file may begin with."""

_MOST_UNITS = 16
_LONGEST_HEADER = 1 << 20
_NEVER = 1 << 62


@dataclass(frozen=True)
class Start:
    """Where a file that grew is read on: at *offset*, behind so many *lines*.

    *digests* are those of the whole units before.
    """

    offset: int = 0
    lines: int = 0
    digests: bytes = b""


@dataclass(frozen=True)
class Task:
    """One piece of one input for one reader: a byte range of a file, or whole lines of a stream.

    Of a range only the lines count that begin at *begin* or behind it, and before *stop*, where a last line begins
    that has no line break: that one is a task of its own (*is_tail*), and hashed with the range.
    *places*: where each line stands in the journal that it comes from.
    """

    number: int
    input_number: int
    input: Input
    start: int = 0
    end: int = 0
    content: bytes | None = None
    digests: bytes = b""
    header: tuple[str, ...] = ()
    has_header_line: bool = False
    places: tuple[int, ...] = ()
    begin: int = 0
    stop: int = _NEVER
    is_tail: bool = False

    @property
    def bytes_in(self) -> int:
        """Bytes of the input that the task stands for."""
        return 0 if self.is_tail else self.end - self.start

    @property
    def first(self) -> int:
        """Where the task's lines begin."""
        return max(self.start, self.begin)


def tasks(inputs: list[Input], workers: int, starts: Mapping[int, Start] | None = None) -> Iterator[Task]:
    """Tasks over *inputs*, numbered from 0 in the order of the content.

    *starts*: the inputs that are read, by number, and where each begins; without it all are read whole.
    """
    number = 0
    for at, source in enumerate(inputs):
        start = Start() if starts is None else starts.get(at)
        for task in _pieces(at, source, workers, start) if start is not None else ():
            yield replace(task, number=number)
            number += 1


def blocks(task: Task) -> Iterator[tuple[bytes, bytes]]:
    """`(digest, lines)` of a task: the digest of each unit of its content as that ends, and the whole lines in between.

    Either is empty where there is none yet. Lines are handed over as soon as they are complete.
    """
    if task.content is not None:  # a stream, hashed where it was read
        whole = task.content.removeprefix(BOM) if task.start == 0 else task.content
        yield from ((b"", lines) for lines in cut(whole, BLOCK))
        return
    with _opened(task.input) as file:
        if task.is_tail:
            file.seek(task.start)
            line = _read(file, task.end - task.start, task.input)
            yield b"", line.removeprefix(BOM) if task.start == 0 else line
            return
        carry: list[bytes] | None = None if _is_inside_line(file, task.first) else []
        for position, piece, digested in _pieces_of(file, task):
            fresh = piece[max(0, task.begin - position) : max(0, task.stop - position)]
            fresh = fresh.removeprefix(BOM) if position == task.begin == 0 else fresh
            if carry is None:  # the line before this range is not ours
                after = fresh.find(b"\n") + 1
                carry, fresh = (None, b"") if after == 0 else ([], fresh[after:])
            end = fresh.rfind(b"\n") + 1
            yield digested, b"".join((*(carry or ()), memoryview(fresh)[:end])) if end else b""
            if carry is not None:
                carry = [fresh[end:]] if end else [*carry, fresh]
        yield b"", _finish(file, b"".join(carry or ()), task)


def _pieces_of(file: BinaryIO, task: Task) -> Iterator[tuple[int, bytes, bytes]]:
    """`(position, piece, digest)` of a range: the digest of a unit comes with its last piece, with others none."""
    unit = xxhash.xxh3_128()
    position = file.seek(task.start)
    while position < task.end:
        left = min(UNIT - (position - task.start) % UNIT, task.end - position)
        piece = _read(file, min(BLOCK, left), task.input)
        unit.update(piece)
        is_last = len(piece) == left
        yield position, piece, unit.digest() if is_last else b""
        position += len(piece)
        if is_last:
            unit.reset()


def first_line(task: Task) -> bytes:
    """The first line of the input that *task* begins."""
    if task.content is not None:
        return task.content.partition(b"\n")[0]
    assert task.input.path is not None, "streams carry their content"
    with open_input(task.input.path, task.input.name) as file:
        return file.readline(min(_LONGEST_HEADER, task.input.size))


def last_line(source: Input) -> int:
    """Where the last line of a plain file begins if it has no line break, else where the file ends."""
    with _opened(source) as file:
        end = source.size
        while end > 0:
            start = max(0, end - (UNIT if end < source.size else 1))  # most files end with a line break
            file.seek(start)
            cut = _read(file, end - start, source).rfind(b"\n") + 1
            if cut:
                return start + cut
            end = start
    return 0


def _pieces(at: int, source: Input, workers: int, start: Start) -> Iterator[Task]:
    if source.messages is not None:
        return _journal(at, source, source.messages())
    return _stream(at, source) if source.is_stream else _ranges(at, source, workers, start)


def _journal(at: int, source: Input, messages: Iterator[dict[int, bytes]]) -> Iterator[Task]:
    """The journal's messages. It has no content to be digested: it grows, and a message's place in it stays."""
    named, start = replace(source, messages=None), 0  # what reads is no matter of the process that judges
    for some in messages:
        content = b"".join(b"%b\n" % line for line in some.values())
        yield Task(0, at, named, start, start + len(content), content, places=tuple(some))
        start += len(content)


def _ranges(at: int, source: Input, workers: int, begun: Start) -> Iterator[Task]:
    first = begun.offset // UNIT * UNIT
    stop = last_line(source)
    whole = -(-(source.size - first) // UNIT)
    step = UNIT * max(1, min(_MOST_UNITS, whole // (workers * 8)))
    digests = begun.digests
    for start in range(first, source.size, step):
        end = min(start + step, source.size)
        yield Task(0, at, source, start, end, digests=digests, begin=begun.offset, stop=stop)
        digests = b""
    if stop < source.size:
        yield Task(0, at, source, stop, source.size, is_tail=True)


def _stream(at: int, source: Input) -> Iterator[Task]:
    """Whole lines of standard input or a compressed file, about a unit at a time, with units' digests."""
    if source.path is None and sys.stdin is None:
        raise UsageError("no_stdin", "standard input is closed; give a file, or pipe records into -")
    raw = sys.stdin.buffer if source.path is None else open_input(source.path, source.name)
    with raw if source.path is not None else io.BytesIO():
        stream = decompressed(raw)
        carry: list[bytes] = []
        start, digests = 0, b""
        while piece := read_up_to(stream, UNIT, source.name):
            digests += digest(piece)
            cut = piece.rfind(b"\n") + 1
            if cut == 0:
                carry.append(piece)
                continue
            content = b"".join((*carry, piece[:cut]))
            yield Task(0, at, source, start, start + len(content), content, digests)
            start, digests, carry = start + len(content), b"", [piece[cut:]]
        rest = b"".join(carry)
        if rest or digests:
            yield Task(0, at, source, start, start + len(rest), rest, digests)


def cut(lines: bytes, size: int) -> Iterator[bytes]:
    """Whole lines of *lines*, about *size* bytes at a time."""
    start = 0
    while start < len(lines):
        end = lines.rfind(b"\n", start, start + size) + 1
        if end == 0:
            end = lines.find(b"\n", start) + 1 or len(lines)
        yield lines[start:end]
        start = end


def digest(unit: bytes) -> bytes:
    """The digest of one unit of content."""
    return xxhash.xxh3_128(unit).digest()


@contextmanager
def _opened(source: Input) -> Iterator[BinaryIO]:
    assert source.path is not None, "streams carry their content"
    with open_input(source.path, source.name) as file:
        if os.fstat(file.fileno()).st_ino != source.inode:
            raise _changed(source, "was replaced")
        yield file


def _read(file: BinaryIO, size: int, source: Input) -> bytes:
    """The next *size* bytes."""
    found = file.read(size)
    if len(found) < size:
        raise _changed(source, "shrank")
    return found


def _is_inside_line(file: BinaryIO, start: int) -> bool:
    """Whether *start* lies within a line."""
    file.seek(max(start - 1, 0))
    return start > 0 and file.read(1) != b"\n"


def _finish(file: BinaryIO, begun: bytes, task: Task) -> bytes:
    """The last line of a range with the rest of it, which lies in the ranges that follow."""
    pieces = [begun]
    left = task.input.size - task.end
    while begun and left > 0:
        more = _read(file, min(UNIT, left), task.input)
        left -= len(more)
        cut = more.find(b"\n")
        pieces.append(more if cut < 0 else more[: cut + 1])
        if cut >= 0:
            break
    return b"".join(pieces)


def _changed(source: Input, how: str) -> SojournError:
    return SojournError(
        "file_changed", f"{source.name} {how} while it was being read; nothing was published, run again"
    )
