"""Opening the store or the journal that a command names."""

import os
from collections.abc import Callable
from pathlib import Path

from sojourn.errors import UsageError
from sojourn.store.base import Store
from sojourn.store.embedded import Embedded
from sojourn.store.journals import ROOM, Journal, JournalReader, Told


def open_store(home: str | None, url: str | None) -> Store:
    """The store at *url*, or the embedded one; *home* defaults to `SOJOURN_HOME` or ``./sojourn-data``."""
    folder = _folder(home)
    if url is None:
        return Embedded(folder)
    _check(url)
    from sojourn.store.postgres import Postgres  # its driver is slow to import

    return Postgres(folder, url)


def open_journal_reader(home: str | None, url: str | None) -> JournalReader:
    """Reads the journal of live messages at *url*, or the embedded one of *home*, as in `open_store`.

    Raises `SojournError`: ``no_journal`` where nothing was ever received, ``newer_format``.
    """
    if url is None:
        from sojourn.store.messages import FILE, EmbeddedReader

        return EmbeddedReader(_folder(home) / FILE)
    _check(url)
    from sojourn.store.postgres_messages import PostgresJournalReader

    return PostgresJournalReader(url)


def open_journal(
    home: str | None, url: str | None, told: Told, taken: Callable[[str], None], *, room: int = ROOM
) -> Journal:
    """Writes the journal at *url*, or the embedded one of *home*, as in `open_store`.

    *told* and *taken* are called on a thread of the journal's: with what became of messages, and with sessions that
    another process has claimed.
    """
    if url is None:
        from sojourn.store.journal import EmbeddedJournal
        from sojourn.store.messages import FILE

        return EmbeddedJournal(_folder(home) / FILE, told, room=room)
    _check(url)
    from sojourn.store.postgres_journal import PostgresJournal

    return PostgresJournal(url, told, taken=taken, room=room)


def _folder(home: str | None) -> Path:
    folder = Path(home or os.environ.get("SOJOURN_HOME") or "sojourn-data").absolute()
    if folder.exists() and not folder.is_dir():
        raise UsageError("home_unusable", f"the home {folder} is a file; name a folder with --home")
    if "?" in str(folder):
        raise UsageError("home_unusable", f"the home {folder} has a ? in its path; name a folder without")
    return folder


def _check(url: str) -> None:
    if not url.startswith(("postgresql://", "postgres://")):
        raise UsageError("bad_store", "a store is a URL such as postgresql://user:password@host:5432/database")
