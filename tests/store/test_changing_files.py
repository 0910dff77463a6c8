"""Files that change while a run reads them: the run says which and how, and publishes nothing."""

import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.store.places import Place, until


def shrink(path: Path) -> None:
    """Cut the file to its beginning."""
    os.truncate(path, 4096)


def replace(path: Path) -> None:
    """Put another file in its place."""
    shutil.copy(path, other := path.with_suffix(".other"))
    other.replace(path)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (shrink, "shrank while it was being read; nothing was published"),
        (replace, "was replaced while it was being read; nothing was published"),
        (Path.unlink, "disappeared while it was being read; nothing was published"),
    ],
)
def test_a_file_that_changes(
    change: Callable[[Path], None], said: str, embedded: Place, files: list[Path], large: Path, tmp_path: Path
) -> None:
    """What a reading process found reaches the person as it was said there."""
    shutil.copy(large, source := tmp_path / "changing.jsonl")
    embedded.run("webshop", files[0])
    before = embedded.open().published()
    run = embedded.start("run", "webshop", source)
    until(lambda: any(embedded.home.rglob("staging/*/events/*")), run)
    change(source)
    _, err = run.communicate(timeout=60)
    assert (run.returncode, err.count(b"\n")) == (1, 1), err
    assert f"{source} {said}" in err.decode()
    assert (embedded.open().published(), embedded.statuses()) == (before, ["done", "failed"])
    assert embedded.garbage() == []


def test_a_file_that_grows(embedded: Place, large: Path, tmp_path: Path) -> None:
    """A log that is being written to is read up to where it ended when the run began."""
    shutil.copy(large, source := tmp_path / "growing.jsonl")
    count = source.read_bytes().count(b"\n")
    run = embedded.start("run", "webshop", source)
    until(lambda: any(embedded.home.rglob("staging/*/events/*")), run)
    with source.open("ab") as more:
        more.write(b'{"broken": 1}\n' * 1000)
    assert run.wait(60) == 0
    run.communicate()
    row = embedded.rows("select read + blank as lines from sojourn.runs")
    assert row == [{"lines": count}]


def test_a_pipe_is_read_to_its_end(embedded: Place, files: list[Path], tmp_path: Path) -> None:
    """A named pipe, as `<(command)` makes one, is read once from its beginning, like standard input."""
    os.mkfifo(pipe := tmp_path / "pipe")
    with subprocess.Popen(["cp", files[0], pipe]):
        done = embedded.process("run", "webshop", pipe, "--json")
    assert done.status == 0, done.err
    assert done.json["ledger"]["read"] + done.json["ledger"]["blank"] == files[0].read_bytes().count(b"\n")
