"""Watching live sessions as they happen: server-sent events, one a second."""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from typing import Any

import msgspec
from fastapi import APIRouter, Request
from fastapi.responses import StreamingResponse

from sojourn.live.assemble import document
from sojourn.live.ingest import Ingest
from sojourn.web.errors import refused, responses
from sojourn.web.service import Service, TheId, TheIngest, TheService, allowed

router = APIRouter(prefix="/v1/live", tags=["live sessions"])

_EVERY = 1.0
_CHILDREN = 200
_WATCHERS = 100
_EVENTS: dict[int | str, dict[str, Any]] = {
    200: {
        "content": {
            "text/event-stream": {
                "schema": {"type": "string"},
                "example": 'data: {"open":0,"events":1,"messages":1,"waiting":0,"sessions":[]}\n\n',
            }
        },
        "description": "One event a second",
    }
}


class _Shown(msgspec.Struct):
    """What of a session's document is shown."""

    start: msgspec.Raw
    end: msgspec.Raw
    children: list[msgspec.Raw]


_shown = msgspec.json.Decoder(_Shown).decode


@router.get(
    "", response_class=StreamingResponse, responses=_EVENTS | responses(401, 403, 429), dependencies=[allowed("read")]
)
async def totals(request: Request, service: TheService, ingest: TheIngest) -> StreamingResponse:
    """What this process has taken in so far, and the sessions that it heard of last; each second, as JSON.

    `events` and `messages` count from the start of the process; `open` sessions are those that somebody streams.
    """

    async def now() -> bytes:
        return msgspec.json.encode(
            {
                "open": ingest.streamed,
                "events": ingest.events,
                "messages": ingest.messages,
                "waiting": ingest.queued,
                "sessions": [
                    {"session_id": name, "events": events, "messages": last, "status": "ended" if ended else "open"}
                    for name, (events, last, ended) in reversed(ingest.recent.items())
                ],
            }
        )

    return _streamed(request, service, now)


@router.get(
    "/{session_id}",
    response_class=StreamingResponse,
    responses=_EVENTS | responses(400, 401, 403, 404, 422, 429),
    dependencies=[allowed("read")],
)
async def one(request: Request, session_id: TheId, service: TheService, ingest: TheIngest) -> StreamingResponse:
    """A session whenever it has grown, as JSON: start, end, how many events, and the last 200 of them."""
    standing = await asyncio.to_thread(ingest.journal.standing, session_id)
    if not standing.last:
        raise refused("unknown_session", f"there is no session {session_id}", "$.path.session_id")
    seen = 0

    async def now() -> bytes | None:
        nonlocal seen
        last = (await asyncio.to_thread(ingest.journal.standing, session_id)).last
        if last == seen:
            return None
        seen = last
        return await asyncio.to_thread(_session, ingest, session_id)

    return _streamed(request, service, now)


def _session(ingest: Ingest, session_id: str) -> bytes:
    messages = ingest.journal.messages(session_id)
    if not messages:
        return b"null"  # it was deleted
    whole = _shown(document(message.content for message in messages))
    said = {"session_id": session_id, "start": whole.start, "end": whole.end, "events": len(whole.children)}
    return msgspec.json.encode(said | {"children": whole.children[-_CHILDREN:]})


def _streamed(
    request: Request, service: Service, now: Callable[[], Coroutine[Any, Any, bytes | None]]
) -> StreamingResponse:
    """What *now* says, each second while anybody listens and the service goes on."""
    if service.watchers >= _WATCHERS:
        raise refused("too_many", f"{_WATCHERS} are watching, which is the limit; try again later")

    async def events() -> AsyncIterator[bytes]:
        service.watchers += 1
        try:
            while not service.is_going_down and not await request.is_disconnected():
                said = await now()
                yield b": nothing new\n\n" if said is None else b"data: " + said + b"\n\n"
                await asyncio.sleep(_EVERY)
        finally:
            service.watchers -= 1

    headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
    return StreamingResponse(events(), headers=headers, media_type="text/event-stream")
