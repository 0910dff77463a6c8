"""The manifest: what a published run left beside its tables. One file for each kept run, never changed."""

import re
from pathlib import Path
from typing import Any

import msgspec
import xxhash
from msgspec import Struct

from sojourn.errors import SojournError
from sojourn.reading.known import KnownInput

_OWN = re.compile(rb'"own_checksum":"([0-9a-f]{32})"}\Z')


class KeptFile(Struct, frozen=True):
    """A landed Parquet file: its *name* below the store's `events`, its *rows*, the xxh3_128 of its bytes as hex."""

    name: str
    rows: int
    checksum: str


class Change(Struct, frozen=True):
    """A run that changed the quarantine, and the xxh3_128 of the file that says how, as hex."""

    run_id: str
    checksum: str


class Kept(Struct, frozen=True):
    """What a run left to add to: the *files* of its *events*, how they were read, and by which *rules* its *tables*
    (name -> rows) were made of them.

    *checksum* is that of the snapshot, as for a kept file; without one there is no snapshot to build upon. *base* is
    the run that this one was built upon, *until* the end of observation that it was told, in epoch microseconds.
    *changes*: what runs up to this one changed in the quarantine, the oldest first; those that are needed to go back or
    forward lie beside the manifests. *own_checksum* is that of the manifest itself without it.
    """

    run_id: str | None = None
    tables: dict[str, int] = {}
    files: tuple[KeptFile, ...] = ()
    events: int = 0
    reading: dict[str, Any] = {}
    rules: dict[str, Any] = {}
    inputs: tuple[KnownInput, ...] = ()
    checksum: str = ""
    base: str | None = None
    until: int | None = None
    changes: tuple[Change, ...] = ()
    own_checksum: str = ""  # the last one, where `write` puts it


class Entry(Struct):
    """A pipeline in a store: the *current* run with its *tables*, and those that are kept (*runs*, the oldest first).

    A run that kept nothing is current without being among them.
    """

    current: str
    tables: dict[str, int]
    runs: list[str]


class _Name(Struct):
    name: str


class Listed(Struct):
    """The files that a manifest lists."""

    files: tuple[_Name, ...]
    changes: tuple[Change, ...] = ()


def write(path: Path, kept: Kept) -> None:
    """Write what a run left to *path*."""
    content = msgspec.json.encode(msgspec.structs.replace(kept, own_checksum=""))
    before, after = content[:-2], content[-2:]
    path.write_bytes(before + xxhash.xxh3_128_hexdigest(content).encode() + after)


def read(path: Path) -> Kept:
    """The manifest at *path*. Raises `SojournError` ``manifest`` where it is gone or damaged."""
    try:
        return msgspec.json.decode(_whole(path), type=Kept)
    except OSError as error:
        how = "is gone" if isinstance(error, FileNotFoundError) else f"cannot be read ({error.strerror})"
        raise damaged("manifest", f"the manifest {path} {how}") from error
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise damaged("manifest", f"the manifest {path} is damaged ({error})") from error


def listed(path: Path) -> Listed | None:
    """What the manifest at *path* lists; None where it cannot be read."""
    try:
        return msgspec.json.decode(_whole(path), type=Listed)
    except (OSError, msgspec.DecodeError, UnicodeDecodeError):
        return None


def _whole(path: Path) -> bytes:
    """The bytes of a manifest, checked. One that an earlier version wrote has no checksum of its own."""
    content = path.read_bytes()
    found = _OWN.search(content)
    if found and xxhash.xxh3_128_hexdigest(content[: found.start(1)] + content[found.end(1) :]) != found[1].decode():
        raise msgspec.DecodeError("its checksum is another")
    return content


def published(entries: dict[str, Entry]) -> list[dict[str, Any]]:
    """Every published table: pipeline, table, rows, run_id."""
    return [
        {"pipeline": name, "table": table, "rows": rows, "run_id": entry.current}
        for name, entry in sorted(entries.items())
        for table, rows in entry.tables.items()
    ]


def damaged(code: str, what: str) -> SojournError:
    """The error for a home that lost something that a kept run rests on."""
    return SojournError(
        code,
        f"{what}; use the home that the run was made in, bring it back from a backup, go back to another run (see: "
        "sojourn rollback -h), or start the pipeline over with --mode replace and all of its files",
    )
