"""The README's commands work as written in a fresh folder, and so do those that the demo says to type next."""

import gzip
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from sojourn import demo, samples
from tests.command import sojourn
from tests.docs import pages

ENVIRONMENT = Path(sys.prefix)


def commands() -> list[str]:
    """The README's commands, in order; `make test` is what runs this test."""
    lines = [line for block in pages.blocks(pages.README) if block.language == "sh" for line in block.text.splitlines()]
    return [line.partition("  #")[0].strip() for line in lines if not line.startswith("make test")]


def shell(command: str, folder: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run *command* as a person would, in *folder*, without what our own surroundings have set."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("SOJOURN", "MAKE", "MFLAGS"))}
    return subprocess.run(
        ["bash", "-o", "pipefail", "-c", command],
        cwd=folder,
        env=kept | environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


def served(command: str, folder: Path) -> tuple[str, int]:
    """What a service says when it begins, and its exit status once it is told to end."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("SOJOURN")}
    with subprocess.Popen(
        ["bash", "-c", f"exec {command}"],
        cwd=folder,
        env=kept | {"SOJOURN_PORT": "0"},
        stderr=subprocess.PIPE,
        text=True,
    ) as service:
        assert service.stderr is not None
        said = service.stderr.readline()
        service.terminate()
        return said, service.wait(60)


@pytest.fixture
def clone(tmp_path):
    """A folder with what `make run` needs, and this environment in it as `.venv`."""
    if not (ENVIRONMENT / ".run-installed").exists():  # make would take it for broken, and set it up anew
        left_out = pytest.fail if "CI" in os.environ else pytest.skip
        left_out("left out: `make run`, as this environment was not made by make")
    (tmp_path / "requirements").mkdir()
    for name in ("Makefile", "pyproject.toml", "requirements/run.txt"):
        shutil.copy(pages.ROOT / name, tmp_path / name)
        os.utime(tmp_path / name, (0, 0))  # older than the environment: nothing is installed again
    (tmp_path / ".venv").symlink_to(ENVIRONMENT)
    return tmp_path


@pytest.fixture
def network(tmp_path):
    """A `curl` that needs no network: whatever it is asked for, it gives a compressed sample."""
    folder = tmp_path / "network"
    folder.mkdir()
    samples.write("webshop", folder / "plain", lines=300, seed=2)
    (folder / "answer").write_bytes(gzip.compress((folder / "plain").read_bytes()))
    (folder / "curl").write_text(f"#!/bin/sh\ncat '{folder / 'answer'}'\n")
    (folder / "curl").chmod(0o755)
    return folder


def test_commands_work_as_written(clone, network):
    """In the order in which they stand there, each ends well."""
    assert [command for command in commands() if command.startswith("curl ")], "the README shows how to read a stream"
    assert [command for command in commands() if command.endswith(" serve")], "the README shows the service"
    for command in commands():
        if command.endswith(" serve"):
            said, status = served(command, clone)
            assert said.startswith("serving on http://127.0.0.1:"), said
            assert status == 0
            continue
        done = shell(command, clone, PATH=f"{network}{os.pathsep}{os.environ['PATH']}")
        assert done.returncode == 0, f"$ {command}\n{done.stdout}{done.stderr}"


def test_demo_shows_results_and_what_to_type_next(tmp_path):
    """It shows ledgers and answers; what it says to type works as it stands; after that it shows the same again."""
    (tmp_path / ".venv").symlink_to(ENVIRONMENT)
    first = shell(".venv/bin/python -m sojourn demo", tmp_path)
    assert first.returncode == 0, first.stderr
    wanted = ("webshop.sessions", "activity.transitions", "pageviews.pages", "median_visits_before_order")
    assert all(words in first.stdout for words in (*wanted, *demo.QUERIES))
    _, _, after = first.stdout.partition("What to type next:")
    typed = [line.strip() for line in after.splitlines() if line.startswith("  .venv/bin/sojourn ")]
    assert len(typed) == len(demo.next_steps(Path("sojourn-demo")))
    for command in typed:
        done = shell(command, tmp_path)
        assert done.returncode == 0, f"$ {command}\n{done.stdout}{done.stderr}"
    second = shell(".venv/bin/python -m sojourn demo", tmp_path)
    assert pages.masked(first.stdout) == pages.masked(second.stdout)


def test_demo_tells_a_mistake_in_one_sentence(tmp_path):
    """A folder that cannot be used is told without a traceback."""
    (tmp_path / "file").write_text("")
    done = sojourn("demo", "--folder", tmp_path / "file")
    assert done.status != 0
    assert done.err.startswith("error: ")
    assert str(tmp_path / "file") in done.err


def test_picture_can_be_drawn_again(tmp_path):
    """The script that drew the README's picture still works, and the picture fetches nothing."""
    target = tmp_path / "run.svg"
    drawn = shell(f"{sys.executable} {pages.DOCS / 'pictures' / 'make.py'} -o {target}", tmp_path)
    assert drawn.returncode == 0, drawn.stderr
    for picture in (target, pages.DOCS / "pictures" / "run.svg"):
        text = picture.read_text(encoding="utf-8")
        assert "median_visits_before_order" in text
        assert "@font-face" not in text
