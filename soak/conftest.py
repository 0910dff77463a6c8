"""The long runs use the places and files of the store's tests, and write down what they saw."""

import re
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.browser.conftest import browser, chromium, opened
from tests.store.conftest import expected, files, nothing_stays_behind, server

__all__ = ["browser", "chromium", "expected", "files", "nothing_stays_behind", "opened", "server"]

RESULTS = Path(__file__).parent / "RESULTS.md"
_HEAD = "# Long runs\n\nWritten by `make soak`, a line for each run and the day of it.\n\n"
_LINE = re.compile(r"^- `(\S+)`, (.+)$", re.MULTILINE)


@pytest.fixture
def note(request: pytest.FixtureRequest) -> Callable[[str], None]:
    """Take down what a run saw; the lines of other runs stay."""

    def take_down(line: str) -> None:
        text = RESULTS.read_text(encoding="utf-8") if RESULTS.exists() else ""
        known = dict(_LINE.findall(text)) | {request.node.name: f"{datetime.now(UTC):%Y-%m-%d}: {line}"}
        RESULTS.write_text(_HEAD + "".join(f"- `{name}`, {told}\n" for name, told in known.items()), encoding="utf-8")

    return take_down
