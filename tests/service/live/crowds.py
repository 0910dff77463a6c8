"""How much memory idle connections take."""

import subprocess
import sys
import time

from tests.service.live.process import Service
from tests.store.places import end


def per_connection(service: Service, count: int) -> float:
    """Bytes of the service's memory for each of *count* idle connections; all are gone afterwards."""
    before, files = service.memory(), service.files()
    command = [sys.executable, "-m", "tests.service.live.crowd", str(service.port), str(count)]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, start_new_session=True
    ) as crowd:
        try:
            assert crowd.stdout is not None
            assert int(crowd.stdout.readline()) == count
            time.sleep(0.3)
            assert service.counts()["sojourn_connections"] == count
            found = (service.memory() - before) / count
            assert crowd.stdin is not None
            crowd.stdin.close()
            crowd.wait(30)
        finally:
            if crowd.poll() is None:
                end(crowd)  # type: ignore[arg-type]
    deadline = time.monotonic() + 20
    while service.counts()["sojourn_connections"] or service.files() > files + 5:
        assert time.monotonic() < deadline, "connections that ended are still there"
        time.sleep(0.05)
    return found
