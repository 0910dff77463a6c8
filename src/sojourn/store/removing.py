"""Sessions removed from a journal by who does not write it: a service may go on with it meanwhile.

The embedded journal is deleted from beside its writer, who finds the session gone at its next message: a gap, after
which it asks the journal where the session stands. In PostgreSQL we take the sessions over first, as any process does.
"""

import json
import time
from collections.abc import Collection
from contextlib import closing
from pathlib import Path

from sojourn.errors import SojournError
from sojourn.store.messages import FILE, connect, faults

PATIENCE = 60.0
"""Seconds to wait for those who read the embedded journal, before its log can be emptied."""


def remove_sessions(home: Path, url: str | None, session_ids: Collection[str]) -> int:
    """Remove the sessions' messages for good; how many they were. Raises `SojournError` where it cannot be done."""
    if url is None:
        return _from_file(home / FILE, session_ids)
    from sojourn.store.postgres_journal import PostgresJournal

    with closing(PostgresJournal(url, lambda *_: None, taken=lambda _: None)) as journal:
        removed = 0
        for session_id in session_ids:
            journal.claim(session_id)
            removed += journal.forget(session_id)
    return removed


def vacuum(home: Path, *, packs: bool) -> None:
    """Have nothing be left of removed messages in the embedded journal: not in its log, nor (*packs*) in free pages.

    These hold zeros only, as every connection of ours deletes like that; a journal without them is smaller, too.
    """
    path = home / FILE
    if not path.exists():
        return
    with closing(connect(path, "rw")) as connection, faults(path):
        connection.execute("pragma secure_delete = on")
        connection.execute(f"pragma busy_timeout = {PATIENCE * 1000:.0f}")
        if packs:
            connection.execute("vacuum")
        until = time.monotonic() + PATIENCE
        while connection.execute("pragma wal_checkpoint(truncate)").fetchone()[0]:
            if time.monotonic() > until:
                said = f"the journal {path} is being read without a pause; end who reads it, and do this again"
                raise SojournError("journal_locked", said)
            time.sleep(0.1)


def _from_file(path: Path, session_ids: Collection[str]) -> int:
    with closing(connect(path, "rw")) as connection, faults(path):
        connection.execute("pragma secure_delete = on")
        connection.execute("begin immediate")
        removed = connection.execute(
            "delete from messages where session_id in (select value from json_each(?))",
            (json.dumps(list(session_ids)),),
        ).rowcount
        connection.execute("commit")
    return removed
