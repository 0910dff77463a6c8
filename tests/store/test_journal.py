"""The embedded journal alone: its file, its disk, its one writer, and processes that are killed."""

import os
import re
import resource
import shutil
import sqlite3
import subprocess
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from random import Random

import pytest

from sojourn.store import messages as module
from sojourn.store.journal import EmbeddedJournal
from sojourn.store.journals import Settled
from sojourn.store.messages import FORMAT, EmbeddedReader
from tests.store.journals import Embedded, Killed, message, put, raises, submitting, tell

ROUNDS = 10  # the long form is in soak/

Open = Callable[..., EmbeddedJournal]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where a home has its journal."""
    return tmp_path / module.FILE


@pytest.fixture
def open_journal(path: Path) -> Iterator[Open]:
    """Opens journals, which are closed when the test ends."""
    place = Embedded(path)
    yield place.open
    for journal in place.opened:
        journal.close()


@pytest.fixture
def journal(open_journal: Open) -> EmbeddedJournal:
    """A fresh journal."""
    return open_journal()


def test_one_commit_takes_what_waits(open_journal: Open) -> None:
    """What gathered is told at once, and took few statements: each may have to wait for the event loop's thread."""
    told: list[list[Settled]] = []
    journal = open_journal(told=lambda settled, _: told.append(settled))
    statements: list[str] = []
    journal._writing.set_trace_callback(statements.append)
    with journal._writing_lock:
        for seq in range(1, 3001):
            journal.submit(message("a", seq))
    journal.close()
    assert sum(map(len, told)) == 3000
    assert len(told) <= 2
    assert len(statements) < 40


def test_pages_need_no_scan(journal: EmbeddedJournal) -> None:
    """A page of sessions is found by an index, in its order."""
    plan = " ".join(row[3] for row in journal._rows(f"explain query plan {module._SESSIONS}", 0, "", None, None, 9))
    assert "SCAN" not in plan.replace("SCAN (subquery", "")
    assert "B-TREE" not in plan


def test_what_cannot_be_written_harms_one_commit(journal: EmbeddedJournal) -> None:
    """Text and numbers that SQLite does not take, against the rules of the caller, do not end the writer."""
    assert put(journal, message("\ud800", 1)) == ["journal_unusable"]
    assert put(journal, message("a", 1, received_at=1 << 70)) == ["io"]
    assert put(journal, message("a", 1)) == ["stored"]


def test_one_writer(open_journal: Open, journal: EmbeddedJournal, path: Path) -> None:
    """A second writer is refused; a reader beside the writer sees what is stored."""
    with raises("journal_locked"):
        open_journal()
    put(journal, message("a", 1))
    with closing(EmbeddedReader(path)) as reader:
        assert reader.standing("a").last == 1
        put(journal, message("a", 2))
        assert reader.standing("a").last == 2
    journal.close()
    assert open_journal().standing("a").last == 2


def test_somebody_writes_without_our_lock(monkeypatch: pytest.MonkeyPatch, open_journal: Open, path: Path) -> None:
    """We wait a while, then say so; and go on when they have ended."""
    monkeypatch.setattr(module, "PATIENCE", 0.05)
    journal = open_journal()
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("begin immediate")
        assert put(journal, message("a", 1)) == ["journal_locked"]
        with raises("journal_locked"):
            journal.check()
    journal.check()
    assert put(journal, message("a", 1)) == ["stored"]


def test_read_only(journal: EmbeddedJournal) -> None:
    """SQLite says that it may not write (made so by a setting: root may write everything), until it may again."""
    journal._writing.execute("pragma query_only = on")
    assert put(journal, message("a", 1)) == ["journal_unusable"]
    with raises("journal_unusable"):
        journal.check()
    journal._writing.execute("pragma query_only = off")
    journal.check()
    assert put(journal, message("a", 1)) == ["stored"]


def test_files_that_may_not_grow(journal: EmbeddedJournal) -> None:
    """At any size: nothing is acknowledged that is not there, the state is clear, and it goes on by itself."""
    _, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    large = f'["{"x" * 100_000}"]'
    for size in (1, 60_000, 200_000, 500_000):
        start = journal.standing("a").last + 1
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
        try:
            told = [put(journal, message("a", seq, large))[0] for seq in range(start, start + 8)]
            with raises("journal_unusable"):
                journal.check()
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
        stored = told.count("stored")
        assert told == ["stored"] * stored + ["journal_unusable"] + ["gap"] * (7 - stored)
        assert journal.standing("a").last == start + stored - 1
        journal.check()
        assert put(journal, message("a", start + stored, large)) == ["stored"]


@pytest.fixture
def small(tmp_path: Path) -> Iterator[Path]:
    """A small file system of its own."""
    (folder := tmp_path / "small").mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=12m", "tmpfs", folder], check=False).returncode:
        pytest.skip("left out: mounting a small file system needs root")
    yield folder
    subprocess.run(["umount", folder], check=True)


def test_a_full_disk(small: Path) -> None:
    """The same where the disk is full: `disk_full`, and on again when there is room."""
    with closing(EmbeddedJournal(small / "live" / "journal.sqlite", tell)) as journal:
        for spare in (0, 20, 100):
            seq = journal.standing("a").last + 1
            room = os.statvfs(small)
            (small / "filling").write_bytes(bytes(max(0, room.f_bavail * room.f_frsize - (spare << 10))))
            assert put(journal, message("a", seq, f'["{"x" * 200_000}"]')) == ["disk_full"]
            with raises("disk_full"):
                journal.check()
            (small / "filling").unlink()
            journal.check()
            assert put(journal, message("a", seq)) == ["stored"]
        assert journal.standing("a").last == 3


def test_a_file_system_that_is_read_only(small: Path) -> None:
    """A journal there cannot be opened for writing."""
    EmbeddedJournal(small / "journal.sqlite", tell).close()
    subprocess.run(["mount", "-o", "remount,ro", small], check=True)
    with raises("home_unusable"):
        EmbeddedJournal(small / "journal.sqlite", tell)
    with raises("home_unusable"):
        EmbeddedJournal(small / "live" / "journal.sqlite", tell)


def test_no_journal(journal: EmbeddedJournal, path: Path, tmp_path: Path) -> None:
    """Reading one that is not there, and writing one that was removed: nothing is acknowledged into a deleted file."""
    with raises("no_journal"):
        EmbeddedReader(tmp_path / "none.sqlite")
    (tmp_path / "none.sqlite").touch()
    with raises("no_journal"):
        EmbeddedReader(tmp_path / "none.sqlite")
    shutil.rmtree(path.parent)
    assert put(journal, message("a", 1)) == ["no_journal"]
    with raises("no_journal"):
        journal.check()


def test_a_newer_version(open_journal: Open, path: Path) -> None:
    """Is refused, and left alone."""
    open_journal().close()
    with closing(sqlite3.connect(path)) as connection:
        connection.execute(f"pragma user_version = {FORMAT + 1}")
    before = path.read_bytes()
    for opening in (open_journal, lambda: EmbeddedReader(path)):
        with raises("newer_format"):
            opening()
    assert path.read_bytes() == before


def test_damage(open_journal: Open, path: Path) -> None:
    """Something that is no database, pages that are overwritten, and a content that was altered are told."""
    journal = open_journal()
    put(journal, message("a", 1, '["altered"]'), message("b", 1, f'["{"x" * 100_000}"]'))
    journal.close()
    whole = path.read_bytes()
    path.write_bytes(whole.replace(b"altered", b"ALTERED"))
    with closing(EmbeddedReader(path)) as reader:
        with raises("journal_damaged"):
            reader.messages("a")
        assert len(reader.messages("b")) == 1
    path.write_bytes(whole[:4096] + b"\xff" * 40_000 + whole[44_096:])
    journal = open_journal()
    assert put(journal, message("a", 2)) == ["journal_damaged"]
    with raises("journal_damaged"):
        journal.messages("a")
    journal.close()
    path.write_bytes(b"no database at all" * 500)
    with raises("journal_damaged"):
        open_journal()


def test_killed_while_submitting(tmp_path: Path) -> None:
    """`kill -9`, ten times on the same journal: what was acknowledged is there, once, with its content."""
    chance, killed = Random(31), Killed(tmp_path)
    for _ in range(ROUNDS):
        killed.round(chance.random() * 0.15)
    assert killed.breaks == []
    assert len(killed.acknowledged) > 100


def test_acknowledging_early_is_noticed(tmp_path: Path) -> None:
    """The control: a journal that acknowledges before its commit fails the test above."""
    killed = Killed(tmp_path, "early")
    for _ in range(ROUNDS):
        killed.round(0.05)
        if killed.breaks:
            break
    assert killed.breaks != []
    assert all("is lost" in one for one in killed.breaks)


def _traced(folder: Path, double: str) -> list[str]:
    """What a process does that submits 20 messages one by one: `sync FILE` and `told`, in order."""
    if shutil.which("strace") is None:
        pytest.skip("left out: there is no strace")
    folder.mkdir()
    command = ["strace", "-f", "-y", "-qq", "-o", str(folder / "trace"), "-e", "trace=fsync,fdatasync,write"]
    path = folder / "live" / "journal.sqlite"
    done = subprocess.run(
        [*command, *submitting(path, 1, 20, 1, double=double)], capture_output=True, text=True, check=False
    )
    if "ptrace" in done.stderr.lower():
        pytest.skip("left out: strace may not trace here")
    assert done.returncode == 0, done.stderr
    assert len(done.stdout.splitlines()) == 20
    calls = re.findall(r"(fsync|fdatasync|write)\((\d+)<([^>]*)>(?:, \"(s0 )?)?", (folder / "trace").read_text())
    return [
        "told" if call == "write" else f"sync {Path(file).name}"
        for call, number, file, told in calls
        if call != "write" or (number == "1" and told)
    ]


def test_every_acknowledgement_follows_a_sync(tmp_path: Path) -> None:
    """A kill cannot show a missing sync: the system's calls do. Between two acknowledgements the log is synced."""
    calls = _traced(tmp_path / "real", "-")
    before, *between = " ".join(calls).split("told")
    assert "sync live" in before, "the name of the file is durable before anything is acknowledged"
    assert len(between) == 20
    assert all("sync journal.sqlite-wal" in part for part in [before, *between[:-1]])
    before, *between = " ".join(_traced(tmp_path / "unsynced", "unsynced")).split("told")
    assert not any("journal.sqlite-wal" in part for part in between[:-1]), "the control: this test can fail"


def test_what_is_at_hand_is_read_at_once(journal: EmbeddedJournal) -> None:
    """All of a session's messages, or nothing: where they are many or large, or somebody else is reading."""
    put(journal, *(message("few", seq) for seq in range(1, 65)))
    put(journal, *(message("many", seq) for seq in range(1, 66)))
    put(journal, *(message("large", seq, f'["{"x" * 40_000}"]') for seq in range(1, 3)))
    assert journal.at_once("few") == journal.messages("few")
    assert journal.at_once("none") == []
    assert [journal.at_once(name) for name in ("many", "large")] == [None, None]
    with journal._reading_lock:
        assert journal.at_once("few") is None
    assert journal.at_once("few") == journal.messages("few")
