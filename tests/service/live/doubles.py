"""`sojourn serve` with one part exchanged, to prove that tests notice.

    python -m tests.service.live.doubles DOUBLE serve ...

`early` acknowledges before the commit, `unsynced` commits without waiting for the disk; `hasty` only has less patience
with requests. The tables of `silent` never answer.
"""

import sys
import time

from sojourn.cli import main
from sojourn.store import journal as journals
from sojourn.store.base import Store
from sojourn.store.journal import EmbeddedJournal
from sojourn.store.journals import Message, Settled
from sojourn.web import protocols, receiving, service, serving


class Early(EmbeddedJournal):
    """Acknowledges what it has not yet committed, and never tells of it again."""

    def submit(self, message: Message, sender: object = None) -> None:
        super().submit(message, sender)
        self._told([Settled(message, sender)], 0.0)

    def _commit(self, batch: list[tuple[Message, object]]) -> list[Settled]:
        super()._commit(batch)
        return []


class Unsynced(EmbeddedJournal):
    """Commits without waiting for the disk."""

    def _take(self) -> list[tuple[Message, object]]:
        self._writing.execute("pragma synchronous = off")
        return super()._take()


def exchange(double: str) -> None:
    """Have the service use a double."""
    if double == "hasty":
        protocols.PATIENCE = 1.0
        receiving._PATIENCE = 1.0
    elif double == "silent":
        service._PATIENCE = serving._PARTING = 0.2
        setattr(Store, "published", lambda _: time.sleep(60))  # noqa: B010 - as the type checker knows it, it answers
    else:
        vars(journals)["EmbeddedJournal"] = {"early": Early, "unsynced": Unsynced}[double]


if __name__ == "__main__":
    exchange(sys.argv.pop(1))
    main()
