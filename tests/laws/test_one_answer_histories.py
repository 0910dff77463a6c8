"""Whatever happens to a home, and in whichever order: its tables are those of the records that count (10.1, 10.2).

Files come, come again, grow and change; runs replace, are refused and are rolled back; rules and contracts change;
actors are forgotten. By Hypothesis, with runs that are killed, and many more of them: soak/test_one_answer.py.
"""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

import pytest

from tests.laws.effort import EFFORT, seeded
from tests.laws.one_answer_engine import in_one_thread
from tests.laws.one_answer_histories import histories, play
from tests.laws.one_answer_shops import TRADES
from tests.store.conftest import server
from tests.store.places import Place

if TYPE_CHECKING:
    from pathlib import Path

    from tests.postgres import Server

__all__ = ["server"]

STEPS = 12


@pytest.fixture(scope="module", autouse=True)
def quick():
    """No other process or thread beside this one."""
    with pytest.MonkeyPatch.context() as patch:
        in_one_thread(patch)
        yield


@pytest.mark.parametrize("trade", TRADES)
def test_a_home_holds_what_counts(trade: str, tmp_path: Path) -> None:
    """The embedded store: after every step the tables are the reference's over the records that count."""
    numbers = itertools.count()
    machine = histories(trade, lambda: Place(tmp_path / str(next(numbers)) / "home"))
    _, seed = seeded(f"a home of {trade}")
    for number in range(EFFORT):
        play(machine, seed + number, STEPS)
    assert machine.seen["extended"] > 2


@pytest.mark.parametrize("trade", ["id", "devices"])
def test_a_database_holds_what_counts(trade: str, tmp_path: Path, server: Server) -> None:
    """The same in PostgreSQL."""
    numbers = itertools.count()
    machine = histories(trade, lambda: Place(tmp_path / str(next(numbers)) / "home", server.database()))
    _, seed = seeded(f"a database of {trade}")
    for number in range(EFFORT):
        play(machine, seed + number, STEPS)
    assert machine.seen["extended"] > 2
