"""One command, measured from outside: wall time, CPU time, and the memory of its whole process tree.

Memory is told in three ways, because no single one is honest for every program:
- `tree_rss`: the largest sum of resident pages over the tree; pages that processes share are counted in each,
  and so are mapped files. Sampled, cheap, in every round.
- `largest_rss`: the largest resident set that a single process of the tree ever had, from the kernel, exact.
- `tree_pss`: like the first, but a shared page counts once; `tree_own` of it is not backed by a file. Asking
  for it slows a program down, so it is sampled in rounds of its own, whose times are not used.
"""

import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

PAGE = os.sysconf("SC_PAGE_SIZE")
RSS_UNIT = 1 if sys.platform == "darwin" else 1024  # of ru_maxrss
PROC = Path("/proc")


class CommandFailedError(Exception):
    """A measured command ended with another status than 0."""


@dataclass
class Sample:
    """One execution; seconds and bytes. *output* is the JSON object that it printed."""

    wall: float
    cpu: float
    largest_rss: int
    tree_rss: int = 0
    tree_pss: int = 0
    tree_own: int = 0
    output: dict[str, Any] = field(default_factory=dict)


def measure(command: Sequence[str], *, pss: bool = False) -> Sample:
    """Run *command* to its end; with *pss* the times are disturbed and the memory is exact."""
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        started = time.perf_counter()
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=out, stderr=err)
        watcher = _Watcher(process.pid, pss=pss)
        watcher.start()
        _, status, usage = os.wait4(process.pid, 0)
        wall = time.perf_counter() - started
        process.returncode = os.waitstatus_to_exitcode(status)  # wait4 took it from Popen
        watcher.stop()
        out.seek(0), err.seek(0)
        if process.returncode != 0:
            told = err.read().decode(errors="replace").strip()[-2000:]
            raise CommandFailedError(f"{' '.join(command)}\nended with {process.returncode}: {told}")
        printed = out.read()
    return Sample(
        wall=wall,
        cpu=usage.ru_utime + usage.ru_stime,
        largest_rss=usage.ru_maxrss * RSS_UNIT,
        tree_rss=watcher.rss,
        tree_pss=watcher.pss,
        tree_own=watcher.own,
        output=json.loads(printed or b"{}"),
    )


class _Watcher(threading.Thread):
    """Looks at a process tree every now and then, and remembers its peaks."""

    def __init__(self, pid: int, *, pss: bool) -> None:
        super().__init__(daemon=True)
        self.pid, self.asks_pss = pid, pss
        self.rss = self.pss = self.own = 0
        self._done = threading.Event()

    def run(self) -> None:
        if not (PROC / "self" / "statm").exists():
            return
        while not self._done.wait(0.05 if self.asks_pss else 0.025):
            pids = list(_tree(self.pid))
            self.rss = max(self.rss, sum(map(_rss, pids)))
            if self.asks_pss:
                shares = [_pss(pid) for pid in pids]
                self.pss = max(self.pss, sum(whole for whole, _ in shares))
                self.own = max(self.own, sum(own for _, own in shares))

    def stop(self) -> None:
        self._done.set()
        self.join()


def _tree(pid: int) -> Iterator[int]:
    """The process and all of its descendants."""
    yield pid
    try:
        texts = [(task / "children").read_text() for task in (PROC / str(pid) / "task").iterdir()]
    except OSError:  # it ended meanwhile
        return
    for text in texts:
        for child in text.split():
            yield from _tree(int(child))


def _rss(pid: int) -> int:
    try:
        return int((PROC / str(pid) / "statm").read_text().split()[1]) * PAGE
    except (OSError, IndexError):
        return 0


def _pss(pid: int) -> tuple[int, int]:
    """The process's share of memory, and what of it is no file's."""
    try:
        lines = (PROC / str(pid) / "smaps_rollup").read_text().splitlines()[1:]
    except OSError:
        return 0, 0
    sizes = {name: int(rest.split()[0]) * 1024 for name, rest in (line.split(":", 1) for line in lines)}
    return sizes.get("Pss", 0), sizes.get("Pss_Anon", 0) + sizes.get("Pss_Shmem", 0)
