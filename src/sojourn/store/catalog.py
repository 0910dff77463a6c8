"""The one file of a home that says what is current."""

from pathlib import Path
from typing import Annotated, Any

import msgspec

from sojourn.errors import SojournError
from sojourn.store.base import FORMAT, check_format


class Entry(msgspec.Struct):
    """A pipeline in the catalog: its snapshots by run (the current last), and what they rest on."""

    runs: Annotated[list[str], msgspec.Meta(min_length=1)]
    tables: dict[str, int]
    files: list[str]
    events: int
    reading: dict[str, Any]


class Catalog(msgspec.Struct):
    """The one file that says what is current. Whatever it does not name is garbage."""

    format: int = FORMAT
    pipelines: dict[str, Entry] = {}
    runs: list[str] = []
    quarantine: list[str] = []


class _Format(msgspec.Struct):
    format: int = FORMAT


def read(path: Path) -> Catalog:
    """The catalog at *path*; an empty one where there is none."""
    try:
        content = path.read_bytes()
        check_format(msgspec.json.decode(content, type=_Format).format, f"the home {path.parent}")
        return msgspec.json.decode(content, type=Catalog)
    except FileNotFoundError:
        return Catalog()
    except OSError as error:
        raise SojournError("catalog", f"the catalog {path} cannot be read: {error.strerror}") from error
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise SojournError(
            "catalog",
            f"the catalog {path} is damaged ({error}); bring it back from a backup, or use another home",
        ) from error


def published(catalog: Catalog) -> list[dict[str, Any]]:
    """Every published table: pipeline, table, rows, run_id."""
    return [
        {"pipeline": name, "table": table, "rows": rows, "run_id": entry.runs[-1]}
        for name, entry in sorted(catalog.pipelines.items())
        for table, rows in entry.tables.items()
    ]
