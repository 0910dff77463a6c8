"""A real server for tests: an application on a free port of the loopback, in a thread of its own."""

import itertools
import os
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx
import uvicorn

from sojourn.store.base import Store
from sojourn.store.readings import Limits
from sojourn.web.app import make_app
from sojourn.web.service import Service

_ports = itertools.count(20_000 + os.getpid() % 10_000)


def free_port() -> socket.socket:
    """A socket bound to a free port below 32768, where no client's own ports lie."""
    for port in _ports:
        listening = socket.socket()
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listening.bind(("127.0.0.1", 20_000 + port % 12_000))
        except OSError:
            listening.close()
        else:
            return listening
    raise AssertionError("there is no end to numbers")


@contextmanager
def running(app: Any, **config: Any) -> Iterator[str]:
    """Serve *app*; its address."""
    with free_port() as listening:
        server = uvicorn.Server(
            uvicorn.Config(app, log_config=None, access_log=False, lifespan="off", ws="websockets-sansio", **config)
        )
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
        thread.start()
        try:
            deadline = time.monotonic() + 20
            while not server.started:
                assert thread.is_alive(), "the server did not start"
                assert time.monotonic() < deadline, "the server did not start"
                time.sleep(0.005)
            yield f"http://127.0.0.1:{listening.getsockname()[1]}"
        finally:
            server.should_exit = True
            thread.join()


@contextmanager
def serving(store: Store) -> Iterator[httpx.Client]:
    """Serve what *store* publishes, as `sojourn serve` does; a client of it."""
    limits = Limits()
    with store.kept_open(limits), running(make_app(Service(store))) as url, httpx.Client(base_url=url) as client:
        yield client
