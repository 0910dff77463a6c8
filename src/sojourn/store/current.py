"""Something open that many threads use at once, until another takes its place."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from threading import Lock
from typing import Generic, TypeVar

from sojourn.errors import UsageError

Held = TypeVar("Held")


@dataclass
class _Turn(Generic[Held]):
    held: Held
    closing: ExitStack
    users: int = 0


class Current(Generic[Held]):
    """Opened by the first who needs it. When it no longer fits, or broke, the next opens another; whoever is the
    last to leave one that was replaced closes it."""

    def __init__(self, opened: Callable[[ExitStack], Held]) -> None:
        self._opened = opened
        self._lock = Lock()
        self._turn: _Turn[Held] | None = None

    @contextmanager
    def used(self, fits: Callable[[Held], bool]) -> Iterator[Held]:
        """What is open and *fits*, for as long as it is used here."""
        turn = self._entered(fits)
        try:
            yield turn.held
        except UsageError:  # its user's mistake
            raise
        except Exception:
            self.replace(turn)
            raise
        finally:
            with self._lock:
                turn.users -= 1
                self._close_unused(turn)

    def replace(self, turn: "_Turn[Held] | None" = None) -> None:
        """Let the next user open another than *turn*, or than whatever is open now."""
        with self._lock:
            if self._turn is not None and (turn is None or turn is self._turn):
                self._retire(self._turn)

    def _entered(self, fits: Callable[[Held], bool]) -> "_Turn[Held]":
        with self._lock:
            if self._turn is not None and not fits(self._turn.held):
                self._retire(self._turn)
            if self._turn is None:
                with ExitStack() as stack:
                    held = self._opened(stack)
                    self._turn = _Turn(held, stack.pop_all())
            self._turn.users += 1
            return self._turn

    def _retire(self, turn: "_Turn[Held]") -> None:
        self._turn = None
        self._close_unused(turn)

    def _close_unused(self, turn: "_Turn[Held]") -> None:
        if turn.users == 0 and turn is not self._turn:
            turn.closing.close()
