"""Queries give way to live sessions, wherever they share a core."""

import os
import sys
from pathlib import Path

import pytest

from tests.service.live.conftest import Start
from tests.service.live.process import Service

QUERIES = 10


def niceness(service: Service) -> dict[int, int]:
    """How nice each thread of the service is to others, by its number; the event loop's is that of the process."""
    found = {}
    for folder in Path(f"/proc/{service.run.pid}/task").iterdir():
        try:
            said = (folder / "stat").read_text()
        except FileNotFoundError:  # it has ended meanwhile
            continue
        found[int(folder.name)] = int(said.rpartition(")")[2].split()[16])
    return found


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere a priority is that of the whole process")
@pytest.mark.parametrize("new_place", ["embedded"], indirect=True)
def test_queries_give_way(starting: Start) -> None:
    """Threads that query are nice, and DuckDB's with them; the loop and the journal's are as the process began."""
    service = starting()
    usual = os.getpriority(os.PRIO_PROCESS, 0)
    assert service.post("a", [{"type": "SESSION_START", "timestamp": 1, "session_id": "a"}]).status == 200
    assert set(niceness(service).values()) == {usual}
    assert service.get("/v1/runs").status == 200
    after = niceness(service)
    assert after[service.run.pid] == usual
    assert list(after.values()).count(max(usual, QUERIES)) >= 2
    assert list(after.values()).count(usual) >= 2
