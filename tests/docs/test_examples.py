"""The examples of the documentation do what their pages show."""

import json
import tomllib

import pytest

from tests.docs import pages

RUN = sorted(
    (page for page in pages.pages() if pages.commands(page)), key=pages.commands, reverse=True
)  # longest first
EVERY_PAGE = pytest.mark.parametrize(
    "page",
    [page for page in [pages.README, *pages.pages()] if pages.blocks(page)],
    ids=lambda page: str(page.relative_to(pages.ROOT)),
)


@pytest.mark.parametrize(
    "page",
    RUN,
    ids=lambda page: str(page.relative_to(pages.DOCS)),
)
def test_commands_print_what_the_page_shows(page, tmp_path):
    """Every command of a page prints what stands below it, and fails only where the page says so."""
    results = pages.run(page, tmp_path)
    for at, (step, status, printed) in enumerate(results):
        where = f"{page.relative_to(pages.ROOT)}:{step.line}: $ {step.command}"
        assert pages.is_as_shown(step.shown, printed), f"{where}\nprinted\n{printed}"
        is_told = at + 1 < len(results) and results[at + 1][0].command == "echo $?"
        assert status == 0 or is_told, f"{where}\nended with {status}, and the page does not say so"


@EVERY_PAGE
def test_blocks_are_of_a_known_kind(page):
    """A block is run, is a file, or is shown as plain text; whatever else it is would go unchecked."""
    for block in pages.blocks(page):
        assert block.language in {"console", "sh", "text"} or block.file, f"{page.name}:{block.line}"


@EVERY_PAGE
def test_files_are_named_in_the_text(page):
    """A person is told under which name to save a file; TOML and JSON are valid."""
    text = page.read_text(encoding="utf-8")
    for block in pages.blocks(page):
        if block.file is None:
            continue
        assert f"`{block.file}`" in text or f" {block.file}" in text[block.start + len(block.text) :]
        if block.language == "toml":
            tomllib.loads(block.text)
        if block.language == "json":
            json.loads(block.text)


def test_shown_output_is_compared(tmp_path):
    """A control: what differs from the page is seen, also in one letter, and `...` stands for whole lines only."""
    assert pages.is_as_shown("a\n...\nd", "a\nb\nc\nd")
    assert pages.is_as_shown("run 20240101T000000000000-abcdef in 0.1 s", "run 20250101T000000000001-abcdee in 2.0 s")
    assert not pages.is_as_shown("a\nb", "a\nB")
    assert not pages.is_as_shown("a...", "ab")
    assert not pages.is_as_shown("", "b")
    page = tmp_path / "page.md"
    page.write_text("```text notes.txt\nhello\n```\n\n```console\n$ cat notes.txt\nhello\n$ false\n$ echo $?\n1\n```\n")
    assert [(status, printed) for _, status, printed in pages.run(page, tmp_path)] == [(0, "hello"), (1, ""), (0, "1")]
