"""Waiting for an engine so that an interrupt (Ctrl-C, or being told to end) reaches it."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, wait
from typing import TypeVar

Result = TypeVar("Result")

_AGAIN = 0.1
"""Seconds until work is cancelled again that goes on."""


def waited_for(work: Callable[[], Result], cancel: Callable[[], object]) -> Result:
    """What *work* gives, done in a thread aside; an interrupt meanwhile calls *cancel* until it ends, and goes on then.

    Signals reach Python between its own steps only: engines that compute for minutes would not notice.
    """
    with ThreadPoolExecutor(1) as aside:
        future = aside.submit(work)
        try:
            return future.result()
        except KeyboardInterrupt:
            while not future.done():  # work that just begins has nothing to cancel yet
                cancel()
                wait([future], _AGAIN)
            raise
