"""Actors in the journal of live messages: in which sessions they are."""

from collections.abc import Iterator
from contextlib import closing, contextmanager

from sojourn.errors import SojournError
from sojourn.forgetting.known import Actors
from sojourn.reading.forgotten import is_named
from sojourn.reading.tokens import tokens, values
from sojourn.store.base import Store
from sojourn.store.journals import JournalReader
from sojourn.store.opening import open_journal_reader

_AT_ONCE = 4 << 20


def sessions_of(store: Store, actors: Actors, kinds: set[str]) -> dict[str, int]:
    """The sessions that name an actor by their id or by any value of their messages, and how many they have.

    *kinds*: what the values can be.
    """
    found: set[str] = set()
    plain = [form.encode() for form in actors.of("text")] if kinds == {"text"} else []
    with _reader(store) as reader:
        place = 0
        while reader is not None and (some := reader.since(place, _AT_ONCE)):
            place = some[-1].place
            found |= {
                message.session_id
                for message in some
                if is_named({message.session_id}, {"text"}, actors) or _is_named(message.content, actors, kinds, plain)
            }
        return {session_id: reader.standing(session_id).last for session_id in found} if reader is not None else {}


def _is_named(content: bytes, actors: Actors, kinds: set[str], plain: list[bytes]) -> bool:
    if plain and b"\\" not in content and not any(form in content for form in plain):
        return False  # without escapes it would stand there as it is
    found = values(content.decode("utf-8", "surrogateescape"), with_keys=False)
    return is_named(tokens(content) if found is None else found, kinds, actors)


@contextmanager
def _reader(store: Store) -> Iterator[JournalReader | None]:
    """What reads the journal; None where nothing was ever received."""
    try:
        reader = open_journal_reader(str(store.home), store.address)
    except SojournError as error:
        if error.code != "no_journal":
            raise
        yield None
        return
    with closing(reader):
        yield reader
