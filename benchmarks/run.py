"""The benchmarks: `make bench`, or `python -m benchmarks.run --help`.

Every case is a function; each answers its questions with figures of one run. Results of full size are written
to `benchmarks/results.json` and `benchmarks/RESULTS.md` after each case, beside those of cases left out.
"""

import argparse
import dataclasses
import shutil
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from benchmarks import (
    cases_devices,
    cases_increments,
    cases_live,
    cases_peers,
    cases_runs,
    cases_stores,
    machine,
    report,
)
from benchmarks.inputs import FOLDER
from benchmarks.measure import CommandFailedError
from benchmarks.results import Answer, Case
from benchmarks.setting import Setting
from sojourn.errors import SojournError

CASES: dict[str, Callable[[Setting], Case]] = {
    "webshop": cases_runs.webshop_duckdb,
    "pandas": cases_runs.webshop_pandas,
    "polars": cases_runs.webshop_polars,
    "peers": cases_peers.peers,
    "memory": cases_runs.memory,
    "linearity": cases_runs.linearity,
    "processes": cases_runs.processes,
    "activity": cases_runs.activity_duckdb,
    "devices": cases_devices.devices,
    "rolling": cases_devices.rolling,
    "growth": cases_devices.growth,
    "small": cases_runs.small,
    "adding": cases_increments.adding_webshop,
    "adding_devices": cases_increments.adding_devices,
    "unchanged": cases_increments.unchanged,
    "verifying": cases_increments.verifying,
    "postgres": cases_stores.postgres,
    "orders": cases_stores.orders,
    "streaming": cases_live.streaming,
    "beside": cases_live.beside,
    "reading": cases_live.reading,
    "database": cases_live.database,
    "spread": cases_live.spread,
}


def main() -> int:
    """Run the chosen cases; 1 if one could not be measured."""
    chosen = _arguments()
    results = report.load()
    print("\n".join(f"{key}: {value}" for key, value in machine.describe().items()))
    fresh = {}
    for name in chosen.only or CASES:
        fresh[name] = _measured(name, chosen.rounds, chosen.scale)
        if chosen.scale == 1:
            order = {**dict.fromkeys(CASES), **results, **fresh}
            results = {name: case for name, case in order.items() if case is not None}
            report.write(results)
    print("\n" + report.questions(fresh.values()))
    print("\n" + "\n".join(f"- {note}" for case in fresh.values() for note in case["notes"]))
    where = "benchmarks/RESULTS.md" if chosen.scale == 1 else "nowhere: another --scale than 1 is for a look only"
    print(f"\nwritten: {where}")
    return int(any(case["failed"] for case in fresh.values()))


def _measured(name: str, rounds: int, scale: float) -> dict[str, Any]:
    """One case with all that is needed to judge it later."""
    print(f"\n{name}", flush=True)
    setting = Setting(FOLDER / "work" / name, rounds, scale)
    shutil.rmtree(setting.work, ignore_errors=True)
    setting.work.mkdir(parents=True)
    stolen, all_ticks = machine.stolen()
    failed = False
    try:
        case = CASES[name](setting)
    except (CommandFailedError, SojournError, OSError) as error:
        failed = True
        print(f"    FAILED: {error}", file=sys.stderr)
        last = str(error).splitlines()[-1].replace(str(FOLDER.parent.parent), "...")[:300]
        case = Case(name, [Answer(f"{name}: could be measured", "yes", "no", False)], notes=[f"Failed: {last}"])
    finally:
        shutil.rmtree(setting.work, ignore_errors=True)
    after, all_after = machine.stolen()
    return {
        **dataclasses.asdict(case),
        "failed": failed,
        "date": f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC",
        "commit": machine.commit(),
        "scale": scale,
        "machine": machine.describe(),
        "stolen": (after - stolen) / max(1, all_after - all_ticks),
    }


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="benchmarks", description="Measure, and write benchmarks/RESULTS.md.")
    parser.add_argument(
        "--only",
        metavar="NAME",
        action="append",
        choices=CASES,
        help=f"one of {', '.join(CASES)}; may be repeated",
    )
    parser.add_argument("--rounds", type=int, default=5, help="how often each contender runs (default: %(default)s)")
    parser.add_argument("--scale", type=float, default=1.0, help="size of the input, such as 0.1 for a quick look")
    chosen = parser.parse_args()
    if chosen.rounds < 1 or chosen.scale <= 0:
        parser.error("--rounds and --scale must be above 0")
    return chosen


if __name__ == "__main__":
    sys.exit(main())
