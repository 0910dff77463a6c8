"""Inputs cut into tasks for the readers: byte ranges of files, whole lines of streams; and their units for hashing."""

import io
import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import BinaryIO

import xxhash

from sojourn.errors import SojournError, UsageError
from sojourn.reading.inputs import Input, open_input
from sojourn.reading.unpacking import decompressed, read_up_to

UNIT = 4 << 20
"""Content is hashed in units of this many bytes; tasks are whole units."""

BOM = b"\xef\xbb\xbf"
"""UTF-8's byte-order mark, which a file may begin with."""

_MOST_UNITS = 16
_LONGEST_HEADER = 1 << 20


@dataclass(frozen=True)
class Task:
    """One piece of one input for one reader: a byte range of a file, or whole lines of a stream.

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

    @property
    def bytes_in(self) -> int:
        """Bytes of the input that the task stands for."""
        return self.end - self.start


def tasks(inputs: list[Input], workers: int) -> Iterator[Task]:
    """Tasks over all *inputs*, numbered from 0 in the order of the content."""
    number = 0
    for at, source in enumerate(inputs):
        for task in _pieces(at, source, workers):
            yield replace(task, number=number)
            number += 1


def units(task: Task) -> Iterator[tuple[bytes, bytes]]:
    """`(unit, lines)` of a task: its content as it is hashed, and the whole lines that begin in it.

    Lines are handed over as soon as they are complete; the last ones come with an empty unit.
    """
    if task.content is not None:  # a stream, hashed where it was read
        yield b"", task.content.removeprefix(BOM) if task.start == 0 else task.content
        return
    assert task.input.path is not None, "streams carry their content"
    with open_input(task.input.path, task.input.name) as file:
        if os.fstat(file.fileno()).st_ino != task.input.inode:
            raise _changed(task.input, "was replaced")
        carry = None if _is_inside_line(file, task.start) else b""
        position = task.start
        while position < task.end:
            unit = file.read(min(UNIT, task.end - position))
            if not unit:
                raise _changed(task.input, "shrank")
            fresh = unit.removeprefix(BOM) if position == 0 else unit
            position += len(unit)
            if carry is None:  # the line before this range is not ours
                cut = fresh.find(b"\n")
                carry, fresh = (None, b"") if cut < 0 else (b"", fresh[cut + 1 :])
            cut = fresh.rfind(b"\n") + 1
            yield unit, (carry or b"") + fresh[:cut] if cut else b""
            carry = None if carry is None else (fresh[cut:] if cut else carry + fresh)
        yield b"", _finish(file, carry or b"", task)


def first_line(task: Task) -> bytes:
    """The first line of the input that *task* begins."""
    if task.content is not None:
        return task.content.partition(b"\n")[0]
    assert task.input.path is not None, "streams carry their content"
    with open_input(task.input.path, task.input.name) as file:
        return file.readline(_LONGEST_HEADER)


def _pieces(at: int, source: Input, workers: int) -> Iterator[Task]:
    if source.messages is not None:
        return _journal(at, source, source.messages())
    return _stream(at, source) if source.is_stream else _ranges(at, source, workers)


def _journal(at: int, source: Input, messages: Iterator[dict[int, bytes]]) -> Iterator[Task]:
    """The journal's messages. It has no content to be digested: it grows, and a message's place in it stays."""
    named, start = replace(source, messages=None), 0  # what reads is no matter of the process that judges
    for some in messages:
        content = b"".join(b"%b\n" % line for line in some.values())
        yield Task(0, at, named, start, start + len(content), content, places=tuple(some))
        start += len(content)


def _ranges(at: int, source: Input, workers: int) -> Iterator[Task]:
    whole = -(-source.size // UNIT)
    step = UNIT * max(1, min(_MOST_UNITS, whole // (workers * 8)))
    for start in range(0, source.size, step):
        yield Task(0, at, source, start, min(start + step, source.size))


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


def digest(unit: bytes) -> bytes:
    """The digest of one unit of content."""
    return xxhash.xxh3_128(unit).digest()


def _is_inside_line(file: BinaryIO, start: int) -> bool:
    """Whether *start* lies within a line; leaves the file at *start*."""
    file.seek(max(start - 1, 0))
    return start > 0 and file.read(1) != b"\n"


def _finish(file: BinaryIO, begun: bytes, task: Task) -> bytes:
    """The last line of a range with the rest of it, which lies in the ranges that follow."""
    pieces = [begun]
    left = task.input.size - task.end
    while begun and left > 0:
        more = file.read(min(UNIT, left))
        if not more:
            raise _changed(task.input, "shrank")
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
