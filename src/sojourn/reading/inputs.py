"""What a command's SOURCE arguments name: files, directories, globs, pipes and standard input."""

import glob
import os
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from sojourn.errors import SojournError, UsageError
from sojourn.reading.unpacking import is_packed

_SUFFIXES = {
    "jsonl": {".json", ".jsonl", ".ndjson", ".log", ".txt"},
    "csv": {".csv", ".tsv", ".txt"},
    "parquet": {".parquet"},
}


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


def open_input(path: str, name: str) -> BinaryIO:
    """The file at *path*, which the person calls *name*, opened for reading."""
    try:
        return Path(path).open("rb")
    except FileNotFoundError as error:
        raise SojournError("file_gone", f"{name} disappeared while it was being read; nothing was published") from error
    except OSError as error:
        raise UsageError("unreadable_file", f"cannot read {name}: {error.strerror}") from error


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
    with open_input(path, path) as file:
        status = os.fstat(file.fileno())
        magic = file.read(4)
    return Input(path, path, status.st_size, status.st_ino, is_packed(magic))
