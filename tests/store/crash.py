"""Killing runs at random moments, and looking at what they leave."""

import csv
import random
import subprocess
import sys
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path

from sojourn.errors import SojournError
from tests.store.places import Place, Tables, end


@dataclass
class Tally:
    """What became of the runs that were killed, and every promise that they broke."""

    killed: int = 0
    published: int = 0
    too_late: int = 0
    breaks: list[str] = field(default_factory=list)


class Trial:
    """Runs over *files* one after the other at *place*, each killed first and then let through."""

    def __init__(self, place: Place, files: list[Path], expected: list[Tables], folder: Path) -> None:
        self.place, self.files, self.expected, self.folder = place, files, expected, folder
        self.published = 0
        self.tally = Tally()

    def tables(self) -> Tables:
        """What is published now."""
        return self.place.tables(self.folder / "tables")

    def look(self) -> None:
        """After a kill: the tables are those of the runs before, or of this one too, whole, and `runs` says so."""
        try:
            tables, done = self.tables(), self._done()
        except SojournError as error:
            self.tally.breaks.append(f"after {self.published} runs: {error.message}")
            return
        if tables not in self.expected[self.published : self.published + 2]:
            self.tally.breaks.append(f"after {self.published} runs: {_sizes(tables)} are the tables of no run")
        elif self.published != (now := self.expected.index(tables)):
            self.published = now
            self.tally.published += 1
        if tables and done != self.published:
            self.tally.breaks.append(f"after {self.published} runs: `runs` tells of {done}")
        listed = {f"{row['table']}.csv": row["rows"] for row in self.place.open().published()}
        if listed != _rows(tables):
            self.tally.breaks.append(f"after {self.published} runs: listed are {listed}, found {_rows(tables)}")

    def _done(self) -> int:
        if not self.place.open().published():
            return 0
        count = "select count(distinct report) as n from sojourn.runs where status = 'done' and accepted > 0"
        return int(self.place.rows(count)[0]["n"])

    def let_through(self, file: Path) -> None:
        """The next run works, has the tables right, and leaves nothing lying about."""
        done = self.place.call("run", "webshop", file, "--json")
        self.published = self.files.index(file) + 1
        if done.status != 0:
            self.tally.breaks.append(f"the next run failed: {done.err.strip()}")
        elif self.tables() != self.expected[self.published]:
            self.tally.breaks.append(f"the next run published {_sizes(self.tables())}")
        elif garbage := self.place.garbage():
            self.tally.breaks.append(f"the next run left {garbage}")

    def kill_at_random(self, file: Path, chance: random.Random, longest: float) -> None:
        """Start a run over *file* and kill it: half the time anywhere, half the time where it publishes."""
        run = self.place.start("run", "webshop", file, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        if chance.random() < 0.5:
            _wait(run, time.monotonic() + chance.random() * longest)
        else:
            _wait(run, time.monotonic() + 60, until=self.place.home)
            _wait(run, time.monotonic() + chance.random() * 0.15)
        self.tally.too_late += run.poll() is not None
        self.tally.killed += run.poll() is None
        run.kill()  # the run alone: what it began has to notice by itself
        self.look()
        self.let_through(file)
        end(run)


def at_every_step(trial: Trial, double: str = "-", steps: Iterable[int] | None = None) -> int:
    """Kill runs over the second file at their first, second, third ... step; how many steps there were."""
    place, step = trial.place, 0
    words = ["run", "webshop", str(trial.files[1]), *map(str, place.words)]
    command = [sys.executable, "-m", "tests.store.dying", double, *words]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as forks:
        assert forks.stdin is not None
        assert forks.stdout is not None
        for step in steps or count(1):
            forks.stdin.write(f"{step}\n")
            forks.stdin.flush()
            answer = forks.stdout.readline().strip()
            trial.look()
            if answer != "killed":
                if answer != "0":
                    trial.tally.breaks.append(f"the run that was not killed ended with {answer}")
                break
            trial.tally.killed += 1
            if trial.tally.breaks:
                break
        forks.stdin.close()
    return step


def _wait(run: subprocess.Popen[bytes], deadline: float, until: Path | None = None) -> None:
    """Wait for *deadline*, the end of *run*, or that it has made the snapshot that it will publish."""
    while time.monotonic() < deadline and run.poll() is None:
        if until is not None and any(until.rglob("staging/*/snapshot.duckdb")):
            return
        time.sleep(0.002)


def _rows(tables: Tables) -> dict[str, int]:
    return {name: len(list(csv.reader(content.decode().splitlines()))) - 1 for name, content in tables.items()}


def _sizes(tables: Tables) -> dict[str, int]:
    return {name: len(content) for name, content in tables.items()}
