"""Unpacking gzip and Zstandard while they are read; the first bytes tell which it is."""

import gzip
import io
import zlib
from typing import Any, BinaryIO

import zstandard

from sojourn.errors import SojournError, UsageError

_PACKED = 1 << 14
_STEP = 4 << 20
_AT_ONCE = 1 << 20
_FOREIGN = {  # what a packed file may begin with: by what it was packed, and what unpacks it
    b"BZh": ("bzip2", "bunzip2 -c"),
    b"\xfd7zXZ\x00": ("xz", "unxz -c"),
    b"PK\x03\x04": ("zip", "unzip -p"),
}
MAGIC = 10
"""So many of its first bytes tell by what a file is packed."""


def read_up_to(stream: BinaryIO, most: int, name: str) -> bytes:
    """The next *most* bytes of the stream *name*, fewer only at its end."""
    pieces = []
    # one read of the system's at a time: Python hears signals in between
    read = stream.read1 if isinstance(stream, io.BufferedReader) else stream.read
    try:
        while most and (piece := read(min(most, _AT_ONCE))):
            pieces.append(piece)
            most -= len(piece)
    except (OSError, EOFError, zlib.error, zstandard.ZstdError) as error:
        raise SojournError("corrupt_file", f"{name} cannot be unpacked: {error}; nothing was published") from error
    return b"".join(pieces)


def decompressed(raw: BinaryIO) -> BinaryIO:
    """The content of *raw*, which may be packed or not."""
    buffered = io.BufferedReader(raw) if not hasattr(raw, "peek") else raw  # type: ignore[type-var] # a raw file
    magic = buffered.peek(MAGIC)[:MAGIC]
    refuse_foreign(magic)
    if _is_gzip(magic):
        return gzip.GzipFile(fileobj=buffered)  # type: ignore[return-value] # reads as a binary file
    if _is_zstd(magic):
        return io.BufferedReader(_Zstd(buffered), _STEP)
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


def is_packed(magic: bytes) -> bool:
    """Whether a file that begins with *magic* is packed."""
    return _is_gzip(magic) or _is_zstd(magic)


def refuse_foreign(magic: bytes, name: str = "") -> None:
    """Raise when what begins with *magic* is packed in a way that is not unpacked here; a stream has no *name*."""
    for begin, (packer, unpack) in _FOREIGN.items():
        if magic.startswith(begin) and (packer != "bzip2" or magic[4:] == b"1AY&SY"):  # "BZh" alone could be text
            example = f"{unpack} {name} |" if name else f"... | {packer} -dc |" if packer != "zip" else "... | funzip |"
            raise UsageError(
                "packed_otherwise",
                f"{name or 'the input'} is packed by {packer}, not by gzip or Zstandard; unpack it first, for "
                f"example with: {example} sojourn run PIPELINE -",
            )


def _is_gzip(magic: bytes) -> bool:
    return magic[:2] == b"\x1f\x8b"


def _is_zstd(magic: bytes) -> bool:
    return magic[:4] == b"\x28\xb5\x2f\xfd"
