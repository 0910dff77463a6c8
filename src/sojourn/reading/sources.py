"""Where records come from: files, directories, globs and standard input, cut into tasks for the readers."""

import glob
import gzip
import io
import json
import os
import sys
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import xxhash
import zstandard

from sojourn.errors import SojournError, UsageError

UNIT = 4 << 20
"""Content is hashed in units of this many bytes; tasks are whole units."""

_SUFFIXES = {
    "jsonl": {".json", ".jsonl", ".ndjson", ".log", ".txt"},
    "csv": {".csv", ".tsv", ".txt"},
    "parquet": {".parquet"},
}
_MOST_UNITS = 16
_HEAD = 1 << 20
_PACKED = 1 << 14
_BOM = b"\xef\xbb\xbf"


@dataclass(frozen=True)
class Input:
    """One file, or standard input (`path` is None). *name* is how the person named it.

    *is_pipe*: it can be read only once and from its beginning, as `/dev/stdin` and `<(command)` can.
    """

    name: str
    path: str | None
    size: int = 0
    inode: int = 0
    is_compressed: bool = False
    is_pipe: bool = False

    @property
    def is_stream(self) -> bool:
        """Whether it is read in one piece, from its beginning to its end."""
        return self.path is None or self.is_compressed or self.is_pipe


@dataclass(frozen=True)
class Task:
    """One piece of one input for one reader: a byte range of a file, or whole lines of a stream."""

    number: int
    input_number: int
    input: Input
    start: int = 0
    end: int = 0
    content: bytes | None = None
    digests: bytes = b""
    header: tuple[str, ...] = ()
    has_header_line: bool = False

    @property
    def bytes_in(self) -> int:
        """Bytes of the input that the task stands for."""
        return self.end - self.start


def resolve(arguments: list[str], source_format: str) -> list[Input]:
    """The inputs that the command's SOURCE arguments name, each file once, in order."""
    paths: dict[str, str] = {}
    stdin = False
    for argument in arguments:
        if argument == "-":
            stdin = True
            continue
        for path in _expand(argument, source_format):
            paths.setdefault(os.path.realpath(path), path)
    inputs = [_input(path) for path in paths.values()]
    return [*inputs, Input("-", None)] if stdin else inputs


def tasks(inputs: list[Input], workers: int) -> Iterator[Task]:
    """Tasks over all *inputs*, numbered from 0 in the order of the content."""
    number = 0
    for at, source in enumerate(inputs):
        pieces = _stream(at, source) if source.is_stream else _ranges(at, source, workers)
        for piece in pieces:
            yield Task(number, *piece)
            number += 1


def units(task: Task) -> Iterator[tuple[bytes, bytes]]:
    """`(unit, lines)` of a task: its content as it is hashed, and the whole lines that begin in it.

    Lines are handed over as soon as they are complete; the last ones come with an empty unit.
    """
    if task.content is not None:  # a stream, hashed where it was read
        yield b"", task.content.removeprefix(_BOM) if task.start == 0 else task.content
        return
    assert task.input.path is not None, "streams carry their content"
    with _open(task.input.path, task.input.name) as file:
        if os.fstat(file.fileno()).st_ino != task.input.inode:
            raise _changed(task.input, "was replaced")
        carry = None if _is_inside_line(file, task.start) else b""
        position = task.start
        while position < task.end:
            unit = file.read(min(UNIT, task.end - position))
            if not unit:
                raise _changed(task.input, "shrank")
            fresh = unit.removeprefix(_BOM) if position == 0 else unit
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
    with _open(task.input.path, task.input.name) as file:
        return file.readline(_HEAD)


def head(source: Input) -> bytes:
    """The first mebibyte of a file's content."""
    if source.path is None or source.is_pipe:
        raise UsageError("not_a_file", "name a file; what comes through a pipe cannot be looked at and then read")
    with _open(source.path, source.name) as file:
        return _read((_decompressed(file) if source.is_compressed else file), _HEAD, source)


def refuse_documents(given: Input | Task) -> None:
    """Raise when a file is one JSON document over many lines, which no line of can be a record.

    What comes through a pipe is looked at in the *task* that begins it.
    """
    if isinstance(given, Task):
        source, begin = given.input, (given.content or b"")[:_HEAD]
    else:
        source, begin = given, b"" if given.path is None or given.is_pipe else head(given)
    what = _document(begin.removeprefix(_BOM))
    if what is not None:
        convert = f"jq -c '{'.[]' if 'array' in what else '.'}'"
        name, example = source.name, f"{convert} {source.name} > events.jsonl"
        if source.path is None or source.is_pipe:
            name, example = "standard input" if source.path is None else name, f"... | {convert} | sojourn ..."
        raise SojournError(
            f"json_{what.split()[-1]}",
            f"{name} is {what}, not one object per line; convert it first, for example with: {example}",
        )


def _document(head: bytes) -> str | None:
    text = head.decode("utf-8", "replace").lstrip()
    first, _, rest = text.partition("\n")
    try:
        value = json.loads(first)
        one_line = isinstance(value, list) and bool(value) and all(isinstance(part, dict) for part in value)
        return "one big JSON array" if one_line and not rest.strip() else None
    except ValueError:
        pass
    except RecursionError:
        return None
    if text.startswith("[") and text[1:].lstrip()[:1] in ("{", ""):
        return "one big JSON array"
    if text.startswith("{"):
        try:
            _, end = json.JSONDecoder().raw_decode(text)
        except (ValueError, RecursionError):
            return None
        return "pretty-printed JSON objects" if "\n" in text[:end] else None
    return None


def _expand(argument: str, source_format: str) -> list[str]:
    if not argument:
        raise UsageError("no_such_file", "a source is empty text; name a file, a directory, a glob, or -")
    path = Path(argument)
    if path.is_dir():
        files = [file for file in path.rglob("*") if _is_data(file, source_format, path)]
        homes = {folder for folder in {above for file in files for above in file.parents} if _is_home(folder)}
        found = sorted(str(file) for file in files if homes.isdisjoint(file.parents))
        if not found:
            kinds = ", ".join(sorted(_SUFFIXES[source_format]))
            raise UsageError(
                "no_files",
                f"the directory {argument} holds no {source_format} files ({kinds}; also .gz, .zst)",
            )
        return found
    if path.exists():
        return [argument]
    if glob.has_magic(argument):
        found = sorted(file for file in glob.glob(argument, recursive=True) if Path(file).is_file())  # noqa: PTH207 - it may be absolute
        if found:
            return found
        raise UsageError("no_files", f"no file matches {argument}")
    raise UsageError("no_such_file", f"there is no file {argument}")


def _is_data(file: Path, source_format: str, folder: Path) -> bool:
    suffixes = [suffix.lower() for suffix in file.suffixes if suffix.lower() not in (".gz", ".zst")]
    hidden = any(part.startswith(".") for part in file.relative_to(folder).parts)
    return file.is_file() and not hidden and bool(suffixes) and suffixes[-1] in _SUFFIXES[source_format]


def _is_home(folder: Path) -> bool:
    """Whether *folder* is a home of ours: what lies in it is no source, though it may lie among sources."""
    return (folder / "lock").is_file() and any((folder / name).is_file() for name in ("catalog.json", "home.id"))


def _input(path: str) -> Input:
    if not Path(path).is_file():
        return Input(path, path, is_pipe=True)
    with _open(path, path) as file:
        status = os.fstat(file.fileno())
        magic = file.read(4)
    return Input(path, path, status.st_size, status.st_ino, _is_gzip(magic) or _is_zstd(magic))


def _open(path: str, name: str) -> BinaryIO:
    try:
        return Path(path).open("rb")
    except FileNotFoundError as error:
        raise SojournError("file_gone", f"{name} disappeared while it was being read; nothing was published") from error
    except OSError as error:
        raise UsageError("unreadable_file", f"cannot read {name}: {error.strerror}") from error


def _ranges(at: int, source: Input, workers: int) -> Iterator[tuple[int, Input, int, int]]:
    whole = -(-source.size // UNIT)
    step = UNIT * max(1, min(_MOST_UNITS, whole // (workers * 4)))
    for start in range(0, source.size, step):
        yield at, source, start, min(start + step, source.size)


def _stream(at: int, source: Input) -> Iterator[tuple[int, Input, int, int, bytes, bytes]]:
    """Whole lines of standard input or a compressed file, about a unit at a time, with units' digests."""
    raw = sys.stdin.buffer if source.path is None else _open(source.path, source.name)
    with raw if source.path is not None else io.BytesIO():
        stream = _decompressed(raw)
        carry: list[bytes] = []
        start, digests = 0, b""
        while piece := _read(stream, UNIT, source):
            digests += digest(piece)
            cut = piece.rfind(b"\n") + 1
            if cut == 0:
                carry.append(piece)
                continue
            content = b"".join((*carry, piece[:cut]))
            yield at, source, start, start + len(content), content, digests
            start, digests, carry = start + len(content), b"", [piece[cut:]]
        rest = b"".join(carry)
        if rest or digests:
            yield at, source, start, start + len(rest), rest, digests


def digest(unit: bytes) -> bytes:
    """The digest of one unit of content."""
    return xxhash.xxh3_128(unit).digest()


def _read(stream: BinaryIO, most: int, source: Input) -> bytes:
    """The next *most* bytes of a stream, fewer only at its end."""
    pieces = []
    try:
        while most and (piece := stream.read(most)):
            pieces.append(piece)
            most -= len(piece)
    except (OSError, EOFError, zlib.error, zstandard.ZstdError) as error:
        raise SojournError(
            "corrupt_file", f"{source.name} cannot be unpacked: {error}; nothing was published"
        ) from error
    return b"".join(pieces)


def _decompressed(raw: BinaryIO) -> BinaryIO:
    buffered = io.BufferedReader(raw) if not hasattr(raw, "peek") else raw  # type: ignore[type-var] # a raw file
    magic = buffered.peek(4)[:4]
    if _is_gzip(magic):
        return gzip.GzipFile(fileobj=buffered)  # type: ignore[return-value] # reads as a binary file
    if _is_zstd(magic):
        return io.BufferedReader(_Zstd(buffered), UNIT)
    return buffered


class _Zstd(io.RawIOBase):
    """The content of zstd frames. zstandard's own reader takes a file that ends within a frame for a whole one."""

    def __init__(self, packed: BinaryIO) -> None:
        self.packed = packed
        self.rest = packed.read(_PACKED)
        self.frame = zstandard.ZstdDecompressor().decompressobj()
        self.content = memoryview(b"")

    def readable(self) -> bool:
        """It can be read."""
        return True

    def readinto(self, target: Any) -> int:
        """Fill *target* as far as one step of unpacking goes; 0 at the end of the last frame."""
        while not self.content and self.rest:
            self.content = memoryview(self.frame.decompress(self.rest))
            self.rest = (self.frame.unused_data if self.frame.eof else b"") or self.packed.read(_PACKED)
            if self.frame.eof and self.rest:
                self.frame = zstandard.ZstdDecompressor().decompressobj()
        if not self.content and not self.frame.eof:
            raise EOFError("it ends before its last frame does")
        count = min(len(target), len(self.content))
        target[:count] = self.content[:count]
        self.content = self.content[count:]
        return count


def _is_gzip(magic: bytes) -> bool:
    return magic[:2] == b"\x1f\x8b"


def _is_zstd(magic: bytes) -> bool:
    return magic[:4] == b"\x28\xb5\x2f\xfd"


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
