"""The `sojourn` command, for tests: within this process (fast), or as a process of its own."""

import json
import os
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from click.testing import CliRunner

from sojourn.cli import main


@dataclass(frozen=True)
class Result:
    """What a command left: its exit status, standard output and standard error."""

    status: int
    stdout: bytes
    err: str

    @property
    def out(self) -> str:
        """Standard output as text."""
        return self.stdout.decode()

    @property
    def json(self) -> Any:
        """The one JSON value that standard output is."""
        return json.loads(self.stdout)


def sojourn(*words: object, stdin: bytes = b"") -> Result:
    """Run `sojourn WORDS...` within this process; an error that would be a traceback is raised here.

    For at most one small uncompressed source: more are read by several processes, which `process` is for.
    """
    done = CliRunner().invoke(main, [str(word) for word in words], input=stdin, catch_exceptions=False)
    return Result(done.exit_code, done.stdout_bytes, done.stderr)


def process(*words: object, stdin: bytes = b"", env: dict[str, str] | None = None) -> Result:
    """Run `sojourn WORDS...` as a process of its own."""
    done = subprocess.run(
        [sys.executable, "-m", "sojourn", *map(str, words)],
        input=stdin,
        capture_output=True,
        env={**os.environ, **(env or {})},
        check=False,
        timeout=120,
    )
    return Result(done.returncode, done.stdout, done.stderr.decode())


def lines(*given: str) -> bytes:
    """The *given* lines as a file's content."""
    return "".join(f"{line}\n" for line in given).encode()


def write(path: Path, *given: str) -> Path:
    """*path*, holding the *given* lines."""
    path.write_bytes(lines(*given))
    return path


def shop(number: object, when: str, customer: object = "c", kind: str = "search", **more: object) -> str:
    """A line of the webshop's log: event *number* of *customer* at *when* (a clock time is on 1 March 2022)."""
    when = f"2022-03-01T{when}" if re.fullmatch(r"\d\d:\d\d:\d\d(\.\d+)?", when) else when
    event = {"customer-id": customer, "timestamp": when, **more}
    return json.dumps({"id": number, "type": kind, "event": event})


@dataclass(frozen=True)
class Home:
    """A home in *folder*, and short ways to run lines of text into it and to look at what is published."""

    folder: Path

    def path(self, name: str, content: bytes | bytearray | str = b"") -> Path:
        """The file *name* beside the home, with *content*."""
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return path

    def run(self, pipeline: object, content: bytes, *options: object, name: str = "input.jsonl") -> Any:
        """Run *pipeline* over a file with *content*; the report."""
        done = self.call("run", pipeline, self.path(name, content), *options, "--json")
        assert done.status == 0, done.err
        return done.json

    def rows(self, query: str) -> list[dict[str, Any]]:
        """The rows of an SQL *query* over what is published."""
        done = self.call("sql", query, "--json")
        assert done.status == 0, done.err
        rows: list[dict[str, Any]] = done.json
        return rows

    def values(self, query: str) -> list[Any]:
        """The values of an SQL *query* with one column."""
        return [value for row in self.rows(query) for value in row.values()]

    def metric(self, name: str, *options: object) -> Any:
        """The value of the metric *name*."""
        done = self.call("metrics", name, *options, "--json")
        assert done.status == 0, done.err
        return done.json

    def call(self, *words: object, stdin: bytes = b"") -> Result:
        """Run `sojourn WORDS... --home ...` within this process."""
        return sojourn(*words, "--home", self.folder / "home", stdin=stdin)

    def process(self, *words: object, stdin: bytes = b"") -> Result:
        """The same as a process of its own: for several sources, and compressed ones."""
        return process(*words, "--home", self.folder / "home", stdin=stdin)
