"""Charts are drawn in a process of their own, which neither holds up nor outlives ours."""

import os
import signal
import subprocess
import sys
import threading

import pytest

from sojourn import charts
from sojourn.charts import drawing, files
from sojourn.errors import SojournError
from sojourn.store.embedded import Embedded
from tests.store.places import until


@pytest.fixture
def drawer():
    """One that ends with the test."""
    drawer = drawing.Drawer()
    yield drawer
    drawer.close()


def test_it_draws_what_the_command_line_draws(drawer, home):
    """The same picture, one after the other and from several threads."""
    specs = [charts.specification(name, Embedded(home)) for name in ("repairs", "session_lengths")]
    wanted = [files.rendered(spec, ".svg", "") for spec in specs]
    found: dict[int, bytes] = {}
    threads = [threading.Thread(target=lambda at=at: found.update({at: drawer.svg(specs[at % 2])})) for at in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [found[at] for at in range(6)] == wanted * 3


def test_a_killed_process_is_replaced(drawer, home):
    """The picture comes all the same."""
    spec = charts.specification("repairs", Embedded(home))
    first = drawer.svg(spec)
    os.kill(drawer._process.pid, signal.SIGKILL)
    assert drawer.svg(spec) == first


def test_what_cannot_be_drawn_is_told(drawer):
    """And the next picture can be drawn."""
    with pytest.raises(SojournError, match="could not be drawn"):
        drawer.svg({"mark": {"type": 7}})


def test_the_process_ends_with_the_one_that_asks():
    """Also when that is killed: nothing stays behind."""
    code = (
        "from sojourn.charts import drawing, looks\nimport time\ndrawer = drawing.Drawer()\n"
        "drawer.svg(looks.empty('x'))\nprint(drawer._process.pid, flush=True)\ntime.sleep(60)"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as asking:
        assert asking.stdout is not None
        pid = int(asking.stdout.readline())
        asking.kill()
    until(lambda: not _runs(pid))


def _runs(pid: int) -> bool:
    done = subprocess.run(["ps", "-o", "stat=", "-p", str(pid)], capture_output=True, text=True, check=False)
    return bool(done.stdout.strip()) and not done.stdout.startswith("Z")
