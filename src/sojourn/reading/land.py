"""Landing: inputs become tasks, and what readers make of them is put together."""

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from itertools import chain, islice

from sojourn.errors import UsageError
from sojourn.ledger import Ledger
from sojourn.reading.again import types_of
from sojourn.reading.csv import header_of
from sojourn.reading.documents import refuse_documents
from sojourn.reading.forgotten import withdraw
from sojourn.reading.inputs import Input, refuse_repeated
from sojourn.reading.known import KnownInput, Recognised, Skipped, again, digest_of
from sojourn.reading.readers import Landing, Part, in_processes, in_this_process, workers_of
from sojourn.reading.sources import Start, Task, first_line, tasks

Execute = Callable[[Iterator[Task], Landing], Iterator[Part]]
"""How tasks are read: each by `readers.read_apart`, anywhere."""


@dataclass
class Landed:
    """All parts of one source's inputs in the order of the content, and where they lie.

    *read_before*: the contents' digests, where the inputs are records of earlier ones that are read again. *headers*:
    by the number of an input, what its records cannot be read without: the columns of CSV, the types of Parquet.
    *starts*: where the inputs that were read begin, *former*: what those were before that grew, *skipped*: those that
    give nothing new; each by the number of an input.
    """

    landing: Landing
    inputs: list[Input]
    parts: list[Part] = field(default_factory=list)
    read_before: list[str] = field(default_factory=list)
    headers: dict[int, tuple[str, ...]] = field(default_factory=dict)
    starts: dict[int, Start] = field(default_factory=dict)
    former: dict[int, KnownInput] = field(default_factory=dict)
    skipped: dict[int, Skipped] = field(default_factory=dict)

    def ledgers(self) -> list[Ledger]:
        """What each input's records came to, as far as reading can tell."""
        ledgers = [Ledger() for _ in self.inputs]
        for part in self.parts:
            ledgers[part.input_number].add(part.ledger)
        for number, skipped in self.skipped.items():
            ledgers[number].add(skipped.ledger)
        for number, former in self.former.items():
            ledgers[number].notes += Counter(withdrawn=former.tail_ledger.get("read", 0))
        return ledgers

    def contents(self) -> list[str]:
        """A digest of each input's content."""
        if self.read_before:
            return self.read_before
        digests = [bytearray() for _ in self.inputs]
        for part in self.parts:
            digests[part.input_number] += part.digests
        found = map(digest_of, digests)
        return [self.skipped[at].content if at in self.skipped else read for at, read in enumerate(found)]

    def sizes(self) -> list[int]:
        """The bytes of each input's content."""
        read = [0] * len(self.inputs)
        for part in self.parts:
            read[part.input_number] += part.bytes_in
        known = {at: skipped.size for at, skipped in self.skipped.items()}
        whole = {at: given.size for at, given in enumerate(self.inputs) if not given.is_stream}
        return list(({**dict(enumerate(read)), **whole, **known}).values())

    def lines_before(self) -> dict[int, int]:
        """Part number -> lines of its input that come before it."""
        before: dict[int, int] = {}
        counts = [self.starts.get(at, Start()).lines for at in range(len(self.inputs))]
        for part in self.parts:
            before[part.number] = counts[part.input_number]
            counts[part.input_number] += part.lines
        return before


def land(
    inputs: list[Input],
    landing: Landing,
    *,
    progress: Callable[[int], None],
    found: Recognised | None = None,
    execute: Execute | None = None,
) -> Landed:
    """Read *inputs* into Parquet files; *progress* is told the bytes as they are done.

    Tasks are read by processes of this machine, or by what *execute* is.

    Of inputs of which something was *found* to be known only the rest is read, and what turns out to be known when it
    is read is discarded.
    """
    source = landing.source
    found = found or Recognised(inputs, {at: Start() for at in range(len(inputs))})
    read = [inputs[at] for at in found.starts]
    skipped = {at: Skipped(one.content, one.size, again(one.ledger), one) for at, one in found.skipped.items()}
    landed = Landed(landing, inputs, starts=found.starts, former=found.former, skipped=skipped)
    progress(sum(inputs[at].size for at in skipped) + sum(start.offset for start in found.starts.values()))
    todo: Iterator[Task]
    if source.format == "parquet":
        wanted = {declared.keys("parquet")[0] for declared in source.fields.values()}
        landed.headers |= zip(found.starts, (types_of(given, wanted) for given in _files_only(read)), strict=True)
        todo = (Task(at, at, inputs[at], 0, inputs[at].size) for at in found.starts)
    elif source.format == "csv":
        todo = _with_headers(tasks(inputs, workers_of(landing), found.starts), landed)
    else:
        for given in read:
            if given.messages is None:
                refuse_documents(given)
        todo = _no_documents(tasks(inputs, workers_of(landing), found.starts))
    land_tasks(todo, landed, progress=progress, execute=execute)
    _discard_known(landed, found.known)
    return landed


def _discard_known(landed: Landed, known: list[KnownInput]) -> None:
    """Discard what came of inputs with a content that was read before, which only reading could tell.

    Where every record counts, however many are equal, this holds for contents that were read in the same run, too.
    """
    first: dict[tuple[str, int], KnownInput | None] = {}
    if any(given.is_stream for given in landed.inputs):
        first |= {(one.content, one.size): one for one in known}
    keeps_all = not landed.landing.source.identity
    contents = list(zip(landed.contents(), landed.sizes(), strict=True))
    ledgers = landed.ledgers()
    for at in landed.starts:
        given, content = landed.inputs[at], contents[at]
        if given.messages is not None or not content[1]:
            continue
        if content in first and (given.is_stream or keeps_all):
            same = first[content]
            ledger = again(same.ledger if same is not None else ledgers[at].as_dict())
            landed.skipped[at] = Skipped(*content, ledger, same)
        elif keeps_all:
            first[content] = None
    for part in landed.parts:
        if part.input_number in landed.skipped:
            landed.landing.event_file(part.number).unlink(missing_ok=True)
            landed.landing.reject_file(part.number).unlink(missing_ok=True)
    landed.parts = [part for part in landed.parts if part.input_number not in landed.skipped]


def land_tasks(
    todo: Iterator[Task], landed: Landed, *, progress: Callable[[int], None], execute: Execute | None = None
) -> Landed:
    """Read the tasks *todo* of the inputs of *landed* into Parquet files."""
    landing = landed.landing
    landing.folder.mkdir(parents=True, exist_ok=True)
    first = list(islice(todo, 2))
    if execute is not None:
        results: Iterator[Part] = execute(chain(first, todo), landing)
    elif len(first) < 2:
        results = in_this_process(first, landing)
    else:
        results = in_processes(chain(first, todo), landing)
    for part in results:
        landed.parts.append(part)
        progress(part.bytes_in)
    landed.parts.sort(key=lambda part: part.number)
    _withdraw(landed)
    return landed


def _withdraw(landed: Landed) -> None:
    """Take back every event of the sessions in which somebody who is forgotten was found, in whichever part."""
    sessions = frozenset[str]().union(*(part.sessions for part in landed.parts))
    for at, part in enumerate(landed.parts if sessions else ()):
        gone = withdraw(landed.landing.event_file(part.number), sessions) if part.rows else 0
        if gone:
            part.ledger.dropped["forgotten"] += gone
            landed.parts[at] = replace(part, rows=part.rows - gone)


def _no_documents(todo: Iterator[Task]) -> Iterator[Task]:
    """The same tasks; a stream that turns out to be one JSON document is one clear error."""
    for task in todo:
        if task.start == 0 and task.content is not None:
            refuse_documents(task)
        yield task


def _with_headers(todo: Iterator[Task], landed: Landed) -> Iterator[Task]:
    """CSV tasks that know their input's columns; a required column that is missing is one clear error."""
    header: tuple[str, ...] = ()
    is_line, source = False, landed.landing.source
    for task in todo:
        if task.input_number not in landed.headers:
            header, is_line = header_of(first_line(task), source)
            landed.headers[task.input_number] = header
            refuse_repeated(task.input, header, {declared.keys("csv")[0] for declared in source.fields.values()})
            for name, declared in source.fields.items():
                if declared.required and declared.keys("csv")[0] not in header:
                    raise UsageError(
                        "unknown_column",
                        f"{task.input.name} has no column {declared.keys('csv')[0]!r} (the field {name}); "
                        f"its first line {'names ' + ', '.join(header) if any(header) else 'is blank'}; for files "
                        "without a header line name the columns in the pipeline: columns = [...]",
                    )
        yield replace(task, header=header, has_header_line=is_line and task.first == 0)


def _files_only(inputs: list[Input]) -> list[Input]:
    for given in inputs:
        if given.is_stream:
            raise UsageError("not_a_file", f"Parquet is read from uncompressed files only, not from {given.name}")
    return inputs
