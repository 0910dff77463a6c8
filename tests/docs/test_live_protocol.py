"""The page of the live protocol says what the service does: every code, every limit."""

import re

from sojourn.live.refusals import ANSWERS
from sojourn.web.connection import CLOSES
from sojourn.web.errors import STATUSES
from tests.docs import pages

PAGE = pages.DOCS / "reference" / "live.md"
READING = {
    "not_published", "unknown_metric", "unknown_table", "unknown_pipeline", "unknown_run", "unknown_session",
    "missing_table", "bad_request", "bad_cursor", "bad_filter", "unknown_column", "begin_again", "internal",
}  # fmt: skip
"""Codes that streaming never meets."""


def rows(heading: str) -> list[list[str]]:
    """The rows of the table under *heading*, cell by cell."""
    lines = [line for line in pages.section(PAGE, heading).splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:]]


def test_every_code_is_explained():
    """Each code with the number that closes a socket and the status that answers a request."""
    told = {}
    for codes, close, status, _ in rows("Codes"):
        for code in re.findall(r"`(\w+)`", codes):
            told[code] = (close, status)
    assert set(told) == (set(CLOSES) | set(STATUSES)) - READING
    for code, (close, status) in told.items():
        assert close in (str(CLOSES.get(code)), "-"), code
        assert status in (str(STATUSES.get(code, 503)), "-"), code
    for code, answer in ANSWERS.items():
        assert told[code] == (str(answer.close), str(answer.status)), code


def test_every_limit_is_explained():
    """The options that bound clients, as the command names them."""
    from sojourn.cli import serve

    limits = {name for option in serve.params for name in option.opts if name.startswith(("--max-", "--idle"))}
    assert {cells[0].strip("`") for cells in rows("Limits")} == limits
