"""The cost curve: `make bench-scale`, or `python -m benchmarks.scale --help`.

Runs of every ready pipeline from a million events on, each into a fresh home, on DuckDB and on Spark on this machine.
Figures go to `benchmarks/scale.json`, one for each pipeline, engine and size, and from there into `docs/scaling.md`
and its chart: it can be run in pieces. `--page` writes the page from what is there.
"""

import argparse
import json
import shutil
import sys
from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from benchmarks import machine, scale_page
from benchmarks.inputs import FOLDER
from benchmarks.measure import CommandFailedError
from benchmarks.race import Contender, Score, race
from benchmarks.scale_inputs import LINES, Grown, grow, plain_size

SIZES = {"duckdb": (1.0, 3.0, 10.0, 30.0, 100.0), "spark": (1.0, 3.0, 10.0)}
GB, MILLION = 1_000_000_000, 1_000_000
PACKED = 0.4  # of the lines' bytes, at most: JSON packs to 0.1 to 0.16 of itself, CSV of numbers to 0.39
KEPT = {"duckdb": 200, "spark": 400}  # bytes per event that a run may need on the disk, home and spilled data
SPARE = 3 * GB  # of the disk; others work there, too


def main() -> int:
    """Measure what is chosen, one after the other; 1 if something failed."""
    chosen = _arguments()
    todo = [
        (pipeline, engine, size)
        for pipeline in chosen.pipeline or LINES
        for engine in chosen.engine or SIZES
        for size in chosen.sizes or SIZES[engine]
    ]
    failed = False
    for pipeline, engine, size in [] if chosen.page else todo:
        print(f"\n{pipeline}, {engine}, {size:g} M events", flush=True)
        try:
            found = _measured(pipeline, engine, size, chosen)
        except (CommandFailedError, OSError) as error:
            failed = True
            print(f"    FAILED: {error}", file=sys.stderr)
            continue
        if found is not None:
            scale_page.save(found)
    if chosen.page or not failed:
        scale_page.write()
        print("\nwritten: benchmarks/scale.json, docs/scaling.md, docs/pictures/scaling.svg")
    return int(failed)


def _measured(pipeline: str, engine: str, size: float, chosen: argparse.Namespace) -> dict[str, Any] | None:
    """One figure; None, with a word, where the disk is too small."""
    work = FOLDER / "work" / "scale"
    plain, kept = plain_size(pipeline, size), int(size * MILLION * KEPT[engine])
    room = min(chosen.most * GB, shutil.disk_usage(FOLDER).free - SPARE)
    is_packed = plain + kept > room
    if is_packed and plain * PACKED + kept > room:
        print(f"    left out: {plain / GB:.0f} GB of lines do not fit into {room / GB:.0f} GB, packed neither")
        return None
    try:
        given = grow(pipeline, size, work / "input", is_packed=is_packed)
        stolen, all_ticks = machine.stolen()
        [score] = race([_contender(pipeline, engine, given.arguments)], chosen.rounds, work)
        after, all_after = machine.stolen()
        return {
            "pipeline": pipeline,
            "engine": engine,
            "size": size,
            **_figures(score, given, work / engine),
            "date": f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC",
            "commit": machine.commit(),
            "machine": machine.describe(),
            "stolen": (after - stolen) / max(1, all_after - all_ticks),
        }
    finally:
        shutil.rmtree(work, ignore_errors=True)


def _contender(pipeline: str, engine: str, arguments: Sequence[str]) -> Contender:
    command = [sys.executable, "-m", "sojourn", "run", pipeline, *arguments, "--json", "--engine", engine]

    def in_folder(folder: Path) -> list[str]:
        log = folder / "log"
        log.mkdir()
        settings = {"enabled": "true", "compress": "false", "dir": log.as_uri()} if engine == "spark" else {}
        told = [word for name, value in settings.items() for word in ("--spark-conf", f"spark.eventLog.{name}={value}")]
        return [*command, *told, "--home", str(folder / "home")]

    return Contender(engine, in_folder)


def _figures(score: Score, given: Grown, folder: Path) -> dict[str, Any]:
    """What one size took. Seconds, bytes and counts; *events* are those that count."""
    taken = {name: score.median(name) for name in ("wall", "cpu", "tree_rss", "largest_rss")}
    moved = {name: score.median(name) for name in ("read", "written", "disk_read", "disk_written")}
    home = folder / "home"
    return {
        "rounds": len(score.samples),
        "events": score.output["ledger"]["accepted"],
        "input": {name: value for name, value in asdict(given).items() if name != "arguments"},
        **taken,
        **moved,
        "rows": sum(score.output["tables"].values()),
        "home": {name: _weight(home / name) for name in ("events", "warehouse")},
        **shuffled(folder / "log"),
    }


def shuffled(log: Path) -> dict[str, int]:
    """What Spark's own log in the folder *log* says of shuffles: stages that wrote one, and bytes written."""
    stages, bytes_ = set(), 0
    for path in log.rglob("*"):
        text = path.read_text(encoding="utf-8") if path.is_file() and path.suffix != ".crc" else ""
        for line in text.splitlines():
            if not line.startswith('{"Event":"SparkListenerTaskEnd"'):
                continue
            event = json.loads(line)
            told = (event.get("Task Metrics") or {}).get("Shuffle Write Metrics", {}).get("Shuffle Bytes Written", 0)
            if told:
                stages.add(event["Stage ID"])
                bytes_ += told
    return {"shuffles": len(stages), "shuffled": bytes_} if stages else {}


def _weight(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="scale", description="Measure how runs grow, and write docs/scaling.md.")
    parser.add_argument("--pipeline", action="append", choices=LINES, help="only this one; may be repeated")
    parser.add_argument("--engine", action="append", choices=SIZES, help="only this one; may be repeated")
    parser.add_argument(
        "--sizes", type=_sizes, metavar="1,3", help="million events (default: 1,3,10, DuckDB also 30,100)"
    )
    parser.add_argument("--rounds", type=int, default=1, help="how often each is run (default: %(default)s)")
    parser.add_argument("--most", type=float, default=20, metavar="GB", help="disk to use (default: %(default)s)")
    parser.add_argument("--page", action="store_true", help="measure nothing, write the page from scale.json")
    return parser.parse_args()


def _sizes(text: str) -> list[float]:
    return [float(size) for size in text.split(",")]


if __name__ == "__main__":
    sys.exit(main())
