"""Being told to end: by Ctrl-C, or by the system."""

import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager

_NUMBERS = (signal.SIGINT, signal.SIGTERM)
_AT_ONCE = 1.0
"""Seconds in which signals count as one: `timeout` and some supervisors send two."""

_told: list[tuple[int, float]] = []
"""The first signal, and when it came."""
_held: list[None] = []
"""One for each block that is not to be broken off."""


def is_ending() -> bool:
    """Whether we were told to end."""
    return bool(_told)


def end_if_told() -> None:
    """Raise what a signal was to raise, or did in vain: Python ignores what is raised in a finalizer."""
    if _told:
        raise KeyboardInterrupt(_told[0][0])


@contextmanager
def held() -> Iterator[None]:
    """What a signal raises waits until this block is over: it must be short, and would be left half done otherwise."""
    _held.append(None)
    try:
        yield
    finally:
        _held.pop()
    end_if_told()


@contextmanager
def heard() -> Iterator[None]:
    """SIGTERM is a `KeyboardInterrupt` like Ctrl-C, and carries its number; told once more, we leave at once.

    That is safe at any moment: what a run leaves lying about is removed by the next.
    """

    def end(number: int, _: object) -> None:
        if not _told:
            _told.append((number, time.monotonic()))
            if not _held:
                raise KeyboardInterrupt(number)
        elif time.monotonic() - _told[0][1] > _AT_ONCE:
            os._exit(128 + number)

    before = {number: signal.getsignal(number) for number in _NUMBERS}
    for number, handler in before.items():
        if handler is not signal.SIG_IGN:
            signal.signal(number, end)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        _told.clear()
