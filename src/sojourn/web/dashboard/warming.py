"""Every view of what a run has just published, looked at before a person waits for it."""

import asyncio
from contextlib import suppress
from dataclasses import replace
from functools import partial
from typing import Any

import pyarrow as pa
from anyio import to_thread

from sojourn.errors import SojournError
from sojourn.store.readings import Reading
from sojourn.web.dashboard import figures
from sojourn.web.dashboard.asked import asked
from sojourn.web.dashboard.views import VIEWS
from sojourn.web.service import Service

_EVERY = 1.0  # seconds


async def warm_always(service: Service) -> None:
    """Look at what is published, and again whenever a run has published.

    A service that begins with nothing published and that nobody looks at only takes messages in: it needs no pictures.
    """
    seen: list[dict[str, Any]] = []
    aside = partial(to_thread.run_sync, abandon_on_cancel=True)  # among the threads that answer queries
    service.is_looked_at |= bool(await aside(_published, service, seen))
    while True:
        if service.is_looked_at:
            seen = await aside(_warmed, service, seen)
        await asyncio.sleep(_EVERY)


def _warmed(service: Service, seen: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """What is published now; every view of it was looked at, unless it was *seen* before."""
    published = _published(service, seen)
    if published != seen:
        look(service)
    return published


def _published(service: Service, otherwise: list[dict[str, Any]]) -> list[dict[str, Any]]:
    try:
        return service.store.published()
    except (SojournError, OSError):  # pages say what is wrong
        return otherwise


def look(service: Service) -> None:
    """Ask for every view as it is without filters, with its pictures in the ways that people have asked for.

    What goes wrong with one is told on its page.
    """
    for view in VIEWS.values():
        with suppress(Exception), asked(service.store, view.scope, {}) as found:
            found = replace(found, reading=_UntilTheEnd(found.reading, service))  # noqa: PLW2901
            for figure in view.content(found)["figures"]:
                for is_dark, is_narrow in sorted(figures.WAYS):
                    if service.is_going_down:
                        return
                    if not figure.is_empty:
                        figures.svg(found, figure.name, is_dark=is_dark, is_narrow=is_narrow)


class _UntilTheEnd(Reading):
    """A reading that asks nothing more once the service goes down: its end waits for one query at most."""

    def __init__(self, reading: Reading, service: Service) -> None:
        self.row_order = reading.row_order
        self._reading, self._service = reading, service

    def query(self, sql: str) -> pa.RecordBatchReader:
        if self._service.is_going_down:
            raise SojournError("going_down", "the service goes down")
        return self._reading.query(sql)

    def published(self) -> list[dict[str, Any]]:
        return self._reading.published()
