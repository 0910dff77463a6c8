"""What becomes of messages that are to be stored: the one rule of every journal."""

from collections.abc import Callable
from typing import Any

from sojourn.errors import SojournError
from sojourn.store.journals import OVERHEAD, Message, Settled
from sojourn.store.messages import digest_of

Batch = list[tuple[Message, Any]]
"""Messages in the order they came, each with its sender."""

Row = tuple[Any, ...]
"""A message to be stored, by `COLUMNS`."""

COLUMNS = ("session_id", "seq", "content", "digest", "received_at", "started_at", "ended_at", "events", "key")


def judge(
    batch: Batch, lasts: dict[str, int], stored: Callable[[str, int], bytes | None]
) -> tuple[list[Row], list[Settled]]:
    """The rows to insert, and what will have become of each message once they are durable.

    *lasts* holds the number of each session's last message (0: none), and goes on with the rows; *stored* gives the
    digest of a message up to there.
    """
    fresh: dict[tuple[str, int], bytes] = {}
    rows, settled = [], []
    for message, sender in batch:
        session_id, seq, content, *times = message
        last, digest = lasts[session_id], digest_of(content)
        if seq == last + 1:
            lasts[session_id], fresh[session_id, seq] = seq, digest
            rows.append((session_id, seq, content, digest, *times))
            settled.append(Settled(message, sender))
        elif not 0 < seq <= last:
            fault = f"message {seq} of session {session_id} cannot follow message {last}"
            settled.append(Settled(message, sender, SojournError("gap", fault)))
        elif digest == (fresh.get((session_id, seq)) or stored(session_id, seq)):
            settled.append(Settled(message, sender, is_known=True))
        else:
            fault = f"message {seq} of session {session_id} is stored already, and holds something else"
            settled.append(Settled(message, sender, SojournError("other_content", fault)))
    return rows, settled


def size_of(batch: Batch) -> int:
    """Bytes that the messages take while they wait."""
    return sum(len(message.content) + OVERHEAD for message, _ in batch)
