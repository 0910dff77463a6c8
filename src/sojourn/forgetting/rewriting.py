"""Event files without the rows of those who are forgotten, and what is then known of the inputs that gave them."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from msgspec.structs import replace

from sojourn.engines import duckdb as engine
from sojourn.forgetting import scan
from sojourn.forgetting.known import Actors
from sojourn.ledger import Ledger
from sojourn.reading.known import KnownInput
from sojourn.store.manifest import KeptFile


@dataclass(frozen=True)
class Rewritten:
    """A kept file that held somebody: how many of its rows are *gone*, and where the rest lies, if anything is left."""

    file: KeptFile
    gone: int
    path: Path | None


def rewrite(
    files: Sequence[tuple[KeptFile, Path]], held: Mapping[Path, int], actors: Actors, folder: Path, *, streams: bool
) -> list[Rewritten]:
    """Write those of the kept *files* that *held* rows of the *actors* anew into *folder*, without these rows."""
    folder.mkdir(parents=True, exist_ok=True)
    done = []
    with engine.connect(spill=folder / "spill") as connection:
        for number, (file, path) in enumerate(files):
            if path not in held:
                continue
            source = Path(file.name).name.partition("-")[0]
            target = folder / f"{source}-{number:06d}.parquet"
            rows = engine.parquet([path])
            columns = {row[0]: row[1] for row in connection.execute(f"describe from {rows}").fetchall()}
            condition = scan.of_events(columns, actors, streams=streams)
            rest = f"from {rows} where not coalesce({condition}, false)"
            connection.execute(f"copy ({rest}) to {engine.quote(str(target))} (format parquet, compression lz4_raw)")
            is_empty = held[path] == file.rows
            if is_empty:
                target.unlink()
            done.append(Rewritten(file, held[path], None if is_empty else target))
    return done


def corrected(
    known: Iterable[KnownInput],
    gone: Mapping[str, int],
    names: Mapping[str, str | None],
    refused: Sequence[Mapping[str, Any]],
) -> tuple[KnownInput, ...]:
    """What is *known* of inputs after rows are *gone* (how many, by kept file), as reading them again would find it.

    *names*: what rewritten files are called now, None for those of which nothing is left. *refused*: quarantined
    records that are gone.
    """
    return tuple(_corrected(one, gone, names, refused) for one in known)


def _corrected(
    one: KnownInput,
    gone: Mapping[str, int],
    names: Mapping[str, str | None],
    refused: Sequence[Mapping[str, Any]],
) -> KnownInput:
    mine = [row for row in refused if row["source"] == one.source and row["content"] in (one.content, *one.refused)]
    last = [row for row in mine if row["line"] == one.lines + 1 and row["path"] in one.tail_paths]
    tail_gone = sum(gone.get(name, 0) for name in one.tail)
    paths = {row["path"] for row in last}
    return replace(
        one,
        ledger=_without(one.ledger, sum(gone.get(name, 0) for name in one.files), mine),
        tail_ledger=_without(one.tail_ledger, tail_gone, last) if one.tail_ledger else {},
        tail_paths=tuple(path for path in one.tail_paths if path not in paths),
        files=tuple(_renamed(one.files, names)),
        tail=tuple(_renamed(one.tail, names)),
    )


def _renamed(files: Iterable[str], names: Mapping[str, str | None]) -> list[str]:
    found = [names.get(name, name) for name in files]
    return [name for name in found if name is not None]


def _without(plain: dict[str, Any], rows: int, refused: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """The ledger as if so many records, and those *refused*, had been dropped."""
    ledger = Ledger.of(plain)
    accepted = min(rows, ledger.accepted)
    ledger.accepted -= accepted
    ledger.duplicate -= rows - accepted
    ledger.quarantined -= Counter(row["reason"] for row in refused)
    if rows or refused:
        ledger.dropped["forgotten"] += rows + len(refused)
    return ledger.as_dict()
