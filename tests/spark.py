"""Tests on Spark: `tests/conftest.py` sees to it that all run in one process, by *spark* in their names."""

import pytest

ON_SPARK = (
    pytest.mark.usefixtures("on_spark"),
    # py4j leaves its sockets to the garbage collector
    pytest.mark.filterwarnings("ignore:unclosed <socket:ResourceWarning"),
    pytest.mark.filterwarnings("ignore:.*<socket.socket:pytest.PytestUnraisableExceptionWarning"),
)


def on_spark(test):
    """Have a *test*, any function, run with a session of Spark in its process."""
    for mark in ON_SPARK:
        test = mark(test)
    return test
