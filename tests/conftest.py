"""What is left to `make soak`, and what the closing lines of `make test` tell."""

import gc
import os
import shutil
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from xdist.remote import Producer
from xdist.scheduler import LoadScopeScheduling

from sojourn.engines import spark

_IN_BOTH_STORES = {
    *("test_diff", "test_forgetting", "test_gc", "test_known_files", "test_manifests", "test_old_format"),
    *("test_quarantine_back", "test_rebuilding", "test_replaying", "test_rollback", "test_verify"),
    *("test_damaged_home", "test_together"),
}
"""Modules whose tests run in every store: one in four of those with PostgreSQL at once, as of those of the service,
and all in `make soak`."""

_KILLED_AT_EVERY_STEP = {
    *("test_killed_in_postgresql", "test_killed_at_any_step", "test_killed_at_every_step_of_gc"),
    "test_killed_at_every_step[in_postgres]",
}
"""Minutes of kills at one step after the other; those at random moments, and of runs in a home, stay."""

_IN_ANOTHER_FORM = {
    "test_a_large_journal[in_postgres]",
    *("test_a_database_holds_what_counts[id]", "test_a_database_holds_what_counts[devices]"),
    *("test_an_interrupt_ends_java_too", "test_a_master_that_is_none_is_told_in_a_sentence"),
}
"""Long ones whose other form stays: a large journal, and histories, in a home; other errors of Spark, in one Java."""

_SHOTS = Path(__file__).resolve().parents[1] / "build" / "screenshots"
_began = time.time()


def pytest_configure() -> None:
    """A shell has what it starts in the background ignore Ctrl-C, and so would every command that is tried here."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave the long ones to `make soak`, which sets SOJOURN_LONG."""
    if os.environ.get("SOJOURN_LONG"):
        return
    in_database = 0
    kept: list[pytest.Item] = []
    left: list[pytest.Item] = []
    for item in items:
        module = item.path.stem
        is_long = item.name in _KILLED_AT_EVERY_STEP | _IN_ANOTHER_FORM
        is_long |= item.name.partition("[")[0] in _KILLED_AT_EVERY_STEP
        is_of_service = "service" in item.path.parts and "[postgres" in item.name
        if is_of_service or (module in _IN_BOTH_STORES and "in_postgres" in item.name):
            in_database += 1
            is_long |= in_database % 4 != 1
        (left if is_long else kept).append(item)
    if left:
        config.hook.pytest_deselected(items=left)
        items[:] = kept


class _Scheduling(LoadScopeScheduling):  # type: ignore[misc] # it ships no types
    """Tests one by one to whoever is free, but those on Spark together: Java starts once."""

    def _split_scope(self, nodeid: str) -> str:
        return "spark" if "spark" in nodeid else nodeid


def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> _Scheduling:
    """How tests are dealt to processes. (`--dist loadgroup` deals by names that pytest 9 no longer lets it change.)"""
    return _Scheduling(config, log)


@pytest.fixture(scope="session")
def session_of_spark() -> Iterator[spark.Spark]:
    """A session of Spark in this process, which every command here finds."""
    if not os.environ.get("JAVA_HOME") and shutil.which("java") is None:
        left_out = pytest.fail if "CI" in os.environ else pytest.skip
        left_out("Spark needs Java 17 or newer")
    quick = {  # a few records are done before anything that is made for many pays
        "spark.sql.shuffle.partitions": "1",
        "spark.sql.adaptive.enabled": "false",
        "spark.sql.codegen.wholeStage": "false",
        "spark.sql.codegen.factoryMode": "NO_CODEGEN",
        # for one compiler Java keeps so little room that it stops compiling after a dozen runs
        "spark.driver.extraJavaOptions": "-XX:TieredStopAtLevel=1 -XX:ReservedCodeCacheSize=256m -XX:+UseSerialGC",
    }
    with spark.connect("local[2]", quick, None) as session:
        yield session


@pytest.fixture
def on_spark(session_of_spark: spark.Spark) -> Iterator[spark.Spark]:
    """Spark for one test; connections that its library leaves to be closed are so before the next one."""
    yield session_of_spark
    gc.collect()


@pytest.hookimpl(wrapper=True)
def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> Iterator[None]:
    """Where the pictures of the dashboard are, when these tests made some."""
    yield
    if not os.environ.get("SOJOURN_LONG"):
        terminalreporter.write_line(
            "Long tests (kills at every step, three in four with both stores), and three in four examples of the laws "
            "of whole runs, are left to: make soak"
        )
    made = sum(path.stat().st_mtime > _began for path in _SHOTS.glob("*.png"))
    if made:
        terminalreporter.write_line(f"{made} screenshots of the dashboard: {_SHOTS}")
