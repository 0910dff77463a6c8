"""The reference's presence against the golden folders, which were worked by hand."""

from __future__ import annotations

import csv
import tomllib
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tests import reference
from tests.reference.times import read_iso

FOLDERS = Path(__file__).parent / "golden" / "devices"
OTHER_FORMS = {"berlin_json_lines", "header_and_spellings"}  # the reference reads rows without a header line
CASES = sorted(path.parent for path in FOLDERS.glob("*/case.toml") if path.parent.name not in OTHER_FORMS)
EMPTY = reference.Ledger().as_dict()


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_the_reference_gives_what_the_folder_says(case: Path) -> None:
    """Every run's ledger, and all tables after the last run."""
    home, until = reference.Devices(), None
    for told in tomllib.loads((case / "case.toml").read_text())["runs"]:
        sources = [(case / told["sources"][name]).read_bytes() for name in ("events", "servers")]
        until = read_iso(told["options"][1], "UTC") if "options" in told else None
        assert home.run(sources[0], sources[1], until).as_dict() == EMPTY | told["ledger"]
    tables = reference.presence_tables(list(home.events.values()), home.servers, until=until)
    for name, rows in tables.items():
        expected = list(csv.DictReader((case / f"{name}.csv").read_text().splitlines()))
        assert [{key: shown(key, value) for key, value in row.items()} for row in rows] == expected, name


def shown(name: str, value: Any) -> str:
    """A value as CSV."""
    if name.endswith("_at"):
        moment = datetime(1970, 1, 1) + timedelta(microseconds=value)  # noqa: DTZ001 - shown as UTC
        return f"{moment.isoformat(timespec='microseconds')}Z"
    return "" if value is None else str(value).lower() if isinstance(value, bool) else str(value)


def test_classes_and_windows_by_hand() -> None:
    """Two users, three days, a window of two days: a device that both own counts for each."""
    first = datetime(2022, 3, 1).date()  # noqa: DTZ001 - a day
    online = {
        first: {(1, 10), (1, 11), (2, 10)},
        first + timedelta(1): {(1, 12)},
        first + timedelta(2): {(2, 10)},
    }
    rows = reference.fleet(online, first + timedelta(3), window=2, classes=(1, 3))
    assert [(row["day"].day, row["fleet_size"], row["devices"], row["users"]) for row in rows] == [
        (1, "1-2", 2, 2), (1, "3+", 0, 0),
        (2, "1-2", 1, 1), (2, "3+", 3, 1),
        (3, "1-2", 2, 2), (3, "3+", 0, 0),
        (4, "1-2", 1, 1), (4, "3+", 0, 0),
    ]  # fmt: skip
