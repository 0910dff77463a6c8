"""Every journal: what is acknowledged stays, and what each of its methods promises."""

import asyncio
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from sojourn.store.journals import Journal, Message, Session, Settled, Standing
from tests.store.journals import (
    Embedded,
    InPostgres,
    embedded_in,
    everything,
    message,
    put,
    put_soon,
    put_unclaimed,
    raises,
    said,
    tell,
)

Where = Embedded | InPostgres


@pytest.fixture(params=["embedded", "postgres"])
def where(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Where]:
    """A fresh place for each kind of journal in turn."""
    place: Where = (
        embedded_in(tmp_path) if request.param == "embedded" else InPostgres(request.getfixturevalue("database"))
    )
    yield place
    for journal in place.opened:
        journal.close()


@pytest.fixture
def journal(where: Where) -> Journal:
    """A fresh journal."""
    return where.open()


def test_messages_come_back_as_they_were(journal: Journal) -> None:
    """Content, number and time of receipt, in the order of numbers."""
    assert journal.standing("a").last == 0
    assert put(journal, message("a", 1, "[1]"), message("b", 1), message("a", 2, "[]", received_at=7)) == ["stored"] * 3
    assert [one[1:] for one in journal.messages("a")] == [("a", 1, b"[1]", 0), ("a", 2, b"[]", 7)]
    assert (journal.standing("a").last, journal.standing("b").last, journal.standing("c").last) == (2, 1, 0)
    assert journal.messages("c") == []
    assert journal.message("a", 2) == journal.messages("a")[1]
    assert journal.message("a", 3) is journal.message("c", 1) is None


def test_sent_again(where: Where, journal: Journal) -> None:
    """The same content is acknowledged again, also within one commit; other content is refused, and changes nothing."""
    put(journal, message("a", 1))
    assert put(journal, message("a", 1), message("a", 1, "[2]")) == ["known", "other_content"]
    with where.held(journal):
        futures = put_soon(journal, message("a", 2), message("a", 2), message("a", 2, "[2]"), message("a", 3))
    assert [said(future.result(9)) for future in futures] == ["stored", "known", "other_content", "stored"]
    assert [one.content for one in journal.messages("a")] == [b"[1]"] * 3


@pytest.mark.parametrize("seq", [-1, 0, 2, 1 << 62, 1 << 70])
def test_a_number_out_of_turn_is_refused(journal: Journal, seq: int) -> None:
    """A session's messages have no gap: what follows a message that was not stored is not stored either."""
    assert put(journal, message("a", seq), message("b", 1)) == ["gap", "stored"]
    assert put(journal, message("a", 1), message("a", 3), message("a", 2)) == ["stored", "gap", "stored"]


def test_many_threads(journal: Journal) -> None:
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


def test_from_an_event_loop(where: Where) -> None:
    """Submitting does not wait; what is told is handed to the loop once per commit."""

    async def main() -> list[Settled]:
        loop, done = asyncio.get_running_loop(), asyncio.Event()
        found: list[Settled] = []

        def take(settled: list[Settled]) -> None:
            found.extend(settled)
            if len(found) == 100:
                done.set()

        journal = where.open(told=lambda settled, _: loop.call_soon_threadsafe(take, settled))
        await asyncio.to_thread(journal.claim, "a")
        for seq in range(1, 101):
            journal.submit(message("a", seq), seq)
        await asyncio.wait_for(done.wait(), 20)
        return found

    assert [one.sender for one in asyncio.run(main())] == list(range(1, 101))


def test_reading_after_a_place(journal: Journal) -> None:
    """A later reader sees what came since; places are never used again, also after the newest was forgotten."""
    put(journal, message("a", 1), message("b", 1))
    first = journal.since(0)
    assert [one.session_id for one in first] == ["a", "b"]
    assert journal.since(first[-1].place) == []
    assert journal.forget("b") == 1
    put(journal, message("b", 1), message("a", 2))
    assert [(one.session_id, one.seq) for one in journal.since(first[-1].place)] == [("b", 1), ("a", 2)]
    assert len(journal.since(0, size=1)) == 1


def test_a_forgotten_session_begins_anew(where: Where, journal: Journal) -> None:
    """Its messages are gone for good, those that waited are refused, and nothing of it is left in the files."""
    put(journal, message("a", 1, '["a secret"]'), message("b", 1))
    with where.held(journal):
        forgetting = threading.Thread(target=journal.forget, args=("a",))
        forgetting.start()
    forgetting.join()
    assert put_unclaimed(journal, message("a", 2)) == ["gap"]
    assert journal.forget("a") == 0
    assert everything(journal) == [("b", 1)]
    journal.close()
    if isinstance(where, Embedded):
        assert b"a secret" not in where.path.read_bytes()
    assert put(where.open(), message("a", 1)) == ["stored"]


def test_pages_of_sessions(journal: Journal) -> None:
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


def test_standing(journal: Journal) -> None:
    """What who goes on with a session needs; and messages are found by the key that came with them."""
    assert journal.claim("a") == Standing()
    put(journal, message("a", 1, "[1]", started_at=1, events=3, key="x/0"), message("a", 2, "[2]", events=4))
    assert journal.standing("a") == Standing(2, b"[1]", False, 4)
    put(journal, message("a", 3, "[3]", ended_at=1, events=4, key="y/0"), message("b", 1, key="x/0"))
    assert journal.claim("a") == Standing(3, b"[1]", True, 4)
    assert [journal.keyed("a", key) for key in ("x/0", "y/0", "z")] == [1, 3, None]
    assert journal.keyed("c", "x/0") is None


def test_overload(where: Where) -> None:
    """What may wait is bounded: more is refused at once, and there is room again when it is stored."""
    journal = where.open(room=4_000)
    journal.claim("a")
    with where.held(journal):
        futures = put_soon(journal, *(message("a", seq) for seq in range(1, 5)))
        with raises("overload"):
            journal.submit(message("a", 5, f'["{"x" * 2_000}"]'))
        assert 2_000 < journal.waiting <= 4_000
    assert [said(future.result(9)) for future in futures] == ["stored"] * 4
    assert put(journal, message("a", 5, f'["{"x" * 2_000}"]')) == ["stored"]


def test_closing_drains(where: Where, journal: Journal) -> None:
    """What was submitted before is stored and told; then nothing is taken any more."""
    journal.claim("a")
    futures = put_soon(journal, *(message("a", seq) for seq in range(1, 501)))
    journal.close()
    assert {said(future.result(0)) for future in futures} == {"stored"}
    with raises("closed"):
        journal.submit(message("a", 501))
    with raises("journal_unusable"):
        journal.standing("a")
    journal.close()
    assert where.open().standing("a").last == 500


def test_who_is_told_may_fail(where: Where, caplog: pytest.LogCaptureFixture) -> None:
    """The journal goes on; what was stored is stored."""

    def fail(settled: list[Settled], _: float) -> None:
        tell(settled)
        raise RuntimeError("the loop is closed")

    journal = where.open(told=fail)
    assert put(journal, message("a", 1)) + put(journal, message("a", 2)) == ["stored"] * 2
    journal.close()
    assert "the loop is closed" in caplog.text


def test_a_failed_commit_stores_nothing_of_it(where: Where, journal: Journal) -> None:
    """One commit is whole or not at all, and nothing of a failed one is acknowledged; the next one works."""
    for session_id in "abdec":
        journal.claim(session_id)
    where.fail(journal, "c")
    with where.held(journal):
        futures = put_soon(journal, *(message(session_id, 1) for session_id in "abdec"))
    told = [said(future.result(20)) for future in futures]
    assert told[-1] == "journal_unusable"
    stored = [session_id for session_id, word in zip("abdec", told, strict=True) if word == "stored"]
    assert [session_id for session_id, _ in everything(journal)] == stored
    where.fail_no_more(journal)
    for session_id in stored:
        journal.forget(session_id)
    assert put(journal, *(message(session_id, 1) for session_id in "abdec")) == ["stored"] * 5


def test_a_reader_beside_the_writer(where: Where, journal: Journal) -> None:
    """It sees what is stored, as soon as it is told."""
    put(journal, message("a", 1))
    reader = where.read()
    assert reader.standing("a").last == 1
    put(journal, message("a", 2))
    assert [one.seq for one in reader.messages("a")] == [1, 2]
    reader.close()
    with raises("journal_unusable"):
        reader.standing("a")


def test_what_was_altered_is_noticed(where: Where, journal: Journal) -> None:
    """A content that is not what was stored is told as damage, and is not handed out."""
    put(journal, message("a", 1, '["altered"]'), message("b", 1))
    where.alter("a")
    for read in (journal.messages, journal.standing):
        with raises("journal_damaged"):
            read("a")
    with raises("journal_damaged"):
        journal.since(0)
    assert len(journal.messages("b")) == 1


def test_checking(where: Where, journal: Journal) -> None:
    """Something is written, and nothing of it is seen."""
    journal.check()
    put(journal, message("a", 1))
    journal.check()
    assert everything(journal) == [("a", 1)]


class Model(RuleBasedStateMachine):
    """Any order of submitting, forgetting and opening anew gives what a dictionary of lists gives."""

    where: Where
    runs = 0

    @initialize()
    def begin(self) -> None:
        Model.runs += 1
        self.names = [f"{Model.runs}{name}" for name in "ab"]
        self.journal: Journal = self.where.open()
        self.model: dict[str, list[bytes]] = {}
        self.before = everything(self.journal)

    @rule(given=st.lists(st.tuples(st.integers(0, 1), st.integers(0, 6), st.sampled_from(["[1]", "[2]"])), max_size=12))
    def submit(self, given: list[tuple[int, int, str]]) -> None:
        messages = [message(self.names[name], seq, text) for name, seq, text in given]
        assert put(self.journal, *messages) == [self._expected(one) for one in messages]

    def _expected(self, one: Message) -> str:
        known = self.model.setdefault(one.session_id, [])
        if one.seq == len(known) + 1:
            known.append(one.content)
            return "stored"
        if not 1 <= one.seq <= len(known):
            return "gap"
        return "known" if known[one.seq - 1] == one.content else "other_content"

    @rule(name=st.integers(0, 1))
    def forget(self, name: int) -> None:
        session_id = self.names[name]
        assert self.journal.forget(session_id) == len(self.model.pop(session_id, []))

    @rule()
    def reopen(self) -> None:
        self.journal.close()
        self.journal = self.where.open()

    @invariant()
    def same(self) -> None:
        for session_id in self.names:
            stored = self.journal.messages(session_id)
            assert [one.content for one in stored] == self.model.get(session_id, [])
            assert self.journal.standing(session_id).last == len(stored)
        listed = sorted(set(everything(self.journal, size=5)) - set(self.before))
        assert listed == sorted((name, seq + 1) for name, has in self.model.items() for seq in range(len(has)))

    def teardown(self) -> None:
        self.journal.close()


def test_like_a_dictionary(where: Where) -> None:
    """The laws above hold for any history."""
    Model.where = where
    effort = settings(
        max_examples=15,
        stateful_step_count=12,
        derandomize=True,
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    run_state_machine_as_test(Model, settings=effort)
