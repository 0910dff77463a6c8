"""Being told to end: by Ctrl-C, or by the system."""

import _thread
import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sys import UnraisableHookArgs

_NUMBERS = (signal.SIGINT, signal.SIGTERM)
_AT_ONCE = 1.0
"""Seconds in which signals count as one: `timeout` and some supervisors send two."""
_AGAIN = 0.05
"""Seconds until what a signal raised is raised again, where it got lost."""

_told: list[tuple[int, float]] = []
"""The first signal, and when it came."""
_held: list[None] = []
"""One for each block that is not to be broken off."""


def is_ending() -> bool:
    """Whether we were told to end."""
    return bool(_told)


@contextmanager
def held() -> Iterator[None]:
    """What a signal raises waits until this block is over: it must be short, and would be left half done otherwise."""
    _held.append(None)
    try:
        yield
    finally:
        _held.pop()
    end_if_told()


def end_if_told() -> None:
    """Raise what a signal was to raise, or did in vain: a library may have kept it to itself."""
    if _told:
        raise interrupt()


def interrupt() -> KeyboardInterrupt:
    """What the signal raised, where a library makes something else of it."""
    return KeyboardInterrupt(_told[0][0] if _told else signal.SIGINT)


@contextmanager
def heard() -> Iterator[None]:
    """SIGTERM is a `KeyboardInterrupt` like Ctrl-C, and carries its number; told once more, we leave at once.

    That is safe at any moment: what a run leaves lying about is removed by the next.
    """
    before = {number: signal.getsignal(number) for number in _NUMBERS}
    ignored = sys.unraisablehook
    for number, handler in before.items():
        if handler is not signal.SIG_IGN:
            signal.signal(number, _end)
    sys.unraisablehook = lambda what: _raise_again(what) if _is_ours(what) else ignored(what)
    try:
        yield
    finally:
        sys.unraisablehook = ignored
        for number, handler in before.items():
            signal.signal(number, handler)
        _told.clear()


def _end(number: int, _: object) -> None:
    if not _told:
        _told.append((number, time.monotonic()))
        if not _held:
            raise KeyboardInterrupt(number)
    elif time.monotonic() - _told[0][1] > _AT_ONCE:
        os._exit(128 + number)


def _is_ours(what: "UnraisableHookArgs") -> bool:
    return bool(_told) and isinstance(what.exc_value, KeyboardInterrupt)


def _raise_again(_: "UnraisableHookArgs") -> None:
    """Python ignores what is raised in a finalizer, or while garbage is collected: the signal comes again."""
    number, _since = _told.pop()
    threading.Timer(_AGAIN, _thread.interrupt_main, [number]).start()
