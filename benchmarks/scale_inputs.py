"""Large inputs within seconds: one sample, repeated under other names.

Copy by copy, ids, actors, sessions and devices get another number before their own (100, 101, ...), as text: the same
days of a larger site, with so many times the people. Each copy is a file; all of them are in one folder. The same
pipeline and size give the same bytes.
"""

import re
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import zstandard

from benchmarks.inputs import sample, warm
from sojourn.samples import sources

LINES = {"webshop": 2.5, "activity": 1.0, "pageviews": 1.0, "devices": 1.0, "live": 0.425}
"""Lines for one event that counts: of the webshop's six in ten are anonymous, and a live message has several."""

_KEYS = {
    "webshop": ["id", "customer-id"],
    "activity": ["event_id", "session_id", "id"],
    "pageviews": ["sessionId", "userId"],
    "live": ["session_id"],
}
_DEVICE_AND_USER = re.compile(rb"^([^,]*),(\d+),", re.MULTILINE)
_MOST_COPIES = 900  # numbers of three digits: where all have as many, none makes two numbers one
_MB = 1_000_000


@dataclass(frozen=True)
class Grown:
    """The arguments of `run`, and what they name: lines, and bytes as lines and on the disk."""

    arguments: list[str]
    lines: int
    size: int
    disk: int
    is_packed: bool


def plain_size(pipeline: str, size: float) -> int:
    """The bytes of the lines of *size* million events."""
    base, copies = _base(pipeline, size)
    return base.stat().st_size * copies


def grow(pipeline: str, size: float, folder: Path, *, is_packed: bool = False) -> Grown:
    """Write *size* million events into the new *folder*; packed with Zstandard if the disk is too small."""
    base, copies = _base(pipeline, size)
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    text, renamed = base.read_bytes(), _renaming(pipeline)
    plain = disk = 0
    for copy in range(copies):
        lines = renamed(text, b"%d" % (100 + copy))
        plain += len(lines)
        packed = zstandard.ZstdCompressor(level=1, threads=-1).compress(lines) if is_packed else lines
        path = folder / f"{pipeline}-{copy:03}{base.suffix}{'.zst' if is_packed else ''}"
        disk += path.write_bytes(packed)
        warm(path)
    beside = {name: path for name, path in sources(pipeline, base).items() if name != "events"}
    arguments = [f"events={folder}", *(f"{name}={path}" for name, path in beside.items())] if beside else [str(folder)]
    return Grown(arguments, text.count(b"\n") * copies, plain, disk, is_packed)


def _base(pipeline: str, size: float) -> tuple[Path, int]:
    copies = max(1, round(size))
    if copies > _MOST_COPIES:
        raise ValueError(f"{size:g} million events are more than {_MOST_COPIES}")
    return sample(pipeline, int(min(size, 1) * LINES[pipeline] * _MB), clean=True), copies


def _renaming(pipeline: str) -> Callable[[bytes, bytes], bytes]:
    if pipeline == "devices":
        return lambda text, number: _DEVICE_AND_USER.sub(rb"\g<1>,%s\g<2>,%s" % (number, number), text)

    def renamed(text: bytes, number: bytes) -> bytes:
        for key in _KEYS[pipeline]:
            name = b'"%s": ' % key.encode()
            text = text.replace(name, name + number)
            text = text.replace(name + number + b'"', name + b'"' + number).replace(
                name + number + b"null", name + b"null"
            )
        return text

    return renamed
