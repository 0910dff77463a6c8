"""Files that were read before: known by their stamp or their content, or read on from where they ended."""

import os
import time
from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from typing import Any

import xxhash
from msgspec import Struct

from sojourn.ledger import Ledger
from sojourn.pipeline import Source
from sojourn.reading.inputs import Input, open_input
from sojourn.reading.sources import UNIT, Start, digest, last_line

GROWING = ("jsonl", "csv", "streams")
"""Formats of lines: a file can grow by more of them."""

_YOUNG = 2_000_000_000
"""Nanoseconds in which a file can change twice and keep its time, by the coarsest clock of a file system."""

_WHOLE = Start()

Stamp = tuple[int, int, int]


class KnownInput(Struct, frozen=True, kw_only=True):
    """A file or stream that the pipeline has read, and what became of its records.

    *path* is the real one, and *stamp* the file's (mtime_ns, ctime_ns, inode); None where it is no file. A ctime of 0
    equals that of no file: the stamp was too young to be relied upon; an mtime of 0, too: the file is another by now.
    *content* is the digest of what was read, of *size* bytes (unpacked), as *read_as* says (a format, and the
    delimiter of CSV). *ledger* is a `Ledger` as plain values, of all that was ever read of it; *until* the end of
    observation that held (epoch microseconds), *run_id* the run that read it last. *end* is the offset behind the last
    line break, *lines* how many lines lie before it; a last line without one gave the kept files *tail*, the share
    *tail_ledger* of the ledger, and quarantined records at *tail_paths*. *refused*: the digests under which its
    quarantined records stand; *files*: the kept files with all that it gave; *header*: what its records cannot be read
    again without (`Landed.headers`).
    """

    source: str
    name: str
    path: str | None
    content: str
    size: int
    stamp: Stamp | None
    is_compressed: bool
    ledger: dict[str, Any]
    until: int | None
    run_id: str
    end: int
    lines: int
    tail: tuple[str, ...]
    read_as: str = ""
    tail_ledger: dict[str, Any] = {}
    tail_paths: tuple[str, ...] = ()
    refused: tuple[str, ...] = ()
    files: tuple[str, ...] = ()
    header: tuple[str, ...] = ()

    @property
    def is_former(self) -> bool:
        """Whether the file at its path has become another since."""
        return self.stamp is not None and self.stamp[0] == 0


@dataclass(frozen=True)
class Reading:
    """What inputs are read for and as: those that were read for the same may be known.

    *is_waiting*: a last line without a line break is left for later.
    """

    name: str
    source: Source
    until: int | None
    is_waiting: bool = False

    @property
    def read_as(self) -> str:
        """The format, and the delimiter of CSV."""
        return self.source.format + (self.source.delimiter if self.source.format == "csv" else "")

    def may_know(self, known: KnownInput) -> bool:
        """Whether *known* was read in just this way."""
        return (known.source, known.until, known.read_as) == (self.name, self.until, self.read_as)


@dataclass(frozen=True)
class Verdict:
    """What is done with one input: skipped for a *known* one, left for later, or read from its *start* on.

    *former* is what it was when it was read before, and is now no more: its last line is withdrawn.
    """

    known: KnownInput | None = None
    former: KnownInput | None = None
    start: Start = _WHOLE
    size: int | None = None
    is_left: bool = False
    remark: str = ""


@dataclass(frozen=True)
class Skipped:
    """An input that gives nothing new: its content, its ledger, and what it was *known* as by an earlier run."""

    content: str
    size: int
    ledger: Ledger
    known: KnownInput | None = None


@dataclass
class Recognised:
    """The inputs of one source that a run has to do with, and what is known of them, by their number.

    *starts*: those that are read, and where each begins. *known*: all that was read in the same way before.
    """

    inputs: list[Input]
    starts: dict[int, Start] = field(default_factory=dict)
    known: list[KnownInput] = field(default_factory=list)
    skipped: dict[int, KnownInput] = field(default_factory=dict)
    former: dict[int, KnownInput] = field(default_factory=dict)
    remarks: list[str] = field(default_factory=list)


def recognise(inputs: Sequence[Input], known: Iterable[KnownInput], reading: Reading) -> Recognised:
    """Look at *inputs* before they are read; content is hashed where nothing else can tell."""
    now = time.time_ns()
    mine = _Known([one for one in known if reading.may_know(one)])
    found = Recognised([], known=mine.all)
    with ThreadPoolExecutor(os.cpu_count() or 1) as pool:  # hashing and reading leave the interpreter to others
        verdicts = list(pool.map(lambda given: _judge(given, mine, reading), inputs))
    taken = {id(verdict.known) for verdict in verdicts if verdict.known is not None}
    for given, verdict in zip(inputs, verdicts, strict=True):
        if verdict.is_left:
            continue
        former = verdict.former
        is_taken = id(former) in taken  # what was one file is two now: one as it was, and one that grew
        number = len(found.inputs)
        found.inputs.append(_settled(given, verdict, now))
        if former is not None and not is_taken:
            taken.add(id(former))
            found.former[number] = former
        if verdict.known is not None:
            found.skipped[number] = verdict.known
        else:
            found.starts[number] = _WHOLE if is_taken else verdict.start
        found.remarks += [verdict.remark] if verdict.remark else []
    return found


def again(known: dict[str, Any]) -> Ledger:
    """The ledger of a file that is read again, by that of the file (as plain values) when it was read.

    Of the notes only `conflicting` would hold again: the others count events that became part of the tables.
    """
    ledger = Ledger.of(known)
    notes = Counter({name: count for name, count in ledger.notes.items() if name == "conflicting"})
    return replace(ledger, accepted=0, duplicate=ledger.candidates, notes=notes)


class _Known:
    """What was read before, by what a file is found by."""

    def __init__(self, known: list[KnownInput]) -> None:
        self.all = known
        self.by_stamp = {(one.path, one.stamp): one for one in known if one.stamp is not None}
        self.sizes = {one.size for one in known}
        self.counts = Counter(one.content for one in known)

    def former(self, path: str, given: Input) -> list[KnownInput]:
        """What the file may have been before it grew, the latest first: at its path, or under another name."""
        assert given.stamp is not None, "a file has one"
        inode = given.stamp[2]
        found = [
            one
            for one in self.all
            if one.stamp is not None and not one.is_compressed and (one.path == path or one.stamp[2] == inode)
        ]
        return found[::-1]


def _judge(given: Input, known: _Known, reading: Reading) -> Verdict:
    if given.stamp is None or given.path is None:
        return Verdict()
    path = os.path.realpath(given.path)
    same = known.by_stamp.get((path, given.stamp))
    is_whole = given.is_compressed or reading.is_waiting or (same is not None and same.size == given.size)
    if same is not None and is_whole and same.is_compressed == given.is_compressed:
        return Verdict(same)
    if given.is_compressed:
        return Verdict()
    if reading.source.format not in GROWING:
        return Verdict(_content(given, given.size, known))
    return _of_lines(given, path, known, reading)


def _of_lines(given: Input, path: str, known: _Known, reading: Reading) -> Verdict:
    """What is done with a plain file of lines that changed, or is new."""
    size = last_line(given) if reading.is_waiting else given.size
    formers = known.former(path, given)
    wanted = {one.size for one in formers if one.size <= given.size} | ({size} & known.sizes)
    contents, units = _contents(given, wanted)
    same = next((one for one in known.all if (one.size, one.content) == (size, contents.get(size))), None)
    grown = next((one for one in formers if one.size < given.size and contents[one.size] == one.content), None)
    alone = grown if grown is not None and known.counts[grown.content] == 1 else None
    if alone is not None and reading.is_waiting and size <= alone.size:
        return Verdict(alone, size=alone.size)  # its last line is still being written
    if size == 0 < given.size:
        return Verdict(is_left=True)
    if same is not None:
        return Verdict(same, alone, size=size)
    if alone is not None:
        whole = alone.end // UNIT
        return Verdict(former=alone, start=Start(alone.end, alone.lines, b"".join(units[:whole])), size=size)
    return Verdict(size=size, remark="" if grown is not None else _remark(given, path, formers))


def _remark(given: Input, path: str, formers: list[KnownInput]) -> str:
    """What a person is told of a file that is read whole again, because it is not what it was."""
    before = next((one for one in formers if one.path == path and not one.is_former), None)
    if before is None:
        return ""
    how = "is shorter than" if given.size < before.size else "does not begin as"
    return f"{given.name} {how} it was when it was last read; it is read from its beginning"


def _content(given: Input, size: int, known: _Known) -> KnownInput | None:
    if size not in known.sizes:
        return None
    contents, _ = _contents(given, {size})
    return next((one for one in known.all if (one.size, one.content) == (size, contents[size])), None)


def _contents(given: Input, sizes: Collection[int]) -> tuple[dict[int, str], list[bytes]]:
    """The digest of the file's first bytes, so many as each of *sizes* says; and those of its whole units."""
    found: dict[int, str] = {}
    units: list[bytes] = []
    if not sizes:
        return found, units
    assert given.path is not None, "a file has one"
    with open_input(given.path, given.name) as file:
        position = 0
        for size in sorted(sizes):
            while size - position >= UNIT:
                units.append(digest(file.read(UNIT)))
                position += UNIT
            rest = file.read(size - position)
            file.seek(position)
            found[size] = digest_of(b"".join([*units, *([digest(rest)] if rest else [])]))
    return found, units


def digest_of(digests: bytes | bytearray) -> str:
    """The digest of a whole content, of those of its units one after another."""
    return str(xxhash.xxh3_128(digests).hexdigest())


def is_young(given: Input) -> bool:
    """Whether a file has changed just now: it may change again and keep its stamp."""
    return given.stamp is not None and given.stamp[1] > time.time_ns() - _YOUNG


def _settled(given: Input, verdict: Verdict, now: int) -> Input:
    """The input as it is read and remembered: its size, and a stamp that no later change can keep."""
    stamp = given.stamp
    if stamp is not None and stamp[1] > now - _YOUNG:
        stamp = (stamp[0], 0, stamp[2])
    return replace(given, size=given.size if verdict.size is None else verdict.size, stamp=stamp)
