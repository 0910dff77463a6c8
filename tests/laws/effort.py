"""How hard the laws are tried."""

import os
from random import Random, SystemRandom

from hypothesis import settings

EFFORT = int(os.environ.get("SOJOURN_LAWS", "1"))
"""1 in CI. Above it, examples are many times as many and no longer the same every time."""


def examples(count: int) -> settings:
    """Settings for *count* examples in CI."""
    return settings(max_examples=count * EFFORT)


def some_examples(count: int) -> settings:
    """The same for a law over whole runs: a quarter of *count* where nobody asks for the long ones (`make soak`).

    The first example of a law tends to be the least of all, so there are two at least.
    """
    return examples(count if os.environ.get("SOJOURN_LONG") else max(2, count // 4))


def seeded(name: str) -> tuple[Random, int]:
    """A source of chance for byte-level fuzz, and its seed for the message of a failure."""
    seed = sum(name.encode()) if EFFORT == 1 else SystemRandom().randrange(1 << 32)
    return Random(seed), seed


def each(words: str) -> list[str]:
    """The words of a text, for long lists of short values."""
    return words.split()
