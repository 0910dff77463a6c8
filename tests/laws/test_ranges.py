"""However a file comes and wherever it is cut, its records are the same (semantics 1.3, 1.4)."""

from __future__ import annotations

import gzip
import io
import sys
from types import SimpleNamespace
from typing import TYPE_CHECKING

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from sojourn.loading import load
from sojourn.reading import inputs as named
from sojourn.reading import land, sources
from sojourn.reading.readers import in_this_process
from tests.laws.adapt import Expected
from tests.laws.damage import LINES, PIECES, spoil
from tests.laws.effort import examples, seeded
from tests.laws.landing import landed

if TYPE_CHECKING:
    from pathlib import Path

SOURCES = {name: load(name).events for name in LINES}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder for one module's files, and no other process beside this one."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(land, "in_processes", in_this_process)
        patch.setattr(land, "refuse_documents", lambda _: None)  # spoiled text may look like a document
        yield tmp_path_factory.mktemp("ranges")


@st.composite
def files(draw):
    """A pipeline and a file for it: some lines, some of them spoiled, with any kind of newline and end."""
    pipeline = draw(st.sampled_from(sorted(LINES)))
    rng = draw(st.randoms(use_true_random=False))
    lines = LINES[pipeline]
    chosen = [
        rng.choice((lines[0], lines[1], spoil(lines[0], lines, rng), rng.choice(PIECES), b"x" * rng.randrange(90)))
        for _ in range(draw(st.integers(0, 9)))
    ]
    data = draw(st.sampled_from([b"\n", b"\r\n", b"\n\n"])).join(chosen)
    return pipeline, draw(st.sampled_from([b"", b"\xef\xbb\xbf"])) + data + draw(
        st.sampled_from([b"", b"\n", b"\r\n", b"\r"])
    )


def ways(data: bytes, cut: int) -> dict[str, bytes]:
    """The same content as bytes of a plain file, and packed in one or two pieces."""
    pieces = [data[:cut], data[cut:]]
    return {
        "plain.jsonl": data,
        "one.jsonl.gz": gzip.compress(data, 1),
        "two.jsonl.gz": b"".join(gzip.compress(piece, 1) for piece in pieces),
        "one.jsonl.zst": zstandard.compress(data, 1),
        "two.jsonl.zst": b"".join(zstandard.compress(piece, 1) for piece in pieces),
    }


def read_stdin(data: bytes, source, folder: Path):
    """The content as standard input."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(data)))
        return landed([named.Input("-", None)], source, folder)


def unit_of(data: bytes, place: int) -> int:
    """How long ranges are: some number of bytes, or so that one ends just at a line break, before it or behind it."""
    breaks = [at for at, char in enumerate(data) if char == ord("\n")]
    near = breaks[place // 3 % len(breaks)] + place % 3 if breaks and place < 60 else place
    return max(near, 4, len(data) // 40)  # longer than a byte-order mark; forty ranges are enough


@examples(30)
@given(files(), st.integers(0, 120), st.sampled_from([4, 50, 1 << 20]), st.integers(0, 500))
def test_any_cut_and_any_packing_reads_the_same(folder, file, place, block, cut):
    """Byte ranges of any size, gzip and zstandard in one or several pieces, and standard input give the same
    events, the same line numbers in the file, the same counts, and the same digest of the content."""
    pipeline, data = file
    source = SOURCES[pipeline]
    expected = Expected(data, source)
    digests = set()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sources, "UNIT", unit_of(data, place))
        patch.setattr(sources, "BLOCK", block)
        for name, content in ways(data, cut).items():
            (folder / name).write_bytes(content)
            blocks, digest = landed(named.resolve([str(folder / name)], "jsonl"), source, folder / "landed")
            expected.check(blocks[0])
            digests.update(digest)
        blocks, digest = read_stdin(data, source, folder / "landed")
        expected.check(blocks[0])
        digests.update(digest)
    assert len(digests) == 1


@examples(15)
@given(st.lists(files(), min_size=2, max_size=4), st.sampled_from([64, 300]))
def test_several_files_are_counted_apart(folder, given_files, unit):
    """Each of several inputs has its own lines, counts and digest, as if it were read alone."""
    source = SOURCES["webshop"]
    paths = [folder / f"{at}.jsonl" for at in range(len(given_files))]
    for path, (_, data) in zip(paths, given_files, strict=True):
        path.write_bytes(data)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sources, "UNIT", unit)
        blocks, digests = landed(named.resolve([str(path) for path in paths], "jsonl"), source, folder / "landed")
        for (_, data), path, found, digest in zip(given_files, paths, blocks, digests, strict=True):
            Expected(data, source).check(found)
            assert landed(named.resolve([str(path)], "jsonl"), source, folder / "landed")[1] == [digest]


def test_other_content_has_another_digest(folder):
    """A changed byte, a missing newline, an added byte-order mark: each is another content (1.3)."""
    rng, _ = seeded("digest")
    data = b"\n".join(LINES["webshop"]) + b"\n"
    at = rng.randrange(len(data))
    found = set()
    for number, content in enumerate((data, data[:-1], b"\xef\xbb\xbf" + data, data[:at] + b"~" + data[at + 1 :], b"")):
        path = folder / f"digest{number}.jsonl"
        path.write_bytes(content)
        found.update(landed(named.resolve([str(path)], "jsonl"), SOURCES["webshop"], folder / "landed")[1])
    assert len(found) == 5


def test_real_processes_read_what_one_process_reads(tmp_path):
    """Readers in processes of their own (as in every large run) give the same rows, rejects and digest."""
    rng, _ = seeded("processes")
    lines = LINES["webshop"]
    data = b"\n".join(rng.choice((lines[0], lines[1], spoil(lines[2], lines, rng))) for _ in range(400))
    (tmp_path / "a.jsonl").write_bytes(data)
    script = (
        "import sys, pathlib; from sojourn.loading import load;"
        "from sojourn.reading import inputs as named, land, sources;"
        "from tests.laws.landing import landed; from tests.laws.adapt import Expected;"
        "sources.UNIT = 5000; path, folder = map(pathlib.Path, sys.argv[1:]); source = load('webshop').events;"
        "blocks, digests = landed(named.resolve([str(path)], 'jsonl'), source, folder);"
        "assert len(blocks[0]) > 5; Expected(path.read_bytes(), source).check(blocks[0]); print(*digests)"
    )
    import subprocess

    done = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path / "a.jsonl"), str(tmp_path / "landed")],
        check=True, capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sources, "UNIT", 5000)
        patch.setattr(land, "in_processes", in_this_process)
        inputs = named.resolve([str(tmp_path / "a.jsonl")], "jsonl")
        assert landed(inputs, SOURCES["webshop"], tmp_path / "again")[1] == done.stdout.split()
