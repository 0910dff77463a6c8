"""`sojourn serve`: the process around the application, from its limits to its end."""

import asyncio
import gc
import json
import logging
import logging.config
import os
import resource
import signal
import socket
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from typing import Any

import uvicorn
from anyio import to_thread

from sojourn.errors import SojournError, UsageError
from sojourn.live.ingest import Ingest
from sojourn.store.base import Store
from sojourn.store.journals import Journal, Settled
from sojourn.store.opening import open_journal, open_store
from sojourn.store.readings import Limits
from sojourn.web.access import is_local
from sojourn.web.app import make_app
from sojourn.web.dashboard.warming import warm_always
from sojourn.web.protocols import CUT_OFF, Http, WebSocket
from sojourn.web.publishing import publish_always
from sojourn.web.service import Service
from sojourn.web.settings import Settings
from sojourn.web.stream import Streams

_QUERIES = 4  # at a time; more wait
_DRAIN = 10.0  # seconds for what is on its way when the server goes down
_PARTING = 5.0  # seconds for threads that still read, once everything is durable
_UNACKNOWLEDGED = 30_000  # milliseconds after which the kernel gives up on a client that takes nothing


def serve(settings: Settings) -> None:
    """Serve until a signal ends it. Raises `SojournError` for what keeps it from starting."""
    if not settings.access.grants and not is_local(settings.host):
        raise UsageError(
            "no_tokens",
            f"without tokens everybody who reaches {settings.host} could read and write; set SOJOURN_TOKENS or "
            "--tokens FILE, or serve on 127.0.0.1",
        )
    store = open_store(settings.home, settings.store)
    listening = _listen(settings.host, settings.port)
    _many_files()
    logging.config.dictConfig(_LOGGING)
    gc.collect()
    gc.freeze()
    gc.set_threshold(100_000, 50, 1000)  # thousands of connections make nothing but long-lived objects
    try:
        with (
            listening,
            store.kept_open(Limits()),
            asyncio.Runner(loop_factory=_loop_factory()) as runner,
        ):
            runner.run(_serve(settings, store, listening))
            _leave_behind()
    except SojournError as error:
        print(f"error: {error.message} [{error.code}]", file=sys.stderr, flush=True)
        os._exit(error.exit_status)  # libraries that are taken down after an event loop complain of leaks


def _leave_behind() -> None:
    """End the process soon, whatever still hangs: a database that is silent would keep whom it does not answer."""
    ending = threading.Timer(_PARTING, os._exit, (0,))
    ending.daemon = True
    ending.start()


async def _serve(settings: Settings, store: Store, listening: socket.socket) -> None:
    loop = asyncio.get_running_loop()
    to_thread.current_default_thread_limiter().total_tokens = _QUERIES
    ingest: Ingest

    def told(settled: list[Settled], seconds: float) -> None:
        loop.call_soon_threadsafe(ingest.told, settled, seconds)

    def taken(session_id: str) -> None:
        loop.call_soon_threadsafe(ingest.taken, session_id)

    room = settings.limits.max_waiting
    journal: Journal = await asyncio.to_thread(open_journal, settings.home, settings.store, told, taken, room=room)
    try:
        ingest = Ingest(journal, settings.limits)
        streams = Streams(ingest, settings.access)
        ingest.telemetry.watch(lambda: ingest.queued, lambda: journal.waiting, lambda: len(streams.open))
        service = Service(store, ingest, settings.access)
        server = _Server(_config(make_app(service, streams, settings.access.origins)), service, streams)
        tasks = [asyncio.ensure_future(work) for work in (streams.close_idle(), warm_always(service))]
        if settings.publish_every:
            tasks.append(asyncio.ensure_future(publish_always(ingest, store, settings)))
        await server.serve([listening])
        await _end(tasks)
    finally:
        await asyncio.to_thread(journal.close)


class _Server(uvicorn.Server):
    """Ends in order: takes nothing new, acknowledges what is on its way, then closes."""

    def __init__(self, config: uvicorn.Config, service: Service, streams: Streams) -> None:
        super().__init__(config)
        self._service, self._streams = service, streams

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Be told to end by a signal, which then has done its work: the process ends well."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, self.handle_exit, number, None)
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Listen, and say where."""
        await super().startup(sockets)
        for listening in sockets or []:
            host, port = listening.getsockname()[:2]
            where = f"http://{f'[{host}]' if ':' in host else host}:{port}"
            print(f"serving on {where} (documentation: {where}/docs); Ctrl-C ends it", file=sys.stderr, flush=True)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Drain before connections are closed."""
        self._service.is_going_down = True
        for receiving in list(self._service.receiving):
            receiving.evict()
        for server in self.servers:
            server.close()
        await self._streams.drain(_DRAIN)
        await super().shutdown(sockets)


def _config(app: Any) -> uvicorn.Config:
    limits = app.state.service.ingest.limits
    return uvicorn.Config(
        app,
        loop="none",
        ws=partial(WebSocket, room=app.state.service.ingest.room),  # type: ignore[arg-type]
        http=Http,
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        ws_max_size=CUT_OFF * limits.max_message,
        ws_per_message_deflate=False,  # a small frame must not become a large message
        timeout_graceful_shutdown=int(_DRAIN),
        backlog=4096,
    )


async def _end(tasks: Sequence["asyncio.Future[None]"]) -> None:
    for task in tasks:
        task.cancel()
    for task in tasks:
        with suppress(asyncio.CancelledError):
            await task


def _loop_factory() -> Any:
    try:
        import uvloop
    except ImportError:  # not made for this system
        return None
    return uvloop.new_event_loop


def _listen(host: str, port: int) -> socket.socket:
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        listening = socket.socket(family, kind, protocol)
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if hasattr(socket, "TCP_USER_TIMEOUT"):  # connections inherit it
            listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, _UNACKNOWLEDGED)
        listening.bind(address)
        listening.listen(4096)
    except (OSError, OverflowError) as error:
        reason = getattr(error, "strerror", None) or error
        raise UsageError("cannot_listen", f"cannot listen on {host}:{port}: {reason}; choose another --port") from None
    listening.set_inheritable(False)
    return listening


def _many_files() -> None:
    """Allow as many open connections as the system lets us."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


class JsonLines(logging.Formatter):
    """A log record as one JSON object: time, level, logger, message; nothing of what clients send."""

    def format(self, record: logging.LogRecord) -> str:
        """The line."""
        line = {
            "time": self.formatTime(record, "%Y-%m-%dT%H:%M:%S%z"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        return json.dumps(line | ({"trace": self.formatException(record.exc_info)} if record.exc_info else {}))


_LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"json": {"()": JsonLines}},
    "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "json"}},
    "root": {"level": "INFO", "handlers": ["stderr"]},
    # its lines name addresses and paths of clients
    "loggers": {"uvicorn": {"level": "WARNING"}, "uvicorn.error": {"level": "WARNING"}},
}
