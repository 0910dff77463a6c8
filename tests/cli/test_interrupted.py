"""A signal ends a run at any moment, also where Python ignores what it raises, or would leave a pool half begun."""

import signal
import subprocess
import sys

import pytest

from tests.command import Home, lines, shop

WHILE_IT_FORKS = """
import os, signal
todo = [signal.SIGTERM]
os.register_at_fork(after_in_parent=lambda: todo and signal.raise_signal(todo.pop()))
"""
BETWEEN_TWO_PROCESSES = """
import os, signal, sys
parent = os.getpid()
def tell(frame, event, _):
    if event == "return" and frame.f_code.co_name == "_spawn_process" and os.getpid() == parent:
        sys.setprofile(None)
        signal.raise_signal(signal.SIGTERM)
sys.setprofile(tell)
"""
WHILE_GARBAGE_IS_COLLECTED = """
import gc, signal, sys
def tell(*_):
    if "sojourn.run" in sys.modules:
        gc.callbacks.remove(tell)
        signal.raise_signal(signal.SIGTERM)
gc.callbacks.append(tell)
gc.set_threshold(20)
"""


@pytest.mark.parametrize(
    ("tell", "files"),
    [
        pytest.param(WHILE_IT_FORKS, 2, id="while it forks"),
        pytest.param(BETWEEN_TWO_PROCESSES, 2, id="between two processes"),
        pytest.param(WHILE_GARBAGE_IS_COLLECTED, 1, id="while garbage is collected"),
    ],
)
def test_nothing_is_published(home: Home, tell: str, files: int) -> None:
    """The run ends at once, and says so in one line; the next one reads everything."""
    for number in range(files):
        home.path(f"in/{number}.jsonl", lines(*(shop(f"{number}-{at}", "10:00:00") for at in range(20))))
    words = ["run", "webshop", str(home.folder / "in"), "--home", str(home.folder / "home")]
    code = f"{tell}\nfrom sojourn.cli import main\nmain()"
    done = subprocess.run([sys.executable, "-c", code, *words], capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 143
    assert "interrupted" in done.stderr
    assert done.stderr.count("\n") == 1
    again = home.process("run", "webshop", home.folder / "in", "--json")
    assert again.json["ledger"]["accepted"] == 20 * files


@pytest.mark.parametrize("module", ["click", "sojourn.run"])
def test_ctrl_c_while_modules_are_imported(home: Home, module: str) -> None:
    """No traceback: before there is anybody to say so the process just ends, after that it is told."""
    code = f"""
import os, runpy, signal, sys
def tell(event, details):
    if event == "import" and details[0] == {module!r}:
        os.kill(os.getpid(), signal.SIGINT)
sys.addaudithook(tell)
signal.signal(signal.SIGINT, signal.default_int_handler)
runpy.run_module("sojourn", run_name="__main__", alter_sys=True)
"""
    words = ["run", "webshop", str(home.path("in.jsonl")), "--home", str(home.folder / "home")]
    done = subprocess.run([sys.executable, "-c", code, *words], capture_output=True, text=True, check=False, timeout=60)
    expected = (-signal.SIGINT, "") if module == "click" else (130, "interrupted\n")
    assert (done.returncode, done.stderr) == expected
