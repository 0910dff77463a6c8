"""What is known after a run: each input's content and outcome, so that no later run reads it in vain."""

import os
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator

import pyarrow.parquet as pq
from msgspec.structs import replace

from sojourn.ledger import Ledger
from sojourn.reading.inputs import Input
from sojourn.reading.known import GROWING, KnownInput, Reading
from sojourn.reading.land import Landed
from sojourn.reading.readers import Part

Settle = Callable[[Part], Ledger]
Kind = tuple[str, str, int | None, str]


def remember(
    known: Iterable[KnownInput], landed: Landed, ledgers: list[Ledger], settle: Settle, reading: Reading, run: str
) -> list[KnownInput]:
    """All that is *known* after one source has *landed*.

    *ledgers* are those of its inputs in the end, *settle* gives a part's. *run* is the folder of its kept files,
    ``pipeline/run_id``.
    """
    fresh: list[KnownInput] = []
    for number, given in enumerate(landed.inputs):
        skipped = landed.skipped.get(number)
        if given.messages is not None:
            continue  # a journal is read anew by every run
        if skipped is None:
            fresh.append(_entry(landed, number, ledgers[number], settle, reading, run))
        elif skipped.known is None:  # equal to one before it
            same = next(entry for entry in fresh if entry.content == skipped.content)
            fresh.append(_here(same, given))
        elif given.stamp is not None:
            fresh.append(_here(skipped.known, given))
    return list(_without_twins([*_earlier(known, landed, fresh, reading), *fresh]))


def _entry(landed: Landed, number: int, ledger: Ledger, settle: Settle, reading: Reading, run: str) -> KnownInput:
    """What is to be remembered of an input that was read."""
    given, content, former = landed.inputs[number], landed.contents()[number], landed.former.get(number)
    refused = former.refused if former is not None else ()
    entry = KnownInput(
        source=reading.name,
        name=given.name,
        path=None,
        content=content,
        size=landed.sizes()[number],
        stamp=None,
        is_compressed=given.is_compressed,
        ledger=_whole(ledger, former).as_dict(),
        until=reading.until,
        run_id=run.rpartition("/")[2],
        read_as=reading.read_as,
        refused=(*refused, content) if ledger.quarantined else refused,
        files=tuple(_files(landed, number, run)),
        header=landed.headers.get(number, ()),
        end=0,
        lines=0,
        tail=(),
    )
    if given.stamp is None:
        return entry
    is_growing = not given.is_compressed and reading.source.format in GROWING
    return _here(_with_end(entry, landed, number, settle, run) if is_growing else entry, given)


def _files(landed: Landed, number: int, run: str) -> Iterator[str]:
    """The kept files with what an input gave, in earlier runs too, but for a last line that was withdrawn."""
    former = landed.former.get(number)
    if former is not None:
        yield from (name for name in former.files if name not in former.tail)
    for part in landed.parts:
        if part.input_number == number and part.rows:
            yield f"{run}/{landed.landing.event_file(part.number).name}"


def _here(entry: KnownInput, given: Input) -> KnownInput:
    """The entry of what has the same content, for the file *given*."""
    path = os.path.realpath(given.path) if given.path is not None and given.stamp is not None else None
    return replace(entry, name=given.name, path=path, stamp=given.stamp, is_compressed=given.is_compressed)


def _whole(ledger: Ledger, former: KnownInput | None) -> Ledger:
    """The ledger of all of a file that was read now, or what of it was not read before."""
    whole = Ledger()
    whole.add(ledger)
    del whole.notes["withdrawn"]
    if former is not None:
        whole.add(Ledger.of(former.ledger).without(Ledger.of(former.tail_ledger or Ledger().as_dict())))
    return whole


def _with_end(entry: KnownInput, landed: Landed, number: int, settle: Settle, run: str) -> KnownInput:
    """The entry of a file that may grow, with where it ends, and what came of a last line without a line break."""
    parts = [part for part in landed.parts if part.input_number == number]
    lines = landed.starts[number].lines + sum(part.lines for part in parts if not part.tail)
    entry = replace(entry, end=entry.size - sum(part.tail for part in parts), lines=lines)
    tail = next((part for part in parts if part.tail), None)
    if tail is None:
        return entry
    rejects = pq.read_table(landed.landing.reject_file(tail.number), columns=["path"]) if tail.rejects else None
    return replace(
        entry,
        tail=(f"{run}/{landed.landing.event_file(tail.number).name}",) if tail.rows else (),
        tail_ledger=settle(tail).as_dict(),
        tail_paths=tuple(rejects["path"].to_pylist()) if rejects is not None else (),
    )


def _earlier(
    known: Iterable[KnownInput], landed: Landed, fresh: list[KnownInput], reading: Reading
) -> Iterator[KnownInput]:
    """What was known and still is: not what grew, nor what stands for the same file as something *fresh*."""
    grown = {id(former) for former in landed.former.values()}
    now = {entry.path: entry for entry in fresh if entry.path is not None}
    for entry in known:
        other = now.get(entry.path or "") if entry.source == reading.name else None
        if id(entry) in grown or (other is not None and _kind(other) == _kind(entry)):
            continue
        is_former = other is not None and other.content != entry.content and entry.stamp is not None
        yield replace(entry, stamp=(0, 0, entry.stamp[2])) if is_former and entry.stamp is not None else entry


def _without_twins(entries: list[KnownInput]) -> Iterator[KnownInput]:
    """The entries without those of files that became others, where another file has the same content.

    Files of one content share what their last line gave: the last of them that grows withdraws it.
    """
    groups: dict[Kind, list[KnownInput]] = defaultdict(list)
    for entry in entries:
        groups[_kind(entry)].append(entry)
    for entry in entries:
        group = groups[_kind(entry)]
        if entry.is_former and any(not other.is_former for other in group):
            continue
        tail = dict.fromkeys(name for other in group for name in other.tail)
        yield replace(entry, tail=tuple(tail)) if len(tail) > len(entry.tail) else entry


def _kind(entry: KnownInput) -> Kind:
    """What two inputs have in common that are one to a run."""
    return entry.source, entry.content, entry.until, entry.read_as
