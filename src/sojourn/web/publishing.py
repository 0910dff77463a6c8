"""Publishing live sessions while the service runs: the pipeline `live`, in a process of its own."""

import asyncio
import json
import logging
import os
import sys
from contextlib import suppress

from sojourn.errors import SojournError
from sojourn.live.ingest import Ingest
from sojourn.store.base import Store
from sojourn.web.settings import Settings

_PIPELINE = "live"
_log = logging.getLogger(__name__)


async def publish_always(ingest: Ingest, store: Store, settings: Settings) -> None:
    """Run the pipeline `live` whenever something has changed, at most every `publish_every` seconds; for good."""
    command = [sys.executable, "-m", "sojourn", "run", _PIPELINE, "--json"]
    command += ["--home", settings.home] if settings.home else []
    environment = os.environ | ({"SOJOURN_STORE": settings.store} if settings.store else {})  # others see arguments
    if await asyncio.to_thread(_may_lag, ingest, store):
        ingest.has_changed.set()
    while True:
        await asyncio.sleep(settings.publish_every)
        await ingest.has_changed.wait()
        ingest.has_changed.clear()
        if not await _publish(command, environment):
            ingest.has_changed.set()


def _may_lag(ingest: Ingest, store: Store) -> bool:
    """Whether what came or went before this process began may not be published yet."""
    try:
        return bool(ingest.journal.sessions(limit=1)) or any(row["pipeline"] == _PIPELINE for row in store.published())
    except SojournError:  # not known: a run finds out
        return True


async def _publish(command: list[str], environment: dict[str, str]) -> bool:
    """Whether the run has published; what kept it from that is logged."""
    try:
        running = await asyncio.create_subprocess_exec(
            *command,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            env=environment,
        )
    except OSError as error:  # no memory or no process to be had now
        _log.error("live sessions were not published: %s", error.strerror)
        return False
    try:
        out, err = await running.communicate()
    except asyncio.CancelledError:
        with suppress(ProcessLookupError):
            running.terminate()
        await running.wait()
        raise
    if running.returncode:
        _log.error("live sessions were not published: %s", err.decode(errors="replace").strip())
        return False
    with suppress(ValueError, KeyError):
        report = json.loads(out)
        _log.info("live sessions are published: run %s, %s records", report["run_id"], report["ledger"]["read"])
    return True
