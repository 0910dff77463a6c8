"""The embedded journal: what is acknowledged stays, whatever happens."""

import asyncio
import os
import re
import resource
import shutil
import sqlite3
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from random import Random

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from sojourn.errors import SojournError
from sojourn.store import messages as module
from sojourn.store.journal import EmbeddedJournal
from sojourn.store.journals import Message, Session, Settled, Standing, Told
from sojourn.store.messages import FORMAT, EmbeddedReader
from tests.store.journals import Killed, message, put, put_soon, said, submitting, tell

ROUNDS = 10  # the long form is in soak/

Open = Callable[..., EmbeddedJournal]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where a home has its journal."""
    return tmp_path / module.FILE


@pytest.fixture
def open_journal(path: Path) -> Iterator[Open]:
    """Opens journals, which are closed when the test ends."""
    opened: list[EmbeddedJournal] = []

    def opening(where: Path = path, told: Told = tell, **settings: int) -> EmbeddedJournal:
        opened.append(EmbeddedJournal(where, told, **settings))
        return opened[-1]

    yield opening
    for journal in opened:
        journal.close()


@pytest.fixture
def journal(open_journal: Open) -> EmbeddedJournal:
    """A fresh journal."""
    return open_journal()


@contextmanager
def raises(code: str) -> Iterator[None]:
    """Something fails with *code* and one sentence."""
    with pytest.raises(SojournError) as caught:
        yield
    assert caught.value.code == code
    assert "\n" not in str(caught.value)


@contextmanager
def held(journal: EmbeddedJournal) -> Iterator[None]:
    """Nothing is committed meanwhile."""
    with journal._writing_lock:
        yield


def everything(journal: EmbeddedReader, **how: int) -> list[tuple[str, int]]:
    """All messages by place, read piece by piece."""
    found, place = [], 0
    while piece := journal.since(place, **how):
        found += [(one.session_id, one.seq) for one in piece]
        place = piece[-1].place
    return found


def test_messages_come_back_as_they_were(journal: EmbeddedJournal) -> None:
    """Content, number and time of receipt, in the order of numbers."""
    assert journal.standing("a").last == 0
    assert put(journal, message("a", 1, "[1]"), message("b", 1), message("a", 2, "[]", received_at=7)) == ["stored"] * 3
    assert [one[1:] for one in journal.messages("a")] == [("a", 1, b"[1]", 0), ("a", 2, b"[]", 7)]
    assert (journal.standing("a").last, journal.standing("b").last, journal.standing("c").last) == (2, 1, 0)
    assert journal.messages("c") == []
    assert journal.message("a", 2) == journal.messages("a")[1]
    assert journal.message("a", 3) is journal.message("c", 1) is None


def test_sent_again(journal: EmbeddedJournal) -> None:
    """The same content is acknowledged again, also within one commit; other content is refused, and changes nothing."""
    put(journal, message("a", 1))
    assert put(journal, message("a", 1), message("a", 1, "[2]")) == ["known", "other_content"]
    with held(journal):
        futures = put_soon(journal, message("a", 2), message("a", 2), message("a", 2, "[2]"), message("a", 3))
    assert [said(future.result(9)) for future in futures] == ["stored", "known", "other_content", "stored"]
    assert [one.content for one in journal.messages("a")] == [b"[1]"] * 3


@pytest.mark.parametrize("seq", [-1, 0, 2, 1 << 62, 1 << 70])
def test_a_number_out_of_turn_is_refused(journal: EmbeddedJournal, seq: int) -> None:
    """A session's messages have no gap: what follows a message that was not stored is not stored either."""
    assert put(journal, message("a", seq), message("b", 1)) == ["gap", "stored"]
    assert put(journal, message("a", 1), message("a", 3), message("a", 2)) == ["stored", "gap", "stored"]


def test_many_threads(journal: EmbeddedJournal) -> None:
    """Each of many submitters has its own session; every session is whole and in order."""
    told: dict[str, list[str]] = {}

    def submit(session_id: str) -> None:
        told[session_id] = put(journal, *(message(session_id, seq, f"[{seq}]") for seq in range(1, 201)))

    threads = [threading.Thread(target=submit, args=(f"s{number}",)) for number in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert set(map(tuple, told.values())) == {("stored",) * 200}
    for session_id in told:
        assert [one.content for one in journal.messages(session_id)] == [b"[%d]" % seq for seq in range(1, 201)]
    assert len(everything(journal, size=100)) == 4_000


def test_one_commit_takes_what_waits(open_journal: Open) -> None:
    """What gathered is told at once, and took few statements: each may have to wait for the event loop's thread."""
    told: list[list[Settled]] = []
    journal = open_journal(told=lambda settled, _: told.append(settled))
    statements: list[str] = []
    journal._writing.set_trace_callback(statements.append)
    with held(journal):
        for seq in range(1, 3001):
            journal.submit(message("a", seq))
    journal.close()
    assert sum(map(len, told)) == 3000
    assert len(told) <= 2
    assert len(statements) < 40


def test_from_an_event_loop(open_journal: Open) -> None:
    """Submitting does not wait; what is told is handed to the loop once per commit."""

    async def main() -> list[Settled]:
        loop, done = asyncio.get_running_loop(), asyncio.Event()
        found: list[Settled] = []

        def take(settled: list[Settled]) -> None:
            found.extend(settled)
            if len(found) == 100:
                done.set()

        journal = open_journal(told=lambda settled, _: loop.call_soon_threadsafe(take, settled))
        for seq in range(1, 101):
            journal.submit(message("a", seq), seq)
        await asyncio.wait_for(done.wait(), 20)
        return found

    assert [one.sender for one in asyncio.run(main())] == list(range(1, 101))


def test_reading_after_a_place(journal: EmbeddedJournal) -> None:
    """A later reader sees what came since; places are never used again, also after the newest was forgotten."""
    put(journal, message("a", 1), message("b", 1))
    first = journal.since(0)
    assert [one.session_id for one in first] == ["a", "b"]
    assert journal.since(first[-1].place) == []
    assert journal.forget("b") == 1
    put(journal, message("b", 1), message("a", 2))
    assert [(one.session_id, one.seq) for one in journal.since(first[-1].place)] == [("b", 1), ("a", 2)]
    assert len(journal.since(0, size=1)) == 1


def test_a_forgotten_session_begins_anew(open_journal: Open, journal: EmbeddedJournal, path: Path) -> None:
    """Its messages are gone for good, those that waited are refused, and nothing of it is left in the files."""
    put(journal, message("a", 1, '["a secret"]'), message("b", 1))
    with held(journal):
        forgetting = threading.Thread(target=journal.forget, args=("a",))
        forgetting.start()
    forgetting.join()
    assert put(journal, message("a", 2)) == ["gap"]
    assert journal.forget("a") == 0
    assert everything(journal) == [("b", 1)]
    journal.close()
    assert b"a secret" not in path.read_bytes()
    assert put(open_journal(), message("a", 1)) == ["stored"]


def test_pages_of_sessions(journal: EmbeddedJournal) -> None:
    """By start and id; open or ended; from one time to another."""
    put(journal, *(message(f"s{number}", 1, started_at=number // 2) for number in range(6)))
    put(journal, message("s1", 2, ended_at=9, events=4), message("s1", 3, events=5))
    put(journal, message("unopened", 1))
    assert [one.session_id for one in journal.sessions()] == [f"s{number}" for number in range(6)]
    assert journal.sessions(limit=2)[1] == Session("s1", 0, 9, 3, 5)
    assert [one.session_id for one in journal.sessions((0, "s1"), limit=2)] == ["s2", "s3"]
    assert [one.session_id for one in journal.sessions((1, ""), 2)] == ["s2", "s3"]
    assert [one.session_id for one in journal.sessions(is_open=False)] == ["s1"]
    assert len(journal.sessions(is_open=True)) == 5
    assert [journal.session(name) for name in ("s1", "unopened", "none")] == [Session("s1", 0, 9, 3, 5), None, None]
    plan = " ".join(row[3] for row in journal._rows(f"explain query plan {module._SESSIONS}", 0, "", None, None, 9))
    assert "SCAN" not in plan.replace("SCAN (subquery", "")
    assert "B-TREE" not in plan


def test_standing(journal: EmbeddedJournal) -> None:
    """What who goes on with a session needs; and messages are found by the key that came with them."""
    assert journal.claim("a") == Standing()
    put(journal, message("a", 1, "[1]", started_at=1, events=3, key="x/0"), message("a", 2, "[2]", events=4))
    assert journal.standing("a") == Standing(2, b"[1]", False, 4)
    put(journal, message("a", 3, "[3]", ended_at=1, events=4, key="y/0"), message("b", 1, key="x/0"))
    assert journal.claim("a") == Standing(3, b"[1]", True, 4)
    assert [journal.keyed("a", key) for key in ("x/0", "y/0", "z")] == [1, 3, None]
    assert journal.keyed("c", "x/0") is None


def test_overload(open_journal: Open) -> None:
    """What may wait is bounded: more is refused at once, and there is room again when it is stored."""
    journal = open_journal(room=4_000)
    with held(journal):
        futures = put_soon(journal, *(message("a", seq) for seq in range(1, 5)))
        with raises("overload"):
            journal.submit(message("a", 5, f'["{"x" * 2_000}"]'))
        assert 2_000 < journal.waiting <= 4_000
    assert [said(future.result(9)) for future in futures] == ["stored"] * 4
    assert put(journal, message("a", 5, f'["{"x" * 2_000}"]')) == ["stored"]


def test_closing_drains(open_journal: Open, journal: EmbeddedJournal) -> None:
    """What was submitted before is stored and told; then nothing is taken any more."""
    futures = put_soon(journal, *(message("a", seq) for seq in range(1, 501)))
    journal.close()
    assert {said(future.result(0)) for future in futures} == {"stored"}
    with raises("closed"):
        journal.submit(message("a", 501))
    with raises("journal_unusable"):
        journal.standing("a")
    journal.close()
    assert open_journal().standing("a").last == 500


def test_who_is_told_may_fail(open_journal: Open, caplog: pytest.LogCaptureFixture) -> None:
    """The journal goes on; what was stored is stored."""

    def fail(settled: list[Settled], _: float) -> None:
        tell(settled)
        raise RuntimeError("the loop is closed")

    journal = open_journal(told=fail)
    assert put(journal, message("a", 1)) + put(journal, message("a", 2)) == ["stored"] * 2
    journal.close()
    assert "the loop is closed" in caplog.text


def test_a_failed_commit_stores_nothing_of_it(journal: EmbeddedJournal) -> None:
    """One commit is whole or not at all, and nothing of a failed one is acknowledged; the next one works."""
    for trouble in ("select raise(abort, 'no')", "select raise(rollback, 'no')"):
        journal._writing.execute(
            f"create temp trigger fails before insert on messages when new.session_id = 'c' begin {trouble}; end"
        )
        with held(journal):
            futures = put_soon(journal, *(message(session_id, 1) for session_id in "abdec"))
        told = [said(future.result(9)) for future in futures]
        assert told[-1] == "journal_unusable"
        stored = [session_id for session_id, word in zip("abdec", told, strict=True) if word == "stored"]
        assert [session_id for session_id, _ in everything(journal)] == stored
        journal._writing.execute("drop trigger fails")
        for session_id in stored:
            journal.forget(session_id)
    assert put(journal, *(message(session_id, 1) for session_id in "abdec")) == ["stored"] * 5


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


class Model(RuleBasedStateMachine):
    """Any order of submitting, forgetting and opening anew gives what a dictionary of lists gives."""

    folder: Path
    runs = 0

    @initialize()
    def begin(self) -> None:
        Model.runs += 1
        self.path = self.folder / f"{Model.runs}" / "journal.sqlite"
        self.journal = EmbeddedJournal(self.path, tell)
        self.model: dict[str, list[bytes]] = {}

    @rule(
        given=st.lists(
            st.tuples(st.sampled_from("ab"), st.integers(0, 6), st.sampled_from(["[1]", "[2]"])), max_size=12
        )
    )
    def submit(self, given: list[tuple[str, int, str]]) -> None:
        assert put(self.journal, *(message(*one) for one in given)) == [self._expected(message(*one)) for one in given]

    def _expected(self, one: Message) -> str:
        known = self.model.setdefault(one.session_id, [])
        if one.seq == len(known) + 1:
            known.append(one.content)
            return "stored"
        if not 1 <= one.seq <= len(known):
            return "gap"
        return "known" if known[one.seq - 1] == one.content else "other_content"

    @rule(session_id=st.sampled_from("ab"))
    def forget(self, session_id: str) -> None:
        assert self.journal.forget(session_id) == len(self.model.pop(session_id, []))

    @rule()
    def reopen(self) -> None:
        self.journal.close()
        self.journal = EmbeddedJournal(self.path, tell)

    @invariant()
    def same(self) -> None:
        for session_id in "ab":
            stored = self.journal.messages(session_id)
            assert [one.content for one in stored] == self.model.get(session_id, [])
            assert self.journal.standing(session_id).last == len(stored)
        listed = sorted(everything(self.journal, size=5))
        assert listed == sorted((name, seq + 1) for name, has in self.model.items() for seq in range(len(has)))

    def teardown(self) -> None:
        self.journal.close()


def test_like_a_dictionary(tmp_path: Path) -> None:
    """The laws above hold for any history."""
    Model.folder = tmp_path
    effort = settings(
        max_examples=15,
        stateful_step_count=12,
        derandomize=True,
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    run_state_machine_as_test(Model, settings=effort)
