"""What tests of stores share: a home with its store, sources that build on each other, and what must come out."""

import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sojourn import export, samples
from sojourn.engines import duckdb as engine
from sojourn.pipeline import Csv
from sojourn.store.base import Store
from sojourn.store.opening import open_store
from tests import postgres
from tests.command import Result, process, sojourn

Tables = dict[str, bytes]
"""Published tables as CSV, by file name."""


STARTED: list[subprocess.Popen[bytes]] = []
"""Processes that a test began, and that must not outlive it."""


@dataclass(frozen=True)
class Place:
    """A home, and for PostgreSQL (*url*) a database of its own, with ways to use them."""

    home: Path
    url: str | None = None

    @property
    def words(self) -> list[object]:
        """The options that name it."""
        return ["--home", self.home, *(["--store", self.url] if self.url else [])]

    def open(self) -> Store:
        """Its store."""
        return open_store(str(self.home), self.url)

    def call(self, *words: object, stdin: bytes = b"") -> Result:
        """Run `sojourn WORDS...` within this process."""
        return sojourn(*words, *self.words, stdin=stdin)

    def process(self, *words: object, stdin: bytes = b"") -> Result:
        """Run `sojourn WORDS...` as a process of its own."""
        return process(*words, *self.words, stdin=stdin)

    def start(self, *words: object, **how: Any) -> subprocess.Popen[bytes]:
        """Start `sojourn WORDS...` as a process of its own, in a session of its own, until the test ends."""
        command = [sys.executable, "-m", "sojourn", *map(str, [*words, *self.words])]
        usual: dict[str, Any] = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        run = subprocess.Popen(command, **{**usual, "start_new_session": True, "preexec_fn": hear_signals, **how})
        STARTED.append(run)
        return run

    def run(self, pipeline: object, *words: object) -> Any:
        """Run *pipeline* over the sources, with the options, that *words* are; the report."""
        done = self.call("run", pipeline, *words, "--json")
        assert done.status == 0, done.err
        return done.json

    def rows(self, sql: str) -> list[dict[str, Any]]:
        """The rows of a query."""
        with self.open().query(sql) as reader:
            rows: list[dict[str, Any]] = reader.read_all().to_pylist()
        return rows

    def statuses(self) -> list[str]:
        """How each run ended, in their order."""
        return [row["status"] for row in self.rows("select status from sojourn.runs order by started_at, run_id")]

    def tables(self, folder: Path, pipeline: str = "webshop") -> Tables:
        """What *pipeline* publishes, exported to *folder*; nothing before its first run."""
        store = self.open()
        names = [row["table"] for row in store.published() if row["pipeline"] == pipeline]
        if not names:
            return {}
        folder.mkdir(exist_ok=True)
        with store.reading(pipeline) as reading, engine.connect() as connection:
            for name in names:
                rows = reading.table(pipeline, name, export.order(name, reading.columns(name)))
                connection.register("given", rows)
                export.write_table(connection, "select * from given", folder / f"{name}.csv", Csv())
        return {f"{name}.csv": (folder / f"{name}.csv").read_bytes() for name in names}

    def garbage(self) -> list[str]:
        """Files in the home, and relations in the database, that nothing lists."""
        return [*self._garbage_in_home(), *(self._garbage_in_database() if self.url else [])]

    def _garbage_in_home(self) -> list[str]:
        found = {str(path.relative_to(self.home)) for path in self.home.rglob("*") if path.is_file()}
        found -= {"lock", "catalog.json", "home.id", "forgotten.json"}
        if self.url:
            kept = postgres.rows(self.url, "select pipeline as name, runs from sojourn.pipelines")
            return sorted(
                found
                - self._listed(f"{self.open_area()}/", {row["name"]: json.loads(str(row["runs"])) for row in kept})
            )
        catalog = json.loads((self.home / "catalog.json").read_bytes())
        found -= self._listed("", {name: entry["runs"] for name, entry in catalog["pipelines"].items()})
        found -= {f"runs/{run}.parquet" for run in catalog["runs"]} | set(catalog["retired"])
        return sorted(found - {f"quarantine/{name}" for name in catalog["quarantine"]})

    def _listed(self, area: str, kept: dict[str, list[str]]) -> set[str]:
        """What the kept runs of each pipeline name: their own two files, event files, and what some of them, but not
        all, have changed in the quarantine."""
        listed = set()
        for name, runs in kept.items():
            changed = []
            for run in runs:
                manifest = f"{area}warehouse/{name}/{run}.json"
                listed |= {manifest, f"{area}warehouse/{name}/{run}.duckdb"}
                content = json.loads((self.home / manifest).read_bytes())
                listed |= {f"{area}events/{file['name']}" for file in content["files"]}
                changed += [change["run_id"] for change in content["changes"]]
            some = [run for run, kept_by in Counter(changed).items() if kept_by < len(runs)]
            listed |= {f"{area}warehouse/{name}/{run}.quarantine.parquet" for run in some}
        return listed

    def _garbage_in_database(self) -> list[str]:
        assert self.url is not None
        relations = postgres.rows(
            self.url,
            "select relname::text as name from pg_class where relnamespace = 'sojourn'::regnamespace "
            "and relkind = 'r' and not relispartition and relname not like 'live%'",
        )
        own = {"meta", "runs", "quarantine", "pipelines"}
        return sorted({str(row["name"]) for row in relations} - own)

    def open_area(self) -> str:
        """The folder of the database's event files, below the home."""
        assert self.url is not None
        return f"stores/{postgres.rows(self.url, 'select store from sojourn.meta')[0]['store']}"


def sources(folder: Path, count: int, lines: int = 400) -> list[Path]:
    """Files of a webshop's events, each with some trouble, and with customers whom the others have too."""
    paths = [folder / f"events-{number}.jsonl" for number in range(count)]
    for number, path in enumerate(paths):
        samples.write("webshop", path, lines=lines, seed=number + 1)
    return paths


def expectations(folder: Path, files: list[Path]) -> list[Tables]:
    """The tables after runs over none, one, two ... of *files*, from a home where nothing goes wrong."""
    place = Place(folder / "quiet")
    found: list[Tables] = [{}]
    for file in files:
        place.run("webshop", file)
        found.append(place.tables(folder / "expected"))
    return found


def hear_signals() -> None:
    """In a process just begun: Ctrl-C works, also where pytest runs in the background and ignores it."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def end(run: subprocess.Popen[bytes]) -> None:
    """Kill *run* and everything it began."""
    if run.poll() is None:
        os.killpg(run.pid, signal.SIGKILL)
    run.communicate()


def left_in_session(leader: int) -> list[int]:
    """Processes, but zombies, of the session that *leader* began."""
    listed = subprocess.run(["ps", "-A", "-o", "pid=,sess=,stat="], capture_output=True, text=True, check=True)
    rows = [line.split() for line in listed.stdout.splitlines()]
    return [int(pid) for pid, session, state in rows if int(session) == leader and not state.startswith("Z")]


def until(holds: Callable[[], object], run: subprocess.Popen[bytes] | None = None) -> None:
    """Wait until something holds, while *run* runs."""
    deadline = time.monotonic() + 30
    while not holds():
        if time.monotonic() > deadline or (run is not None and run.poll() is not None):
            if run is not None:
                end(run)
            raise AssertionError("it never came to that")
        time.sleep(0.002)


@contextmanager
def reader(place: Place) -> Iterator[tuple[subprocess.Popen[str], dict[str, Any]]]:
    """A process that looks at what is published all the while, and what it told at its end."""
    command = [sys.executable, "-m", "tests.store.reader", str(place.home), place.url or "-"]
    told: dict[str, Any] = {}
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        process.stdout.readline()
        yield process, told
        out, _ = process.communicate(timeout=60)
        *told["seen"], last = out.splitlines()
        told |= json.loads(last)
