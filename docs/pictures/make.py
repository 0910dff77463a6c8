#!/usr/bin/env python3
"""Draws docs/pictures/run.svg, the picture in the README: what a run prints on a terminal."""

import argparse
import io
import os
import re
import shlex
import subprocess
import sys
import tempfile
from pathlib import Path

from rich._export_format import CONSOLE_SVG_FORMAT
from rich.console import Console
from rich.text import Text

from sojourn import samples

WIDTH = 98
COMMANDS = (
    "sojourn run webshop events.jsonl",
    "sojourn metrics orders",
    'sojourn sql "select line, reason, path, value from sojourn.quarantine order by line limit 4"',
)


def main() -> None:
    """Write the picture to the file that the arguments name."""
    parser = argparse.ArgumentParser(description="Draw what a run prints.")
    parser.add_argument("-o", dest="target", type=Path, default=Path(__file__).with_name("run.svg"))
    target: Path = parser.parse_args().target
    with tempfile.TemporaryDirectory() as folder:
        samples.write("webshop", Path(folder) / "events.jsonl", lines=20_000, seed=1)
        printed = [f"\x1b[1;32m$\x1b[0m \x1b[1m{command}\x1b[0m\n{_printed(command, folder)}" for command in COMMANDS]
    target.write_text(_svg("\n".join(printed)), encoding="utf-8")


def _printed(command: str, folder: str) -> str:
    """What *command* prints on a terminal of our width."""
    words = [sys.executable, "-m", *shlex.split(command)]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("SOJOURN")}
    environment |= {"FORCE_COLOR": "1", "TERM": "xterm-256color", "COLUMNS": str(WIDTH)}
    return subprocess.run(words, cwd=folder, env=environment, stdout=subprocess.PIPE, check=True).stdout.decode()


def _svg(printed: str) -> str:
    """A picture of a terminal, without the fonts that it would fetch from the network."""
    console = Console(record=True, width=WIDTH, file=io.StringIO(), force_terminal=True)
    console.print(Text.from_ansi(printed))
    plain = re.sub(r"@font-face \{\{.*?\}\}\s*", "", CONSOLE_SVG_FORMAT, flags=re.DOTALL)
    return console.export_svg(title="sojourn", code_format=plain, unique_id="run")


if __name__ == "__main__":
    main()
