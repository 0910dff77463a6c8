"""Every command is told to end at random moments: it does so soon and in a sentence, and nothing is half done."""

import os
import random
import signal
import subprocess
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from tests import postgres
from tests.store.places import Place, Tables, end

ROUNDS = 150
LONGEST = 30.0
"""Seconds until a command that was told to end counts as one that hangs."""


def commands(files: list[Path], chance: random.Random, folder: Path) -> list[list[object]]:
    """A command of each kind; those that read use some of the *files*."""
    some = chance.sample(files, 3)
    return [
        *([["run", "webshop", *some]] * 4),
        ["run", "webshop", *some, "--out", folder / "out"],
        ["run", "webshop", *some, "--mode", "replace"],
        ["rebuild", "webshop"],
        ["rollback", "webshop"],
        ["quarantine", "replay"],
        ["gc", "--keep", "2"],
        ["verify", "--cuts", "1"],
        ["diff", "webshop", "--set", "sessions.gap=20m"],
        ["export", "webshop", "--out", folder / "tables"],
        ["metrics", "orders"],
        ["chart", "session_durations", "-o", folder / "chart.svg"],
        ["report", "-o", folder / "report.html"],
    ]


def told_to_end(run: subprocess.Popen[bytes], chance: random.Random) -> list[str]:
    """Send *run* what Ctrl-C, a person or a supervisor sends; what was wrong with how it ended."""
    number = chance.choice([signal.SIGINT, signal.SIGTERM])
    if chance.random() < 0.5:
        os.killpg(run.pid, number)
    else:
        run.send_signal(number)
    try:
        _, err = run.communicate(timeout=LONGEST)
    except subprocess.TimeoutExpired:
        return ["it hangs"]
    said = [line for line in err.decode().splitlines() if not line.startswith("WARNING: ")]  # PostgreSQL's own
    # before Python listens to us, or while it starts to, a signal just ends it
    is_told = run.returncode in (0, 1, 2, 128 + number, -number, -signal.SIGINT)
    return [] if is_told and len(said) <= 1 else [f"exit {run.returncode}: {said}"]


@pytest.mark.parametrize("kind", ["embedded", "postgres"])
def test_told_to_end_at_random_moments(
    kind: str,
    server: postgres.Server,
    files: list[Path],
    expected: list[Tables],
    tmp_path: Path,
    note: Callable[[str], None],
) -> None:
    """Runs, repairs and questions in any order in one place; in the end it holds what one quiet run would have."""
    chance, told = random.Random(17), Counter[str]()
    place = Place(tmp_path / "home", server.database() if kind == "postgres" else None)
    place.run("webshop", *files[:3])
    breaks = []
    for _ in range(ROUNDS):
        words = chance.choice(commands(files, chance, tmp_path))
        run = place.start(*words)
        time.sleep(0.1 + chance.random() * 1.2)
        if run.poll() is None:
            told[str(words[0])] += 1
            breaks += [f"{words}: {wrong}" for wrong in told_to_end(run, chance)]
        end(run)
    place.run("webshop", *files)
    verified = place.call("verify", "--cuts", "1")
    note(
        f"{kind}: {told.total()} commands of {len(told)} kinds told to end at random moments by SIGINT or SIGTERM, "
        f"with and without their group: {len(breaks)} hung or ended otherwise than in a sentence; the tables are right"
    )
    assert not breaks, "\n".join(breaks)
    assert (verified.status, place.garbage()) == (0, [])
    assert place.tables(tmp_path / "found") == expected[-1]
    assert told.total() > ROUNDS / 3
