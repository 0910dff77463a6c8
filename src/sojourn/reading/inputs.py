"""What a command's SOURCE arguments name: files, directories, globs, pipes and standard input."""

import glob
import json
import os
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from msgspec.structs import replace

from sojourn.errors import SojournError, UsageError
from sojourn.pipeline import Source
from sojourn.reading.unpacking import MAGIC, is_packed, refuse_foreign

_SUFFIXES = {
    "jsonl": {".json", ".jsonl", ".ndjson", ".log", ".txt"},
    "csv": {".csv", ".tsv", ".txt"},
    "parquet": {".parquet"},
    "streams": {".json", ".jsonl", ".ndjson", ".log", ".txt"},
}


_FORMATS = {
    **dict.fromkeys((".json", ".jsonl", ".ndjson"), "jsonl"),
    **dict.fromkeys((".csv", ".tsv"), "csv"),
    ".parquet": "parquet",
}
"""Endings that leave no doubt about what a file holds."""


@dataclass(frozen=True)
class Input:
    """One file, or standard input (`path` is None). *name* is how the person named it, *source* what it is read as.

    *is_pipe*: it can be read only once and from its beginning, as `/dev/stdin` and `<(command)` can. *stamp*: when a
    file's content and its entry last changed, in nanoseconds, and its inode. *messages* are those of a journal, which
    is no file: lines of streams by their place, some at a time.
    """

    name: str
    path: str | None
    size: int = 0
    inode: int = 0
    is_compressed: bool = False
    is_pipe: bool = False
    source: str = "events"
    stamp: tuple[int, int, int] | None = None
    messages: Callable[[], Iterator[dict[int, bytes]]] | None = None

    @property
    def is_stream(self) -> bool:
        """Whether it is read in one piece, from its beginning to its end."""
        return self.path is None or self.is_compressed or self.is_pipe


def resolve(arguments: list[str], source_format: str, source: str = "events") -> list[Input]:
    """The inputs of one *source* that the command's SOURCE arguments name, each file once, in order."""
    paths: dict[str, str] = {}
    stdin = False
    for argument in arguments:
        if argument == "-":
            stdin = True
            continue
        for path in _expand(argument, source_format):
            paths.setdefault(os.path.realpath(path), path)
    inputs = [_input(path, source) for path in paths.values()]
    return [*inputs, Input("-", None, source=source)] if stdin else inputs


def as_given(source: Source, inputs: list[Input]) -> Source:
    """The contract of *source* for the format of its *inputs*: what their names end with, or else its own."""
    endings = {_ending(Path(given.path)) if given.path else "" for given in inputs}
    found = {_FORMATS.get(ending, source.format) for ending in endings} or {source.format}
    if source.format == "streams":
        if foreign := sorted(found - {"streams", "jsonl"}):
            raise UsageError("streams_format", f"the pipeline reads streams, which are JSON lines, not {foreign[0]}")
        return source
    if len(found) > 1:
        raise UsageError(
            "mixed_formats",
            f"the files are of several formats ({', '.join(sorted(found))}); run them one format at a time",
        )
    if source.schema is not None and found != {"jsonl"}:
        raise UsageError("schema_format", f"the pipeline's JSON Schema judges JSON lines, not {found.pop()}")
    tabs = endings == {".tsv"} and source.delimiter == ","
    return replace(source, format=found.pop(), delimiter="\t" if tabs else source.delimiter)


def open_input(path: str, name: str) -> BinaryIO:
    """The file at *path*, which the person calls *name*, opened for reading."""
    try:
        return Path(path).open("rb")
    except FileNotFoundError as error:
        raise SojournError("file_gone", f"{name} disappeared while it was being read; nothing was published") from error
    except OSError as error:
        raise UsageError("unreadable_file", f"cannot read {name}: {error.strerror}") from error


def refuse_repeated(given: Input, columns: Sequence[str], wanted: set[str]) -> None:
    """Raise when a *wanted* column of a file stands in it more than once: which of them is meant?"""
    for column, count in Counter(columns).items():
        if count > 1 and column in wanted:
            raise UsageError(
                "repeated_column", f"{given.name} has {count} columns named {column!r}; rename all but one of them"
            )


def _expand(argument: str, source_format: str) -> list[str]:
    if not argument:
        raise UsageError("no_such_file", "a source is empty text; name a file, a directory, a glob, or -")
    path = Path(argument)
    if path.is_dir():
        files = [file for file in path.rglob("*") if _is_data(file, source_format, path)]
        homes = {folder for folder in {above for file in files for above in file.parents} if _is_home(folder)}
        exports = {file for folder in {file.parent for file in files} for file in _exported(folder)}
        found = sorted(str(file) for file in files if homes.isdisjoint(file.parents) and file not in exports)
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
    hidden = any(part.startswith(".") for part in file.relative_to(folder).parts)
    return file.is_file() and not hidden and _ending(file) in _SUFFIXES[source_format]


def _ending(file: Path) -> str:
    """What *file*'s name ends with, without that of its packing."""
    endings = [suffix.lower() for suffix in file.suffixes if suffix.lower() not in (".gz", ".zst")]
    return endings[-1] if endings else ""


def _is_home(folder: Path) -> bool:
    """Whether *folder* is a home of ours: what lies in it is no source, though it may lie among sources."""
    return (folder / "lock").is_file() and any((folder / name).is_file() for name in ("catalog.json", "home.id"))


def _exported(folder: Path) -> set[Path]:
    """The files in *folder* that a run of ours wrote there: they are results, not records."""
    try:
        manifest = json.loads((folder / "manifest.json").read_bytes())
        names = [entry["file"] for entry in manifest["tables"].values()]
        return (
            {folder / name for name in [*names, "quarantine.jsonl", "manifest.json"]} if manifest["run_id"] else set()
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return set()


def _input(path: str, source: str) -> Input:
    if not Path(path).is_file():
        return Input(path, path, is_pipe=True, source=source)
    with open_input(path, path) as file:
        status = os.fstat(file.fileno())
        magic = file.read(MAGIC)
    refuse_foreign(magic, path)
    stamp = (status.st_mtime_ns, status.st_ctime_ns, status.st_ino)
    return Input(path, path, status.st_size, status.st_ino, is_packed(magic), source=source, stamp=stamp)
