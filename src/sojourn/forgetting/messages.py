"""Actors in the journal of live messages: in which sessions they are."""

from collections.abc import Iterator
from contextlib import closing

from sojourn.errors import SojournError
from sojourn.forgetting.known import Actors
from sojourn.reading.forgotten import is_named
from sojourn.reading.tokens import tokens, values
from sojourn.store.base import Store
from sojourn.store.journals import Stored
from sojourn.store.opening import open_journal_reader

_AT_ONCE = 4 << 20


def sessions_of(store: Store, actors: Actors, kinds: set[str]) -> dict[str, int]:
    """The sessions that name an actor by their id or by any value of their messages, and how many of those do.

    *kinds*: what the values can be.
    """
    found: dict[str, int] = {}
    plain = [form.encode() for form in actors.of("text")] if kinds == {"text"} else []
    for message in _messages(store):
        if is_named({message.session_id}, {"text"}, actors) or _is_named(message.content, actors, kinds, plain):
            found[message.session_id] = found.get(message.session_id, 0) + 1
    return found


def _is_named(content: bytes, actors: Actors, kinds: set[str], plain: list[bytes]) -> bool:
    if plain and b"\\" not in content and not any(form in content for form in plain):
        return False  # without escapes it would stand there as it is
    found = values(content.decode("utf-8", "surrogateescape"), with_keys=False)
    return is_named(tokens(content) if found is None else found, kinds, actors)


def _messages(store: Store) -> Iterator[Stored]:
    try:
        reader = open_journal_reader(str(store.home), store.address)
    except SojournError as error:
        if error.code == "no_journal":
            return
        raise
    with closing(reader):
        place = 0
        while some := reader.since(place, _AT_ONCE):
            yield from some
            place = some[-1].place
