"""Seeded input files, made once and kept in `benchmarks/data`."""

import hashlib
import subprocess
import sys
from pathlib import Path

import sojourn.samples

SEED = 7
FOLDER = Path(__file__).parent / "data"


def sample(pipeline: str, lines: int, *, clean: bool = False) -> Path:
    """A sample file of *lines* lines; made anew when the generator's own code has changed."""
    stem = f"{pipeline}-{lines}{'-clean' if clean else ''}-seed{SEED}"
    path = FOLDER / f"{stem}-{_generator()}.{'csv' if pipeline == 'devices' else 'jsonl'}"
    if not path.exists():
        FOLDER.mkdir(exist_ok=True)
        for outdated in FOLDER.glob(f"{stem}-*"):
            outdated.unlink()
        print(f"making {path.name} ...", flush=True)
        fresh = path.with_suffix(".new")
        command = [
            sys.executable,
            "-m",
            "sojourn.samples",
            pipeline,
            "--lines",
            str(lines),
            "--seed",
            str(SEED),
        ]
        subprocess.run([*command, *(["--clean"] if clean else []), "-o", str(fresh)], check=True)
        fresh.rename(path)
    return path


def warm(path: Path) -> None:
    """Bring a file into the page cache, so that no contender pays for the disk."""
    with path.open("rb") as file:
        while file.read(1 << 24):
            pass


def _generator() -> str:
    """A short digest of the code that makes the samples."""
    folder = Path(sojourn.samples.__file__).parent
    digest = hashlib.sha256()
    for source in sorted(folder.glob("*.py")):
        digest.update(source.read_bytes())
    return digest.hexdigest()[:8]
