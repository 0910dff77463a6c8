"""The one file of a home that says what is current."""

from pathlib import Path
from typing import Annotated, Any

import msgspec

from sojourn.errors import SojournError
from sojourn.store.manifest import Entry
from sojourn.store.schemas import FORMAT, check_format


class Catalog(msgspec.Struct):
    """The one file that says what is current. Whatever it does not name is garbage.

    *runs* and *quarantine* name files with rows of those tables. *retired* are such files that others took the place
    of, by their place in the home, and when that was (epoch seconds): readers may be about to open them.
    """

    format: int  # this and the next three always stand in the file: without one of them it is damaged
    pipelines: dict[str, Entry]
    runs: list[str]
    quarantine: list[str]
    retired: dict[str, float] = {}


class OldEntry(msgspec.Struct):
    """A pipeline in a catalog of format 1, which had no manifests."""

    runs: Annotated[list[str], msgspec.Meta(min_length=1)]
    tables: dict[str, int]
    files: list[str]
    events: int
    reading: dict[str, Any]


class OldCatalog(msgspec.Struct):
    """A catalog of format 1."""

    pipelines: dict[str, OldEntry]
    runs: list[str]
    quarantine: list[str]


class _Format(msgspec.Struct):
    format: int


_NAMED = ("events", "warehouse", "runs", "quarantine")
"""The folders of a home with files that a catalog names."""


def read(path: Path) -> Catalog:
    """The catalog at *path*; an empty one for a fresh home.

    Raises `SojournError`: ``catalog`` where it is lost or damaged, ``newer_format``.

    Of one in an older format only the current tables are known; `read_old` gives the rest.
    """
    try:
        content = path.read_bytes()
        found = msgspec.json.decode(content, type=_Format).format
        check_format(found, f"the home {path.parent}")
        if found == 1:
            old = msgspec.json.decode(content, type=OldCatalog)
            entries = {name: Entry(one.runs[-1], one.tables, []) for name, one in old.pipelines.items()}
            return Catalog(1, entries, old.runs, old.quarantine)
        return msgspec.json.decode(content, type=Catalog)
    except FileNotFoundError:
        if held := [name for name in _NAMED if (path.parent / name).exists()]:
            raise SojournError(
                "catalog",
                f"the home {path.parent} holds {', '.join(held)} but lost its catalog.json; bring it back from a "
                "backup, or use another home",
            ) from None
        return Catalog(FORMAT, {}, [], [])
    except OSError as error:
        raise SojournError("catalog", f"the catalog {path} cannot be read: {error.strerror}") from error
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise SojournError(
            "catalog",
            f"the catalog {path} is damaged ({error}); bring it back from a backup, or use another home",
        ) from error


def read_old(path: Path) -> OldCatalog:
    """The catalog of format 1 at *path*."""
    return msgspec.json.decode(path.read_bytes(), type=OldCatalog)
