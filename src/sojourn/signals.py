"""Being told to end: by Ctrl-C, or by the system."""

import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager

_NUMBERS = (signal.SIGINT, signal.SIGTERM)
_AT_ONCE = 1.0
"""Seconds in which signals count as one: `timeout` and some supervisors send two."""

_told: list[float] = []


def is_ending() -> bool:
    """Whether we were told to end. What the signal raised may get lost, where Python ignores exceptions."""
    return bool(_told)


@contextmanager
def heard() -> Iterator[None]:
    """SIGTERM is a `KeyboardInterrupt` like Ctrl-C, and carries its number; told once more, we leave at once.

    That is safe at any moment: what a run leaves lying about is removed by the next.
    """
    _told.clear()

    def end(number: int, _: object) -> None:
        if not _told:
            _told.append(time.monotonic())
            raise KeyboardInterrupt(number)
        if time.monotonic() - _told[0] > _AT_ONCE:
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
