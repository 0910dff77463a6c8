"""Who is forgotten: keyed hashes of actors, and the drop rule that keeps them out of every run.

An actor is hashed in the form that a field of its type gives it, so that `42` and `042` are one where actors are
integers, and two where they are text. Whoever has the hashes without the key can't tell whether somebody is among them.
"""

import hashlib
import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Protocol

import msgspec
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from sojourn import times
from sojourn.errors import SojournError
from sojourn.pipeline import Source
from sojourn.reading.block import Block
from sojourn.reading.tokens import of_reject, values

FILE = "forgotten.json"
"""Where a home keeps the key and the hashes."""

ACTORS = ("actor", "user_id")
"""The fields whose value is an actor; of devices it is their owner."""

KINDS = ("text", "integer", "number")
"""The sorts of values that an actor can be."""

_INTEGER = re.compile(r"-?[0-9]+", re.ASCII)
_TEXTS = re.compile(rb'"((?:[^"\\\n]|\\.)*+)"|(-?[0-9][0-9.eE+-]*+)')  # never past a line's end


class Names(Protocol):
    """Knows certain actors."""

    def names(self, kind: str, form: str) -> bool:
        """Whether the actor in this *form*, which a field of this *kind* gives it, is one of them."""


class Hashes(msgspec.Struct):
    """The file of the home: a *key*, and with it the *hashes* of actors by pipeline (empty: all), both as hex."""

    key: str
    hashes: dict[str, list[str]]


@dataclass(frozen=True)
class Forgotten:
    """Actors who are kept out of the runs of one pipeline: those forgotten there, and those forgotten everywhere.

    *hashes* by pipeline, as in the file: only the one's own, and those of all.
    """

    key: bytes = b""
    hashes: Mapping[str, frozenset[str]] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return bool(self.hashes)

    def names(self, kind: str, form: str) -> bool:
        """Whether the actor is forgotten."""
        return any(_hashed(self.key, scope, kind, form) in known for scope, known in self.hashes.items())


NOBODY = Forgotten()


def hashes_of(key: bytes, actor: str, pipeline: str) -> set[str]:
    """The hashes by which *actor* is known, in one *pipeline* or (an empty name) in all."""
    return {_hashed(key, pipeline, kind, form) for kind, form in forms(actor)}


def _hashed(key: bytes, scope: str, kind: str, form: str) -> str:
    whole = f"{scope}\0{kind}\0{form}".encode("utf-8", "surrogatepass")
    return hashlib.blake2b(whole, key=key, digest_size=32).hexdigest()


def load(home: Path, pipeline: str) -> Forgotten:
    """Who is forgotten in *home*, for the runs of *pipeline*. Raises `SojournError` where that is lost."""
    found = read(home)
    if found is None:
        return NOBODY
    scopes = {"", pipeline} & found.hashes.keys()
    return Forgotten(bytes.fromhex(found.key), {scope: frozenset(found.hashes[scope]) for scope in scopes})


def read(home: Path) -> Hashes | None:
    """The file of *home*, if it has one. Raises `SojournError` where that is damaged."""
    path = home / FILE
    try:
        found = msgspec.json.decode(path.read_bytes(), type=Hashes)
        bytes.fromhex(found.key)
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        said = "who was forgotten would come back without it: bring it back from a backup"
        raise SojournError("forgotten", f"the file {path} cannot be read ({error}); {said}") from error
    return found


def forms(actor: str) -> Iterator[tuple[str, str]]:
    """Each kind of value that the text *actor* can be, and the form that it then has."""
    for kind in KINDS:
        if (form := form_of(actor, kind)) is not None:
            yield kind, form


def form_of(text: str, kind: str) -> str | None:
    """The one form of *text* as a value of this *kind*; None where it is none."""
    if kind == "integer":
        is_one = len(text) <= 40 and _INTEGER.fullmatch(text) is not None
        return str(int(text)) if is_one else None
    if kind == "number":
        return repr(float(text)) if times.is_number(text) else None
    return text


def actors_of(source: Source) -> dict[str, str]:
    """The fields of *source* whose value is an actor, and of which kind it is."""
    named = {name: source.fields[name].type for name in ACTORS if name in source.fields}
    return {name: kind if kind in KINDS else "text" for name, kind in named.items()}


def kinds_of(source: Source) -> set[str]:
    """What kinds of values in the text of a record can be an actor: none where a source knows no actors."""
    return {*actors_of(source).values(), *(["text"] if source.format == "streams" else [])}


def is_named(texts: Iterable[str], kinds: set[str], names: Names) -> bool:
    """Whether one of *texts*, as a value of one of *kinds*, is an actor that *names* knows."""
    found = ((kind, form_of(text, kind)) for text in texts for kind in kinds)
    return any(form is not None and names.names(kind, form) for kind, form in found)


def without(read: Block, text: bytes, source: Source, forgotten: Forgotten) -> Block:
    """A block of records without those that name a forgotten actor: they count as dropped.

    Events by their actor; rejects by any piece of what would be kept of them, which is to say that here a drop rule
    comes before the contract. Of streams (*text* are the block's lines) whole sessions: their ids are given with the
    block, to be withdrawn when all is read.
    """
    if not forgotten:
        return read
    events = read.events
    for name, kind in actors_of(source).items():
        events = events.filter(pc.invert(_are_named(events[name], kind, forgotten)))
    is_kept = _kept(read.rejects, source, forgotten)
    rejects, gone = read.rejects.filter(is_kept), read.rejects.filter(pc.invert(is_kept))
    read.ledger.quarantined.subtract(gone["reason"].to_pylist())
    dropped = read.events.num_rows - events.num_rows + gone.num_rows
    if dropped:
        read.ledger.dropped["forgotten"] += dropped
    sessions = sessions_in(text, kinds_of(source), forgotten) if source.format == "streams" else frozenset()
    return replace(read, events=events, rejects=rejects, sessions=read.sessions | sessions)


def sessions_in(lines: bytes, kinds: set[str], names: Names) -> frozenset[str]:
    """The sessions of those messages among *lines* that name an actor: by their id, or any of their values."""
    texts = {found[1] if found[2] is None else found[2] for found in _TEXTS.finditer(lines)}
    if not any(b"\\" in text or is_named({text.decode("utf-8", "replace")}, kinds, names) for text in texts):
        return frozenset()
    found = set()
    for line in lines.split(b"\n"):
        told = values(line.decode("utf-8", "surrogateescape"), with_keys=False) or set()
        if is_named(told, kinds, names):
            with suppress(msgspec.DecodeError, UnicodeDecodeError):  # no message: it is refused, not landed
                found.add(_SESSION.decode(line).session_id)
    return frozenset(found)


def withdraw(file: Path, sessions: frozenset[str]) -> int:
    """Take the events of *sessions* out of a landed Parquet *file*, which goes when nothing is left; their count."""
    table = pq.read_table(file)
    kept = table.filter(pc.invert(pc.is_in(table["session_id"], value_set=pa.array(list(sessions), pa.string()))))
    gone: int = table.num_rows - kept.num_rows
    if gone and kept.num_rows:
        pq.write_table(kept, file, compression="lz4", write_statistics=False)
    elif gone:
        file.unlink()
    return gone


class _Line(msgspec.Struct):
    session_id: str


_SESSION = msgspec.json.Decoder(_Line)


def _are_named(column: pa.ChunkedArray, kind: str, names: Names) -> pa.ChunkedArray:
    """Which values of a *column* are actors that *names* knows; each distinct one is hashed once."""
    distinct = pc.unique(column)
    known = [value is not None and names.names(kind, _form(value)) for value in distinct.to_pylist()]
    return pc.is_in(column, value_set=distinct.filter(pa.array(known, pa.bool_())), skip_nulls=True)


def _form(value: object) -> str:
    return repr(value) if isinstance(value, float) else str(value)


def _kept(rejects: pa.Table, source: Source, names: Names) -> pa.Array:
    """Which *rejects* name nobody that *names* knows."""
    kinds = kinds_of(source)
    delimiter = source.delimiter if source.format == "csv" else None
    rows = rejects.select(["raw", "value", "reason"]).to_pylist() if kinds else []
    told = (is_named(of_reject(row["raw"], row["value"], delimiter, row["reason"]), kinds, names) for row in rows)
    return pa.array([not named for named in told] if kinds else [True] * rejects.num_rows, pa.bool_())
