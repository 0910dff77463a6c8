"""Waiting for an engine so that an interrupt (Ctrl-C, or being told to end) reaches it."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

Result = TypeVar("Result")


def waited_for(work: Callable[[], Result], cancel: Callable[[], object]) -> Result:
    """What *work* gives, done in a thread aside; an interrupt while it lasts calls *cancel*, and goes on from there.

    Signals reach Python between its own steps only: engines that compute for minutes would not notice.
    """
    with ThreadPoolExecutor(1) as aside:
        future = aside.submit(work)
        try:
            return future.result()
        except KeyboardInterrupt:
            cancel()
            raise
