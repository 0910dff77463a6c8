"""An interrupt reaches an engine also before it has begun what it is asked for."""

import signal
import time

import duckdb
import pytest

from sojourn.engines.waiting import waited_for


def test_work_that_begins_after_the_interrupt_is_cancelled() -> None:
    """Cancelled once, it would go on for hours: nothing was under way to cancel."""
    connection = duckdb.connect()
    ended: list[str] = []

    def work() -> None:
        time.sleep(0.5)
        try:
            connection.execute(
                "select count(*) from range(1_000_000_000) a, range(100_000_000) b where a.range < b.range"
            )
        except duckdb.InterruptException:
            ended.append("interrupted")
            raise

    before = signal.signal(signal.SIGALRM, signal.default_int_handler)
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.1)
        with pytest.raises(KeyboardInterrupt):
            waited_for(work, connection.interrupt)
    finally:
        signal.signal(signal.SIGALRM, before)
    assert ended == ["interrupted"]
