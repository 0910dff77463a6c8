"""One command, measured from outside: wall time, CPU time, and the memory of its whole process tree.

Memory is told in three ways, because no single one is honest for every program:
- `tree_rss`: the largest sum of resident pages over the tree; pages that processes share are counted in each,
  and so are mapped files. Sampled, cheap, in every round.
- `largest_rss`: the largest resident set of a single process of the tree; sampled too, and where there is no
  `/proc` the kernel's figure, which may be that of the process that started it.
- `tree_pss`: like the first, but a shared page counts once; `tree_own` of it is not backed by a file. Asking
  for it slows a program down, so it is sampled in rounds of its own, whose times are not used.

CPU time, and the bytes read and written, are those of all processes of the tree, from the kernel, exact: it adds those
of each child to the parent that waits for it. A child that outlives its parent, as the Java of Spark does, becomes ours
on Linux (`_adopt`), and is waited for, too. Of a child whose parent ignores its end, as Spark's workers in Python are,
the kernel keeps nothing: what it had used when last seen is added. `read` and `written` are what system calls moved,
from the disk or from the cache, pipes and sockets between processes included; mapped files are not in them. Of
`disk_read` and `disk_written` the disk knows: nothing is read from it that is in the cache.
"""

import ctypes
import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any

PAGE, TICKS = os.sysconf("SC_PAGE_SIZE"), os.sysconf("SC_CLK_TCK")
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
    read: int = 0
    written: int = 0
    disk_read: int = 0
    disk_written: int = 0
    output: dict[str, Any] = field(default_factory=dict)


def measure(command: Sequence[str], *, pss: bool = False) -> Sample:
    """Run *command* to its end; with *pss* the times are disturbed and the memory is exact."""
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        _adopt()
        others = _ours()
        started = time.perf_counter()
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=out, stderr=err)
        watcher = _Watcher(process.pid, pss=pss)
        watcher.start()
        ended = {process.pid: _ended(process.pid)}
        wall = time.perf_counter() - started
        first = ended[process.pid]
        process.returncode = os.waitstatus_to_exitcode(first.status)  # we waited for it in Popen's place
        watcher.stop()
        while orphans := _ours() - others:
            ended |= {pid: _ended(pid) for pid in orphans}
        out.seek(0), err.seek(0)
        if process.returncode != 0:
            told = err.read().decode(errors="replace").strip()[-2000:]
            raise CommandFailedError(f"{' '.join(command)}\nended with {process.returncode}: {told}")
        printed = out.read()
    ends = [*ended.values(), *(end for pid, end in watcher.unwaited.items() if pid not in ended)]
    return Sample(
        wall=wall,
        cpu=sum(end.cpu for end in ends),
        largest_rss=watcher.largest or first.rss,
        tree_rss=watcher.rss,
        tree_pss=watcher.pss,
        tree_own=watcher.own,
        **{name: sum(end.moved.get(key, 0) for end in ends) for name, key in _MOVED.items()},
        output=json.loads(printed or b"{}"),
    )


_MOVED = {"read": "rchar", "written": "wchar", "disk_read": "read_bytes", "disk_written": "write_bytes"}
_PR_SET_CHILD_SUBREAPER = 36


@dataclass(frozen=True)
class _End:
    """How a process ended, and what it and those that it waited for had used. Seconds and bytes."""

    status: int
    cpu: float
    rss: int
    moved: dict[str, int]


def _ended(pid: int) -> _End:
    """Wait for a child of ours."""
    moved: dict[str, int] = {}
    if PROC.exists():
        os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)  # it has ended, and still can be asked
        moved = _moved(pid)
    _, status, usage = os.wait4(pid, 0)
    return _End(status, usage.ru_utime + usage.ru_stime, usage.ru_maxrss * RSS_UNIT, moved)


def _moved(pid: int) -> dict[str, int]:
    lines = (PROC / str(pid) / "io").read_text().splitlines()
    return {name: int(count) for name, count in (line.split(": ") for line in lines)}


def _so_far(pid: int) -> _End | None:
    """What a running process has used; None if it is gone."""
    try:
        fields = (PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()
        return _End(0, sum(map(int, fields[11:15])) / TICKS, 0, _moved(pid))
    except OSError:
        return None


def _is_unheard(pid: int) -> bool:
    """Whether the ends of *pid*'s children reach nobody: it ignores the signal of them."""
    try:
        [line] = [line for line in (PROC / str(pid) / "status").read_text().splitlines() if line.startswith("SigIgn:")]
    except (OSError, ValueError):
        return False
    return bool(int(line.split()[1], 16) >> (signal.SIGCHLD - 1) & 1)


def _adopt() -> None:
    """From now on processes below us whose parent ends are our children."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


class _Watcher(threading.Thread):
    """Looks at a process tree every now and then, and remembers its peaks."""

    def __init__(self, pid: int, *, pss: bool) -> None:
        super().__init__(daemon=True)
        self.pid, self.asks_pss = pid, pss
        self.rss = self.pss = self.own = self.largest = 0
        self.unwaited: dict[int, _End] = {}
        self._done = threading.Event()

    def run(self) -> None:
        if not (PROC / "self" / "statm").exists():
            return
        for look in count():
            if self._done.wait(0.05 if self.asks_pss else 0.025):
                return
            pids = list(_tree(self.pid))
            sizes = [*map(_rss, pids)]
            self.rss, self.largest = max(self.rss, sum(sizes)), max(self.largest, *sizes)
            if look % 4 == 0:
                for pid in (child for parent in filter(_is_unheard, pids) for child in _children(parent)):
                    if (end := _so_far(pid)) is not None:
                        self.unwaited[pid] = end
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
    for child in _children(pid):
        yield from _tree(child)


def _children(pid: int) -> set[int]:
    """The processes that *pid* has started, or has taken over."""
    try:
        texts = [(task / "children").read_text() for task in (PROC / str(pid) / "task").iterdir()]
    except OSError:  # it ended meanwhile, or there is no /proc
        return set()
    return {int(child) for text in texts for child in text.split()}


def _ours() -> set[int]:
    """The processes whose parent we are. Threads of ours that end hand theirs on, so that lists by thread miss some."""
    found = set()
    for path in PROC.glob("[0-9]*/stat"):
        with suppress(OSError):  # it ended meanwhile
            if int(path.read_text().rpartition(")")[2].split()[1]) == os.getpid():
                found.add(int(path.parent.name))
    return found


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
