"""Publishing live sessions while the service runs: the pipeline `live`, in a process of its own."""

import asyncio
import json
import logging
import os
import sys
from contextlib import suppress

from sojourn.live.ingest import Ingest
from sojourn.web.settings import Settings

_log = logging.getLogger(__name__)


async def publish_always(ingest: Ingest, settings: Settings) -> None:
    """Run the pipeline `live` whenever something has changed, at most every `publish_every` seconds; for good."""
    command = [sys.executable, "-m", "sojourn", "run", "live", "--json"]
    command += ["--home", settings.home] if settings.home else []
    environment = os.environ | ({"SOJOURN_STORE": settings.store} if settings.store else {})  # others see arguments
    if await asyncio.to_thread(ingest.journal.sessions, limit=1):
        ingest.has_changed.set()  # what came before we began may not be published yet
    while True:
        await asyncio.sleep(settings.publish_every)
        await ingest.has_changed.wait()
        ingest.has_changed.clear()
        if not await _publish(command, environment):
            ingest.has_changed.set()


async def _publish(command: list[str], environment: dict[str, str]) -> bool:
    """Whether the run has published; what kept it from that is logged."""
    running = await asyncio.create_subprocess_exec(
        *command,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env=environment,
    )
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
