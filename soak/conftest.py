"""The long runs use the places and files of the store's tests, and write down what they saw."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.store.conftest import expected, files, nothing_stays_behind, server

__all__ = ["expected", "files", "nothing_stays_behind", "server"]

RESULTS = Path(__file__).parent / "RESULTS.md"


@pytest.fixture(scope="session")
def note() -> Iterator[Callable[[str], None]]:
    """Take down one line of the results; the file is written anew when all is done."""
    lines: list[str] = []
    yield lines.append
    if lines:
        head = f"# Long runs\n\nWritten by `make soak` on {datetime.now(UTC):%Y-%m-%d}.\n\n"
        RESULTS.write_text(head + "".join(f"- {line}\n" for line in lines), encoding="utf-8")
