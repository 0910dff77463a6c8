"""`sojourn watch`: runs as files arrive or grow, across restarts, and until it is told to end."""

from __future__ import annotations

import contextlib
import gzip
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from sojourn import watching
from tests.command import Home, lines, shop, sojourn

PATIENCE = 60


@pytest.fixture
def watches() -> Iterator[list[subprocess.Popen[bytes]]]:
    """Watching processes, which end with the test."""
    begun: list[subprocess.Popen[bytes]] = []
    yield begun
    for process in begun:
        process.kill()
        process.communicate()


class Watch:
    """A process that watches the folder `in` of a home; what it says goes to files."""

    def __init__(self, home: Home, watches: list[subprocess.Popen[bytes]], *more: str, source: str = "in") -> None:
        self.home = home
        self.out, self.err = home.folder / f"out{len(watches)}", home.folder / f"err{len(watches)}"
        words = ["watch", "webshop", str(home.folder / source), "--home", str(home.folder / "home"), "--every", "100ms"]
        with self.out.open("wb") as out, self.err.open("wb") as err:
            self.process = subprocess.Popen([sys.executable, "-m", "sojourn", *words, *more], stdout=out, stderr=err)
        watches.append(self.process)

    def until(self, holds: Callable[[], bool]) -> None:
        """Wait until something holds."""
        end = time.monotonic() + PATIENCE
        while not holds():
            assert self.process.poll() is None, self.err.read_text()
            assert time.monotonic() < end, (self.out.read_text(), self.err.read_text())
            time.sleep(0.05)

    def reports(self, count: int) -> list[dict[str, Any]]:
        """The first *count* reports of a watch with `--json`."""
        self.until(lambda: self.out.read_bytes().count(b"\n") >= count)
        return [json.loads(line) for line in self.out.read_bytes().splitlines()]

    def end(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Tell it to end; its exit status."""
        self.process.send_signal(number)
        return self.process.wait(PATIENCE)


def test_files_that_arrive_and_grow(home: Home, watches: list[subprocess.Popen[bytes]]) -> None:
    """One report for each run with something new; an unfinished line waits; a restart reads nothing twice."""
    (home.folder / "in").mkdir()
    watch = Watch(home, watches, "--json")
    watch.until(lambda: b"holds no jsonl files" in watch.err.read_bytes())
    path = home.path("in/a.jsonl", lines(shop(1, "10:00:00"), "bad"))
    (first,) = watch.reports(1)
    assert first["ledger"]["read"] == 2
    whole = lines(shop(2, "10:05:00"))
    with path.open("ab") as more:
        more.write(whole[:50])
        more.flush()
        home.path("in/b.jsonl.gz", gzip.compress(lines(shop(3, "10:06:00"))))
        second = watch.reports(2)[1]
        assert [(Path(entry["file"]).name, entry["read"]) for entry in second["files"] if "skipped" not in entry] == [
            ("b.jsonl.gz", 1)
        ]
        more.write(whole[50:])
    third = watch.reports(3)[2]
    assert (third["ledger"]["read"], third["ledger"]["accepted"], third["ledger"]["notes"]) == (1, 1, {})
    assert watch.end() == 0
    assert watch.err.read_text().count("\n") == 1
    again = Watch(home, watches, "--json")
    home.path("in/c.jsonl", lines(shop(4, "10:07:00")))
    fourth = again.reports(1)[0]
    assert fourth["ledger"]["accepted"] == 1
    assert again.end(signal.SIGINT) == 0
    assert home.values("select events from webshop.sessions") == [4]
    assert home.values("select count(*) from sojourn.runs") == [4]
    assert home.values("select raw from sojourn.quarantine") == ["bad"]


def test_an_unfinished_line_that_was_read_by_a_run(home: Home, watches: list[subprocess.Popen[bytes]]) -> None:
    """It stands until it is finished; then it is withdrawn."""
    whole = lines(shop(1, "10:00:00"), shop(2, "10:05:00"))
    path = home.path("in/a.jsonl", whole[:-20])
    assert home.call("run", "webshop", path).status == 0
    watch = Watch(home, watches, "--json")
    with path.open("ab") as more:
        more.write(whole[-20:-5])
    home.path("in/b.jsonl", lines(shop(3, "10:06:00")))
    assert watch.reports(1)[0]["ledger"]["notes"] == {}
    assert home.values("select count(*) from sojourn.quarantine") == [1]
    with path.open("ab") as more:
        more.write(whole[-5:])
    second = watch.reports(2)[1]
    assert (second["ledger"]["accepted"], second["ledger"]["notes"]) == (1, {"withdrawn": 1})
    assert watch.end() == 0
    assert home.values("select count(*) from sojourn.quarantine") == [0]
    assert home.values("select events from webshop.sessions") == [3]


def test_bad_input_is_told_once_and_tried_again(home: Home, watches: list[subprocess.Popen[bytes]]) -> None:
    """A file that cannot be read keeps others from being published until it is mended; then all is read."""
    home.path("in/a.jsonl", b'[{"id": 1},\n{"id": 2}]\n')
    home.path("in/b.jsonl", lines(shop(1, "10:00:00")))
    watch = Watch(home, watches)
    watch.until(lambda: b"json_array" in watch.err.read_bytes())
    with (home.folder / "in/b.jsonl").open("ab") as more:
        more.write(lines(shop(2, "10:00:00")))
    watch.until(lambda: home.values("select count(*) from sojourn.runs")[0] >= 2)
    assert watch.err.read_text().count("json_array") == 1
    home.path("in/a.jsonl", lines(shop(3, "10:00:00")))
    watch.until(lambda: b"\n" in watch.out.read_bytes())
    assert watch.end() == 0
    assert watch.out.read_text().count("\n") == 1
    assert "2 files: 3 read, 3 accepted, 0 duplicate, 0 dropped, 0 quarantined" in watch.out.read_text()


def test_a_file_that_is_not_there_yet(home: Home, watches: list[subprocess.Popen[bytes]]) -> None:
    """It is waited for, and told so."""
    watch = Watch(home, watches, "--out", str(home.folder / "tables"), source="a.jsonl")
    watch.until(lambda: b"there is no file" in watch.err.read_bytes())
    home.path("a.jsonl", lines(shop(1, "10:00:00")))
    watch.until(lambda: b"1 accepted" in watch.out.read_bytes())
    assert watch.end() == 0
    assert (home.folder / "tables" / "sessions.csv").read_bytes().count(b"\n") == 2


def test_ending_within_a_run(home: Home, watches: list[subprocess.Popen[bytes]]) -> None:
    """The run breaks off cleanly: it is recorded, and the next one reads what it would have read."""
    home.path("in/a.jsonl", lines(*(shop(at, "10:00:00") for at in range(150_000))))
    watch = Watch(home, watches)
    watch.until(lambda: any((home.folder / "home").rglob("staging/*/events")))
    assert watch.end() == 0
    assert home.values("select status from sojourn.runs") == ["failed"]
    assert not (home.folder / "home" / "staging").exists()
    again = Watch(home, watches)
    again.until(lambda: b"150,000 accepted" in again.out.read_bytes())
    assert again.end() == 0


def test_two_watches_take_turns(home: Home, watches: list[subprocess.Popen[bytes]]) -> None:
    """The home's lock lets one run at a time; what one has read the other knows."""
    (home.folder / "in").mkdir()
    both = [Watch(home, watches, "--json"), Watch(home, watches, "--json")]
    for number in range(5):
        home.path(f"in/{number}.jsonl", lines(shop(number, "10:00:00")))
        time.sleep(0.1)
    both[0].until(lambda: bool(home.call("tables", "--json").json))
    both[0].until(lambda: home.values("select events from webshop.sessions") == [5])
    assert [watch.end() for watch in both] == [0, 0]
    counts = [report["ledger"]["accepted"] for watch in both for report in watch.reports(0)]
    assert sum(counts) == 5


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (["webshop"], "no_source"),
        (["webshop", "-"], "not_watchable"),
        (["webshop", "in", "--every", "soon"], "bad_duration"),
        (["webshop", "in", "--every", "1ms"], "bad_duration"),
        (["webshop", "events=in", "servers=x"], "unknown_source"),
        (["nothing", "in"], "unknown_pipeline"),
    ],
)
def test_mistakes(home: Home, words: list[str], code: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """One sentence, before anything is watched."""
    monkeypatch.chdir(home.folder)
    Path("in").mkdir()
    done = sojourn("watch", *words, "--home", "home")
    assert (done.status, done.err.count("\n")) == (2, 1)
    assert f"[{code}]" in done.err


def test_an_interrupt_that_python_loses_ends_the_watch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a signal raises within a callback is ignored; after the look that it came in there is no other."""
    looks = []

    def losing(*_: object, **__: object) -> float:
        looks.append(1)
        with contextlib.suppress(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGTERM)
            time.sleep(5)
        return 0.0

    monkeypatch.setattr(watching, "_look", losing)
    assert sojourn("watch", "webshop", tmp_path, "--home", tmp_path / "home").status == 0
    assert len(looks) == 1
