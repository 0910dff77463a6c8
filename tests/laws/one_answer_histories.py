"""Everything that can happen to a home, in any order, beside a model of the records that count.

The model holds contents of files and the TOML that was in force; the reference makes tables of them. A machine is what
Hypothesis plays: `histories` gives the class for a trade and a kind of place.
"""

from __future__ import annotations

import shutil
import subprocess
import time
from collections import Counter
from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any, ClassVar

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from tests.command import Result
from tests.laws.adapt import Table
from tests.laws.homes import plain_rows
from tests.laws.one_answer import File, compare, roads
from tests.laws.one_answer_shops import TRADES, Trade
from tests.store.places import Place, end

SEEDS = st.integers(0, 1 << 32)
LINES = st.lists(SEEDS, min_size=1, max_size=8, unique=True)
ENDS = st.sampled_from(["whole", "whole", "bare", "cut"])
CHANCE = st.integers(0, 1 << 16)
_ADDING = ("add", "grow", "write_anew", "add_overlapping", "add_stream")


@dataclass
class State:
    """What one run left: of each path the contents that it had and that count, the latest last; streams; the TOML."""

    held: dict[str, list[bytes]] = field(default_factory=dict)
    loose: list[bytes] = field(default_factory=list)
    text: str = ""

    def files(self) -> list[File]:
        """Every content once."""
        found = {content: name for name, contents in self.held.items() for content in contents}
        found |= {content: "events-" for content in self.loose if content not in found}
        return [File(name.partition("-")[0], name, content) for content, name in found.items()]

    def read(self, name: str, content: bytes) -> None:
        """The file *name* holds *content* now: it grew, became another, or is what it was."""
        contents = self.held.setdefault(name, [])
        if content in contents:
            contents.remove(content)
        elif (former := next((one for one in reversed(contents) if content.startswith(one)), None)) is not None:
            contents.remove(former)
        contents.append(content)


class Histories(RuleBasedStateMachine):
    """One home, from its first run on."""

    trade: Trade
    place: Callable[[], Place]
    is_killing = False
    seen: ClassVar[Counter[str]] = Counter()

    @initialize(seeds=LINES, chance=CHANCE)
    def begin(self, seeds: list[int], chance: int) -> None:
        """The first run."""
        self.at = type(self).place()
        self.folder = self.at.home.parent
        shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.mkdir(parents=True)
        self.ruled = self.contract = self.number = 0
        self.state, self.run_id = State(), ""
        self.forgotten: set[str] = set()
        self.known: dict[str, State] = {}
        self.write_pipeline()
        self.add(seeds, "whole", chance)

    # what happens

    @rule(seeds=LINES, how=ENDS, chance=CHANCE)
    def add(self, seeds: list[int], how: str, chance: int) -> None:
        """A run over a new file, of each source now and then; its last line may have no line break, or no end."""
        source = Random(chance).choice(self.trade.sources)
        files = {self.new_name(source): self.lines(source, seeds, how)}
        if self.number <= len(self.trade.sources) or chance % 5 == 0:
            files |= {self.new_name(one): self.lines(one, seeds[::-1], "whole") for one in self.trade.sources}
        self.run(files)

    @precondition(lambda self: self.state.held)
    @rule(seeds=LINES, how=ENDS, chance=CHANCE)
    def grow(self, seeds: list[int], how: str, chance: int) -> None:
        """A run over a file that has more lines now; what had no line break goes on, and may become another record."""
        name, before = self.some_file(chance)
        if not before.endswith(b"\n") and self.is_shared(before):
            return  # which of two equal files goes on with its last line, only their names could tell
        between = b"" if before.endswith(b"\n") else Random(chance).choice([b"\n", b"\n", b" \n", b"x\n", b"0\n"])
        self.run({name: before + between + self.lines(name.partition("-")[0], seeds, how)})

    @precondition(lambda self: self.state.held)
    @rule(seeds=LINES, chance=CHANCE)
    def write_anew(self, seeds: list[int], chance: int) -> None:
        """A run over a file that has become another; what was read of it still counts."""
        name, before = self.some_file(chance)
        if before.endswith(b"\n") or not self.is_shared(before):
            self.run({name: self.lines(name.partition("-")[0], seeds, "whole")})

    @precondition(lambda self: self.state.held)
    @rule(chance=CHANCE)
    def add_again(self, chance: int) -> None:
        """A run over a file that was read before, under its name or another."""
        name, content = self.some_file(chance)
        is_copied = chance % 2 and content.endswith(b"\n")
        self.run({self.new_name(name.partition("-")[0]) if is_copied else name: content})

    @precondition(lambda self: self.state.held and self.trade.is_deduped)
    @rule(seeds=LINES, chance=CHANCE)
    def add_overlapping(self, seeds: list[int], chance: int) -> None:
        """A run over a file with lines of another and new ones, mixed."""
        name, content = self.some_file(chance)
        source, rng = name.partition("-")[0], Random(chance)
        lines = [*content.split(b"\n"), *(self.trade.line(source, seed) for seed in seeds)]
        chosen = [line for line in lines if rng.random() < 0.7]
        rng.shuffle(chosen)
        self.run({self.new_name(source): self.unlike(b"\n".join(chosen))})

    @rule(seeds=LINES, how=ENDS)
    def add_stream(self, seeds: list[int], how: str) -> None:
        """A run over standard input."""
        content = self.lines("events", seeds, how)
        self.ran(self.call("run", self.toml, self.sourced("events", "-"), stdin=content), lambda: self.loosen(content))

    @rule(seeds=LINES)
    def start_over(self, seeds: list[int]) -> None:
        """A run that replaces all that was."""
        files = {self.new_name(source): self.lines(source, seeds, "whole") for source in self.trade.sources}
        self.run(files, "--mode", "replace")

    @rule(seeds=LINES)
    def refuse(self, seeds: list[int]) -> None:
        """A run over its limit of quarantined records changes nothing."""
        content = b"oops\n" + self.lines("events", seeds, "whole")
        told = self.call("run", self.toml, *self.write({self.new_name("events"): content}), "--max-quarantined", "0")
        assert told.status == 3, told.err

    @precondition(lambda self: len(self.trade.rules) > 1)
    @rule(seeds=LINES, chance=CHANCE, is_rebuilt=st.booleans())
    def change_rules(self, seeds: list[int], chance: int, is_rebuilt: bool) -> None:
        """Another gap, or other fleets: the next run, or a rebuild, computes everything by it."""
        self.ruled = (self.ruled + 1 + chance) % len(self.trade.rules)
        self.write_pipeline()
        if is_rebuilt:
            self.rebuild()
        else:
            self.add(seeds, "whole", chance)

    @rule()
    def rebuild(self) -> None:
        """All tables once more, from kept events."""
        self.ran(self.call("rebuild", self.toml), lambda: None)

    @precondition(lambda self: self.trade.contracts > 1)
    @rule()
    def mend(self) -> None:
        """A contract that accepts more, and a replay: quarantined records of what counts count, too."""
        self.contract = 1
        self.write_pipeline()
        told = self.call("quarantine", "replay", "--pipeline", self.toml)
        assert told.status == 0, told.err
        self.state.text = self.text if self.published() != self.run_id else self.state.text
        self.note()
        if self.state.text != self.text and self.state.files():
            self.ran(self.call("rebuild", self.toml), lambda: None)  # a rule, too, had changed

    @rule(chance=CHANCE)
    def roll_back(self, chance: int) -> None:
        """An earlier run's tables are the current ones again; the pipeline's file is what it was then."""
        runs = [str(kept.run_id) for kept in self.at.open().kept_runs("trade") if kept.run_id != self.run_id]
        if not runs:
            return
        chosen = Random(chance).choice(runs)
        told = self.call("rollback", "trade", chosen)
        assert told.status == 0, told.err
        assert self.published() == chosen
        self.run_id, self.state = chosen, deepcopy(self.known[chosen])
        places = [(r, c) for r in range(len(self.trade.rules)) for c in range(self.trade.contracts)]
        self.ruled, self.contract = next((r, c) for r, c in places if self.trade.text(r, c) == self.state.text)
        self.write_pipeline()

    @rule(keep=st.integers(1, 3))
    def let_go(self, keep: int) -> None:
        """Old runs go."""
        told = self.call("gc", "--keep", keep)
        assert told.status == 0, told.err

    @precondition(lambda self: self.trade.actors)
    @rule(chance=CHANCE)
    def forget(self, chance: int) -> None:
        """An actor is forgotten, for good; few are, so that others stay."""
        actor = Random(chance).choice(self.trade.actors)
        if self.forgotten - {actor}:
            return
        told = self.call("forget", actor)
        assert told.status == 0, told.err
        self.forgotten.add(actor)
        self.note()

    @precondition(lambda self: self.is_killing)
    @rule(seeds=LINES, chance=CHANCE)
    def kill(self, seeds: list[int], chance: int) -> None:
        """A run in a process of its own is killed at some moment; it happened whole, or not at all, and can be made
        again."""
        source = Random(chance).choice(self.trade.sources)
        files = {self.new_name(source): self.lines(source, seeds, "whole")}
        run = self.at.start("run", self.toml, *self.write(files), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        time.sleep(0.3 + chance / (1 << 16) * 2.5)
        self.seen["killed"] += run.poll() is None
        end(run)
        if self.published() != self.run_id:
            self.seen["killed after publishing"] += 1
            self.count(files)
        self.note()
        self.one_answer()
        self.run(files)

    # what holds

    @invariant()
    def one_answer(self) -> None:
        """The tables are the reference's over the records that count."""
        if self.state.text:
            self.seen["looks"] += 1
            compare(self.tables(), self.trade.tables(self.state.text, self.state.files(), self.forgotten))

    # how

    def run(self, files: dict[str, bytes], *words: str) -> None:
        """A run over *files*."""
        is_replacing = "replace" in words
        is_same = self.text == self.state.text and not is_replacing
        with roads() as seen:
            told = self.call("run", self.toml, *self.write(files), *words)
        self.ran(told, lambda: self.count(files, is_replacing=is_replacing))
        self.seen.update(seen.taken)
        if is_same and seen.taken and len(self.trade.sources) == 1:
            assert seen.taken == ["extended"]

    def ran(self, told: Result, follow: Callable[[], None]) -> None:
        """A run came to its end: the model follows."""
        assert told.status == 0, told.err
        report = told.json
        for ledger in (*report["files"], report["ledger"]):
            ends = [ledger["accepted"], ledger["duplicate"], *ledger["dropped"].values()]
            assert ledger["read"] == sum(ends) + sum(ledger["quarantined"].values())
        follow()
        self.state.text = self.text
        self.note()

    def count(self, files: dict[str, bytes], *, is_replacing: bool = False) -> None:
        """What was read counts."""
        if is_replacing:
            self.state = State()
        for name, content in files.items():
            self.state.read(name, content)
        self.state.text = self.text

    def loosen(self, content: bytes) -> None:
        """A stream that was read counts."""
        self.state.loose.append(content)

    def note(self) -> None:
        """Remember what the current run left."""
        self.run_id = self.published()
        self.known[self.run_id] = deepcopy(self.state)

    def call(self, *words: object, stdin: bytes = b"") -> Result:
        """A command, within this process."""
        return self.at.call(*words, *(["--json"] if words[0] in ("run", "rebuild") else []), stdin=stdin)

    def published(self) -> str:
        """The current run; empty before the first."""
        return self.at.open().kept("trade").run_id or ""

    def tables(self) -> dict[str, Table]:
        """What is published."""
        store = self.at.open()
        names = [row["table"] for row in store.published() if row["pipeline"] == "trade"]
        with store.reading("trade") as reading:
            return {name: plain_rows(_Rows(reading.query(f"select * from {name}").read_all())) for name in names}

    @property
    def text(self) -> str:
        """The pipeline's TOML now."""
        return self.trade.text(self.ruled, self.contract)

    @property
    def toml(self) -> Path:
        """Its file."""
        return self.folder / "trade.toml"

    def write_pipeline(self) -> None:
        """The pipeline's file says what is in force now."""
        self.toml.write_text(self.text)

    def write(self, files: dict[str, bytes]) -> list[str]:
        """Write *files*; the words that name them."""
        paths = {name: self.folder / f"{name}.{self.trade.ending}" for name in files}
        for name, path in paths.items():
            path.write_bytes(files[name])
        return [self.sourced(name.partition("-")[0], str(path)) for name, path in paths.items()]

    def sourced(self, source: str, path: str) -> str:
        """The word that names a file of a source."""
        return f"{source}={path}"

    def new_name(self, source: str) -> str:
        """A name that no file has had."""
        self.number += 1
        return f"{source}-{self.number}"

    def some_file(self, chance: int) -> tuple[str, bytes]:
        """A file that was read, with its latest content."""
        name = Random(chance).choice(sorted(self.state.held))
        return name, self.state.held[name][-1]

    def is_shared(self, content: bytes) -> bool:
        """Whether several files have had a content."""
        return sum(content in contents for contents in self.state.held.values()) > 1

    def lines(self, source: str, seeds: list[int], how: str) -> bytes:
        """The records of *seeds*, the last without a line break (`bare`), or broken off (`cut`)."""
        content = self.unlike(b"".join(self.trade.line(source, seed) + b"\n" for seed in seeds))
        return content if how == "whole" else content[: -1 if how == "bare" else -(seeds[0] % 9 + 2)]

    def unlike(self, content: bytes) -> bytes:
        """The *content*, where copies count with a beginning of its own: equal files must not be one by chance."""
        self.number += 1
        return b"\n" * (0 if self.trade.is_deduped else self.number) + content


@dataclass
class _Rows:
    rows: Any

    def to_arrow_table(self) -> Any:
        """As a relation of DuckDB gives it."""
        return self.rows


def histories(trade: str, place: Callable[[], Place], *, is_killing: bool = False) -> type[Histories]:
    """The machine for a *trade*, in places that are made one after the other."""
    name = f"HistoriesOf{trade.title()}"
    members = {"trade": TRADES[trade], "place": staticmethod(place), "is_killing": is_killing, "seen": Counter()}
    return type(name, (Histories,), members)


def play(machine: type[Histories], seed: int, steps: int) -> None:
    """One long history by chance alone: where there are few, those that Hypothesis begins with say little."""
    rng = Random(seed)
    drawn: dict[str, Callable[[], Any]] = {
        "seeds": lambda: [rng.randrange(1 << 32) for _ in range(rng.randrange(1, 9))],
        "how": lambda: rng.choice(["whole", "whole", "bare", "cut"]),
        "chance": lambda: rng.randrange(1 << 16),
        "keep": lambda: rng.randrange(1, 4),
        "is_rebuilt": lambda: rng.random() < 0.5,
    }
    home = machine()
    home.begin(seeds=drawn["seeds"](), chance=0)
    for _ in range(steps):
        allowed = [one for one in home.rules if all(holds(home) for holds in one.preconditions)]
        adding = [one for one in allowed if one.function.__name__ in _ADDING]
        chosen = rng.choice(adding if rng.random() < 0.5 else allowed)
        chosen.function(home, **{name: drawn[name]() for name in chosen.arguments})
        try:
            home.one_answer()
        except AssertionError as error:
            error.add_note(f"seed {seed}, after {chosen.function.__name__}")
            raise
