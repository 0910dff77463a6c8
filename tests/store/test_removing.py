"""Sessions removed from beside the process that writes the journal."""

import sqlite3
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from sojourn.store import removing
from sojourn.store.journal import EmbeddedJournal
from sojourn.store.messages import FILE
from sojourn.store.removing import remove_sessions, vacuum
from tests.store.journals import Embedded, everything, message, put, raises

NAME = '["Quetzal-81x"]'


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[EmbeddedJournal]:
    """A journal that is being written."""
    place = Embedded(tmp_path / FILE)
    yield place.open()
    for one in place.opened:
        one.close()


def held(home: Path) -> bool:
    """Whether the bytes stand in the file or its log."""
    return any(NAME.encode() in path.read_bytes() for path in (home / FILE).parent.iterdir())


def test_nothing_is_left_and_the_writer_goes_on(journal: EmbeddedJournal, tmp_path: Path) -> None:
    """Its next message for such a session is a gap; other sessions are as they were, and no place is used twice."""
    assert (
        put(journal, message("a", 1, NAME), message("b", 1), message("a", 2, NAME), message("c", 1)) == ["stored"] * 4
    )
    places = [one.place for one in journal.since(0)]
    assert held(tmp_path)
    assert remove_sessions(tmp_path, None, ["a", "nobody"]) == 2
    vacuum(tmp_path, packs=True)
    assert not held(tmp_path)
    assert put(journal, message("a", 3), message("b", 2), message("a", 1)) == ["gap", "stored", "stored"]
    assert everything(journal) == [("b", 1), ("c", 1), ("b", 2), ("a", 1)]
    assert [one.place for one in journal.since(places[-1])] == [places[-1] + 1, places[-1] + 2]


def test_what_was_removed_before_leaves_the_log_too(journal: EmbeddedJournal, tmp_path: Path) -> None:
    """Who was killed after removing is made good for without packing again."""
    put(journal, message("a", 1, NAME), message("b", 1))
    remove_sessions(tmp_path, None, ["a"])
    vacuum(tmp_path, packs=False)
    assert not held(tmp_path)


def test_a_reader_is_waited_for_not_forever(
    journal: EmbeddedJournal, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The log cannot be emptied while somebody reads from it."""
    put(journal, message("a", 1, NAME))
    monkeypatch.setattr(removing, "PATIENCE", 0.3)
    with closing(sqlite3.connect(tmp_path / FILE, isolation_level=None, check_same_thread=False)) as reader:
        reader.execute("begin")
        reader.execute("select * from messages").fetchall()
        remove_sessions(tmp_path, None, ["a"])
        with raises("journal_locked"):
            vacuum(tmp_path, packs=False)
        ending = threading.Timer(0.1, lambda: reader.execute("commit"))
        ending.start()
        monkeypatch.setattr(removing, "PATIENCE", 20)
        vacuum(tmp_path, packs=False)
        ending.join()
    assert not held(tmp_path)


def test_where_nothing_was_received(tmp_path: Path) -> None:
    """There is nothing to do."""
    vacuum(tmp_path, packs=True)
    assert not (tmp_path / FILE).exists()
