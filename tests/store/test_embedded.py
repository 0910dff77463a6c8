"""The embedded store alone: its files, its catalog, and a disk that does not play along."""

import json
import os
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from sojourn.store import embedded as module
from sojourn.store import files as files_module
from sojourn.store.base import KEPT_RUNS
from sojourn.store.embedded import Embedded
from tests.command import Result
from tests.store.places import Place, Tables

AS_NOBODY = """
import os, sys, rich.console, rich.table, sojourn.quarantine, sojourn.running, sojourn.store.embedded, sojourn.show
from sojourn.cli import main
from sojourn.metrics import metrics
metrics()  # what it imports cannot be imported by another user where Python belongs to root
if os.geteuid() == 0:
    os.setgroups([]); os.setresgid(65534, 65534, 65534); os.setresuid(65534, 65534, 65534)
main(sys.argv[1:])
"""


@pytest.fixture
def place(embedded: Place) -> Place:
    """A home with the embedded store."""
    return embedded


@pytest.fixture
def used(place: Place, files: list[Path]) -> Place:
    """The same after a run."""
    place.run("webshop", files[0])
    return place


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder that other users may enter, unlike pytest's."""
    with tempfile.TemporaryDirectory(prefix="sojourn-open-") as folder:
        Path(folder).chmod(0o755)
        yield Path(folder)


def test_the_last_snapshots_stay_and_garbage_goes(used: Place, files: list[Path]) -> None:
    """A run leaves the last few snapshots of each pipeline, and removes whatever the catalog does not name."""
    for name in ("staging/a/b", "events/webshop/x/part-0.parquet", "warehouse/webshop/x.duckdb", "runs/x.parquet"):
        (used.home / name).parent.mkdir(parents=True, exist_ok=True)
        (used.home / name).write_bytes(b"garbage")
    (used.home / "quarantine/webshop/x.parquet").write_bytes(b"garbage")
    runs = [used.run("webshop", file)["run_id"] for file in files[1:5]]
    found = {path.name for path in (used.home / "warehouse/webshop").iterdir()}
    kept = sorted(runs)[-KEPT_RUNS:]
    changes = {f"{run}.quarantine.parquet" for run in kept[1:]}  # no rollback leads across the oldest
    assert found == {f"{run}{end}" for run in kept for end in (".duckdb", ".json")} | changes
    assert used.garbage() == []
    assert not (used.home / "staging").exists()


def test_what_the_catalog_names_is_on_the_disk_first(
    place: Place, files: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Event files, snapshot, the run's row, its quarantine and their folders are synced before the catalog."""
    synced: set[tuple[int, int]] = set()
    fsync, write_whole, checked = os.fsync, files_module.write_whole, []

    def identity(path: Path) -> tuple[int, int]:
        status = path.stat()
        return status.st_dev, status.st_ino

    def syncing(descriptor: int) -> None:
        status = os.fstat(descriptor)
        synced.add((status.st_dev, status.st_ino))
        fsync(descriptor)

    def writing(path: Path, content: bytes) -> None:
        catalog = json.loads(content)
        listed = [place.home / "runs" / f"{run}.parquet" for run in catalog["runs"]]
        listed += [place.home / "quarantine" / name for name in catalog["quarantine"]]
        for name, entry in catalog["pipelines"].items():
            kept = [place.home / "warehouse" / name / f"{run}.json" for run in entry["runs"]]
            files = [file["name"] for path in kept for file in json.loads(path.read_bytes())["files"]]
            listed += [*kept, *(path.with_suffix(".duckdb") for path in kept)]
            listed += [place.home / "events" / file for file in files]
        for file in listed:
            assert {identity(path) for path in [file, *file.parents] if path.is_relative_to(place.home)} <= synced
            checked.append(file)
        write_whole(path, content)
        assert {identity(path), identity(path.parent)} <= synced

    monkeypatch.setattr(os, "fsync", syncing)
    monkeypatch.setattr(module, "write_whole", writing)
    place.run("webshop", files[0])
    assert len(checked) == 5


def test_a_reader_looks_again_when_runs_replace_what_it_was_about_to_read(
    used: Place, files: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The catalog was read, then its snapshot removed by later runs: the reader takes the new catalog."""
    store = Embedded(used.home)
    stale = store._catalog()
    for file in files[1:5]:
        used.run("webshop", file)
    answers = [stale, store._catalog(), store._catalog()]
    monkeypatch.setattr(store, "_catalog", lambda: answers.pop(0))
    with store.query("select count(*) as n from webshop.sessions") as reader:
        assert reader.read_all()["n"][0].as_py() > 0


@pytest.mark.parametrize("how", ["missing", "cut", "other"])
def test_a_damaged_snapshot_is_one_sentence(used: Place, how: str) -> None:
    """A snapshot that is gone, too short or no snapshot at all is named; no traceback, no endless second look."""
    (snapshot,) = (used.home / "warehouse/webshop").glob("*.duckdb")
    content = {"cut": snapshot.read_bytes()[:5000], "other": b"x" * 5000}.get(how)
    snapshot.write_bytes(content) if content is not None else snapshot.unlink()
    for words in (["metrics", "orders"], ["sql", "select 1"], ["export", "webshop", "--out", used.home / "out"]):
        told = used.process(*words)
        assert (told.status, told.err.count("\n")) == (1, 1), told.err
        assert str(snapshot) in told.err


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b'{"format": 99}', "was written by a newer Sojourn (format 99, this one knows 2)"),
        (b"", "is damaged"),
        (b'{"pipelines": {"webshop": {', "is damaged"),
        (b'{"pipelines": {"webshop": {"runs": []}}}', "is damaged"),
        (b"[]", "is damaged"),
        (b"{}", "is damaged"),
        (b"\xff\xfe", "is damaged"),
        (None, "lost its catalog.json"),
    ],
)
def test_a_catalog_that_cannot_be_used_stops_everything(
    used: Place, files: list[Path], content: bytes | None, said: str
) -> None:
    """A newer, damaged or lost catalog is one clear sentence; above all, nothing is taken for garbage and removed."""
    catalog = used.home / "catalog.json"
    catalog.write_bytes(content) if content is not None else catalog.unlink()
    before = {path for path in used.home.rglob("*") if path.is_file()}
    told = [used.call("run", "webshop", files[1]), used.call("run", "webshop", files[1], "--mode", "replace")]
    told += [used.call("sql", "select 1")] if content is not None else []
    for result in told:
        assert (result.status, result.err.count("\n")) == (1, 1), result.err
        assert said in result.err
    assert {path for path in used.home.rglob("*") if path.is_file()} == before


def test_a_home_that_is_no_folder(place: Place, files: list[Path]) -> None:
    """A file, a folder below a file, and a name that DuckDB cannot take are the person's mistakes."""
    place.home.write_text("a file")
    for home in (place.home, place.home / "below", place.home.parent / "what?"):
        told = Place(home).call("run", "webshop", files[0])
        assert (told.status, told.err.count("\n")) == (2, 1), told.err


def test_a_home_with_odd_characters_works(tmp_path: Path, files: list[Path], expected: list[Tables]) -> None:
    """Quotes, spaces and what looks like a pattern are part of a name like any other."""
    place = Place(tmp_path / "we'ird [1] *{a,b}\n\"é")
    for file in files[:2]:
        place.run("webshop", file)
    assert place.tables(tmp_path / "out") == expected[2]


def test_a_read_only_home_can_be_read(open_folder: Path, files: list[Path], used: Place) -> None:
    """Readers need no right to write; a run that lacks it says so and what to do."""
    shutil.copytree(used.home, home := open_folder / "home")
    shutil.copy(files[1], source := open_folder / "in.jsonl")
    for path in [home, *home.rglob("*"), source]:
        path.chmod(0o555 if path.is_dir() else 0o444)
    assert _as_nobody("metrics", "orders", "--json", "--home", home).status == 0
    assert _as_nobody("quarantine", "list", "--json", "--home", home).status == 0
    told = _as_nobody("run", "webshop", source, "--home", home)
    assert (told.status, told.err.count("\n")) == (2, 1), told.err
    assert f"cannot write to the home {home}: Permission denied; use another with --home" in told.err
    home.chmod(0o755)


@pytest.mark.parametrize("size", [0, 3_000, 12_000, 60_000, 300_000, 600_000])
def test_files_that_may_not_grow(
    used: Place, files: list[Path], expected: list[Tables], tables: Callable[[], Tables], size: int
) -> None:
    """Wherever the room ends, the run fails with one sentence, and the tables stay those of the run before."""

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))

    run = used.start("run", "webshop", files[1], preexec_fn=limit)
    _, err = run.communicate(timeout=60)
    assert (run.returncode, err.count(b"\n")) == (1, 1), err
    assert b"Traceback" not in err
    assert b"nothing was published" in err
    assert tables() == expected[1]
    used.run("webshop", files[1])
    assert tables() == expected[2]
    assert used.garbage() == []


def test_a_full_disk(open_folder: Path, files: list[Path], expected: list[Tables], tmp_path: Path) -> None:
    """The same on a small file system of its own, filled up by degrees."""
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=6m", "tmpfs", open_folder], check=False).returncode:
        pytest.skip("left out: mounting a small file system needs root")
    try:
        place, filling = Place(open_folder / "home"), open_folder / "filling"
        place.run("webshop", files[0])
        for spare in (0, 20, 100, 400, 600):
            room = os.statvfs(open_folder)
            filling.write_bytes(bytes(max(0, room.f_bavail * room.f_frsize - (spare << 10))))
            told = place.process("run", "webshop", files[1])
            assert (told.status, told.err.count("\n")) == (1, 1), told.err
            assert "the disk is full" in told.err
            assert place.tables(tmp_path / "out") == expected[1]
            filling.unlink()
        place.run("webshop", files[1])
        assert place.tables(tmp_path / "out") == expected[2]
        assert place.garbage() == []
    finally:
        subprocess.run(["umount", open_folder], check=True)


def test_cleaning_up_after_publishing_cannot_fail_the_run(
    used: Place, files: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What cannot be removed now is garbage for the next run; this one is published."""

    def unlink(path: Path, *, missing_ok: bool = False) -> None:
        raise PermissionError(13, "Permission denied", str(path))

    for file in files[1:3]:
        used.run("webshop", file)
    monkeypatch.setattr(Path, "unlink", unlink)
    used.run("webshop", files[3])
    monkeypatch.undo()
    assert len(used.garbage()) == 3  # a snapshot, its manifest, and changes that no rollback leads across any more
    used.run("webshop", files[4])
    assert used.garbage() == []


def test_a_long_query_can_be_interrupted(used: Place) -> None:
    """Ctrl-C ends `sojourn sql` at once, also while DuckDB computes the first row."""
    asking = used.start("sql", "select count(*) from range(10000000) a, range(10000000) b where a.range + b.range = 7")
    time.sleep(1.5)
    asking.send_signal(signal.SIGINT)
    _, err = asking.communicate(timeout=10)
    assert (asking.returncode, err) == (130, b"interrupted\n")


def _as_nobody(*words: object) -> Result:
    done = subprocess.run([sys.executable, "-c", AS_NOBODY, *map(str, words)], capture_output=True, check=False)
    return Result(done.returncode, done.stdout, done.stderr.decode())
