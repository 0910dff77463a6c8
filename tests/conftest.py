"""What the closing lines of `make test` tell beside what was left out."""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

_SHOTS = Path(__file__).resolve().parents[1] / "build" / "screenshots"
_began = time.time()


@pytest.hookimpl(wrapper=True)
def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> Iterator[None]:
    """Where the pictures of the dashboard are, when these tests made some."""
    yield
    made = sum(path.stat().st_mtime > _began for path in _SHOTS.glob("*.png"))
    if made:
        terminalreporter.write_line(f"{made} screenshots of the dashboard: {_SHOTS}")
