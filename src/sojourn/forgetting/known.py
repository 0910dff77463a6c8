"""The list of who is forgotten: written before anything else is done, so that whatever is broken off can go on."""

import os
import secrets
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from pathlib import Path

import msgspec

from sojourn.reading.forgotten import FILE, Hashes, forms, hashes_of, read
from sojourn.store.files import sync


@dataclass(frozen=True)
class Actors:
    """Actors by every form that a value of each kind gives them."""

    forms: frozenset[tuple[str, str]]

    def names(self, kind: str, form: str) -> bool:
        """Whether it is one of them."""
        return (kind, form) in self.forms

    def of(self, kind: str) -> list[str]:
        """Their forms as values of a *kind*."""
        return sorted(form for each, form in self.forms if each == kind)

    def with_sessions(self, sessions: Iterable[str]) -> "Actors":
        """The actors, and the sessions of streams that they were named in."""
        return Actors(self.forms | {("text", session_id) for session_id in sessions})


def actors(given: Iterable[str]) -> Actors:
    """The actors as a person named them."""
    return Actors(frozenset(form for actor in given for form in forms(actor)))


def add(home: Path, given: Collection[str], pipeline: str | None) -> None:
    """Have *home* know, durably, that the actors are forgotten: in one *pipeline*, or in all."""
    known, scope = read(home) or Hashes(secrets.token_hex(32), {}), pipeline or ""
    before = set(known.hashes.get(scope, ()))
    fresh = {hashed for actor in given for hashed in hashes_of(bytes.fromhex(known.key), actor, scope)}
    if fresh <= before:
        return
    content = msgspec.json.encode(Hashes(known.key, {**known.hashes, scope: sorted(before | fresh)}))
    target = home / FILE
    staged = target.with_suffix(".new")
    descriptor = os.open(staged, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)  # the key is nobody else's
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(descriptor)
    staged.replace(target)
    sync(home)
