"""A home whose own files were damaged or lost: every command says which in one sentence, and `verify` tells of all."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.command import write
from tests.store.places import Place
from tests.store.test_verify import EVENTS, snapshot, twice, wrong

COMMANDS = (
    ("sql", "from sojourn.{folder}"),
    ("gc", "--older-than", "1s"),
    ("quarantine", "list"),
    ("forget", "user-1"),
)


@pytest.fixture
def home(embedded: Place, tmp_path: Path) -> Place:
    """Three runs; the last one has quarantined records, of which the file is the only one."""
    twice(embedded, tmp_path)
    embedded.run("webshop", write(tmp_path / "2.jsonl", "nonsense", "more nonsense"))
    return embedded


def own(place: Place, folder: str) -> list[Path]:
    """The files below *folder* of the home."""
    return sorted(path for path in (place.home / folder).rglob("*") if path.is_file())


def in_the_middle(content: bytes) -> bytes:
    """*content* with one byte of its pages changed: half of them, so that some cannot be unpacked."""
    return content[:4] + bytes(byte ^ 255 for byte in content[4:200]) + content[200:]


DAMAGES: dict[str, Callable[[bytes], bytes]] = {
    "other": lambda _: b"x\n",
    "longer": lambda content: content + b"x",
    "empty": lambda _: b"",
    "pages": in_the_middle,
}


@pytest.mark.parametrize("how", DAMAGES)
@pytest.mark.parametrize("folder", ["runs", "quarantine"])
def test_a_damaged_file_is_one_sentence(home: Place, tmp_path: Path, folder: str, how: str) -> None:
    """Whatever command meets it names its path; none changes a table."""
    path = own(home, folder)[0]
    path.write_bytes(DAMAGES[how](path.read_bytes()))
    run = ("run", "webshop", write(tmp_path / "3.jsonl", "still nonsense"))
    told = [home.call(*(word.format(folder=folder) for word in words)) for words in COMMANDS]
    told.append(home.call(*run))
    failed = [one for one in told if one.status != 0]
    assert told[0] in failed
    for one in failed:
        assert (one.status, one.err.count("\n")) == (1, 1), one.err
        assert str(path) in one.err or (how == "pages" and "see: sojourn verify" in one.err)
        assert one.err.rstrip().endswith(("[damaged_file]", "[io]"))
    assert any(problem.startswith(f"the file {path} is damaged") for problem in wrong(home, "--cuts", 0))


@pytest.mark.parametrize("is_merged", [False, True])
@pytest.mark.parametrize("folder", ["runs", "quarantine"])
def test_one_other_byte_is_noticed(home: Place, folder: str, is_merged: bool) -> None:
    """A byte that can still be read as another value: in files of one run, and in those that took their place."""
    if is_merged:
        assert home.call("forget", "more").status == home.call("gc").status == 0
    path = own(home, folder)[-1]
    assert is_merged == (path.name.startswith("merged-") or path.name.endswith("-rest.parquet"))
    path.write_bytes(path.read_bytes().replace(b"webshop", b"webshoq", 1))
    assert any(problem.startswith(f"the file {path} is damaged") for problem in wrong(home, "--cuts", 0))


@pytest.mark.parametrize("folder", ["runs", "quarantine"])
def test_lost_files_are_told_with_everything_else(home: Place, folder: str) -> None:
    """All files of a folder gone: each is named, and tables are compared nevertheless."""
    paths = own(home, folder)
    for path in paths:
        path.unlink()
    done = home.call("verify", "--cuts", 0, "--json")
    assert done.status == 1
    checks = {check["name"]: check for check in done.json["pipelines"][0]["checks"]}
    assert checks["own files"]["problems"] == [f"the file {path} is gone" for path in paths]
    assert (checks["tables"]["checked"], checks["tables"]["problems"]) == (3, [])


def test_a_lost_current_snapshot_is_told_among_others(home: Place) -> None:
    """The rows of runs cannot be read without it; that does not hide what else is wrong."""
    path, other = snapshot(home), own(home, "events")[0]
    path.unlink()
    other.unlink()
    problems = wrong(home)
    assert {f"the snapshot {path} is gone", f"the event file {other} is gone"} <= {*problems}


def test_who_is_forgotten_cannot_be_read(home: Place) -> None:
    """A list that the next run would refuse is no sound home."""
    assert home.call("forget", "nobody-of-them").status == 0
    assert home.call("verify", "--cuts", 0).status == 0
    (home.home / "forgotten.json").write_text("{")
    [told] = wrong(home, "--cuts", 0)
    assert str(home.home / "forgotten.json") in told


@pytest.mark.parametrize("content", [None, b"{}", b'{"format": 2}'])
def test_a_home_without_its_catalog(home: Place, tmp_path: Path, content: bytes | None) -> None:
    """It is not taken for a fresh one: not by verify, and not by a run, which removes nothing."""
    catalog = home.home / "catalog.json"
    catalog.unlink() if content is None else catalog.write_bytes(content)
    before = own(home, ".")
    for words in (("verify",), ("run", "webshop", write(tmp_path / "3.jsonl", *EVENTS[:1]))):
        told = home.call(*words)
        assert (told.status, told.err.count("\n")) == (1, 1), told.err
        assert told.err.rstrip().endswith("[catalog]")
    assert own(home, ".") == before


def test_ledgers_of_a_manifest(home: Place) -> None:
    """What a manifest tells of a file's records adds up, and its tables are those of the run's report."""
    manifest = snapshot(home).with_suffix(".json")
    whole = manifest.read_text()
    written = json.loads(whole)
    known = written["inputs"][0]
    known["ledger"]["accepted"] -= 1
    manifest.write_text(json.dumps(written))
    [told] = wrong(home, "--cuts", 0)
    read = known["ledger"]["read"]
    assert told.endswith(f"does not balance: {read} records read, {read - 1} accounted for")
    assert known["name"] in told
    written = json.loads(whole)
    written["tables"]["sessions"] += 1
    manifest.write_text(json.dumps(written))
    said = f"the run {written['run_id']} tells of other rows of tables than its manifest"
    assert said in wrong(home, "--cuts", 0)
