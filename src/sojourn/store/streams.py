"""The journal as a source: its messages as the lines that a file of streams has."""

from collections.abc import Iterator
from contextlib import closing

from sojourn.errors import SojournError
from sojourn.reading.inputs import Input
from sojourn.store.base import Store
from sojourn.store.journals import JournalReader, Stored
from sojourn.store.opening import open_journal_reader

_AT_ONCE = 4 << 20  # bytes of messages that are read and judged together
_BREAKS = bytes.maketrans(b"\r\n", b"  ")  # white space between a client's values; within text JSON has none


def journal_of(store: Store) -> Input | None:
    """The journal that belongs to *store*, as an input; None where no live message was ever received."""
    try:
        _open(store).close()
    except SojournError as error:
        if error.code == "no_journal":
            return None
        raise
    return Input("journal", None, messages=lambda: _lines(_open(store)))


def line_of(message: Stored) -> bytes:
    """The message as a line of a file of streams, without the line break."""
    session_id, content = message.session_id.encode(), message.content.translate(_BREAKS)
    return b'{"session_id":"%b","seq":%d,"events":%b}' % (session_id, message.seq, content)


def _open(store: Store) -> JournalReader:
    return open_journal_reader(str(store.home), store.address)


def _lines(reader: JournalReader) -> Iterator[dict[int, bytes]]:
    """All messages by their place, some at a time."""
    with closing(reader):
        place = 0
        while some := reader.since(place, _AT_ONCE):
            yield {message.place: line_of(message) for message in some}
            place = some[-1].place
