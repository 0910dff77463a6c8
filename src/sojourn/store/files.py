"""Files that outlive a crash: written whole, made durable, removed quietly, held by one writer at a time."""

import fcntl
import hashlib
import os
import shutil
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import xxhash

from sojourn.errors import UsageError


def make_folder(folder: Path, *, is_lasting: bool = True) -> None:
    """Create *folder*, durably if it *is_lasting*; a mistake of the person's comes out as one sentence."""
    if folder.is_dir():
        return
    try:
        missing = [folder, *(parent for parent in folder.parents if not parent.exists())]
        folder.mkdir(parents=True, exist_ok=True)
        for made in missing if is_lasting else ():
            sync(made.parent)
    except OSError as error:
        raise UsageError("home_unusable", f"cannot make the folder {folder}: {error.strerror}") from error


def sync(path: Path) -> None:
    """Make a file's content, or a folder's entries, durable."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def move(paths: Iterable[Path], folder: Path) -> None:
    """Put finished files into *folder*: their content is durable before their place is."""
    make_folder(folder)
    for path in paths:
        sync(path)
        path.replace(folder / path.name)
    sync(folder)


def checksum(path: Path) -> str:
    """The xxh3_128 of a file's content, as hex."""
    with path.open("rb") as file:
        return str(hashlib.file_digest(file, xxhash.xxh3_128).hexdigest())


def write_whole(path: Path, content: bytes) -> None:
    """Replace *path* by *content*, durably: a reader sees the old or the new, never a piece."""
    fresh = path.with_name(f"{path.name}.new")
    with fresh.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    fresh.replace(path)
    sync(path.parent)


def remove_all_but(listed: set[Path], found: Iterable[Path]) -> None:
    """Remove files and folders that nothing lists; what cannot be removed now is garbage for the next time."""
    for path in found:
        if path in listed:
            continue
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        else:
            with suppress(OSError):
                path.unlink()


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold the lock file *path* alone; whoever has to wait is told so."""
    try:
        file = path.open("a+")
    except OSError as error:
        raise UsageError(
            "home_unusable", f"cannot write to the home {path.parent}: {error.strerror}; use another with --home"
        ) from error
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            tell(f"another run is writing to {path.parent}; waiting for it to end")
            fcntl.flock(file, fcntl.LOCK_EX)
        except OSError as error:
            raise UsageError("home_unusable", f"cannot lock the home {path.parent}: {error.strerror}") from error
        yield


def tell(what: str) -> None:
    """Say why nothing seems to happen, where it does not mix with results."""
    print(what, file=sys.stderr, flush=True)
