"""Sessions over HTTP: events in, the document and pages of summaries out."""

import asyncio
import base64
from decimal import Decimal
from typing import Annotated, Any, Literal

import msgspec
import xxhash
from fastapi import APIRouter, Query, Request, Response
from pydantic import BaseModel, Field

from sojourn import times
from sojourn.live.assemble import document
from sojourn.live.ingest import Ingest
from sojourn.reading.entries import is_session_id
from sojourn.store.journals import Session, Stored
from sojourn.web.answers import FRESH, IF_NONE_MATCH, NOT_MODIFIED
from sojourn.web.errors import Refused, refused, responses
from sojourn.web.filters import HOW, instant_of
from sojourn.web.service import TheId, TheIngest, allowed

router = APIRouter(prefix="/v1/sessions", tags=["live sessions"])

_JSON = "application/json"
_WHEN = "a day, ISO date and time, or epoch seconds"
_CURSOR = "MTU2OTk3MjA4MjAwMDAwMCB2aXNpdC0x"
_FAR = 1 << 62  # microseconds, either way: beyond any calendar
_DOCUMENT = {
    "type": "SESSION",
    "start": 1569972082,
    "end": 1569972182,  # of an open session it is null, which FastAPI leaves out of examples
    "children": [{"type": "EVENT", "timestamp": 1569972084, "name": "cart_load"}],
}

_READ: dict[int | str, dict[str, Any]] = {
    200: {"content": {_JSON: {"example": _DOCUMENT}}},
    **NOT_MODIFIED,
}


class Child(BaseModel, extra="allow"):
    """An event, with whatever further keys it came with."""

    type: Literal["EVENT"]
    timestamp: float = Field(examples=[1569972084])
    name: str = Field(examples=["cart_load"])


class Warned(BaseModel):
    """What is odd about a session: *path* leads to the place in the document."""

    code: Literal["before_start", "after_end"]
    path: str = Field(examples=["$.children[0]"])
    message: str = Field(examples=["0.25 s before the session's start"])


class Document(BaseModel):
    """A session with its events by timestamp; times in epoch seconds, *end* null while it is open."""

    type: Literal["SESSION"]
    start: float = Field(examples=[1569972082])
    end: float | None = Field(examples=[None])
    children: list[Child]
    warnings: list[Warned] = Field([], description="There only where there are any")


class Summary(BaseModel):
    """A session in a line: times in epoch seconds, *end* null while it is open."""

    session_id: str = Field(examples=["visit-1"])
    status: Literal["open", "ended"] = Field(examples=["open"])
    start: float = Field(examples=[1569972082])
    end: float | None = Field(examples=[None])
    events: int = Field(examples=[1])
    messages: int = Field(examples=[1])


class Page(BaseModel):
    """Sessions by start and id; *next* is the cursor of the page that follows, if there is one."""

    sessions: list[Summary]
    next: str | None = Field(examples=[None])


@router.get(
    "",
    response_model=Page,
    responses=responses(400, 401, 403, 422, 503),
    dependencies=[allowed("read")],
)
async def listing(
    ingest: TheIngest,
    status: Annotated[Literal["open", "ended"] | None, Query(description="Only these", examples=["open"])] = None,
    begin: Annotated[
        str | None, Query(alias="from", description=f"Started then or later: {_WHEN}", examples=["2019-10-01"])
    ] = None,
    end: Annotated[
        str | None, Query(alias="to", description=f"Started before: {_WHEN}", examples=["1569974400"])
    ] = None,
    cursor: Annotated[str | None, Query(description="`next` of the page before", examples=[_CURSOR])] = None,
    limit: Annotated[int, Query(ge=1, le=1000, description="How many at most", examples=[100])] = 100,
) -> Response:
    """Pages of sessions, open and ended, by start and id."""
    start, before = _time(begin, "from"), _time(end, "to")
    after = (-_FAR if start is None else start, "")
    if cursor is not None:
        after = max(after, _after(cursor))
    is_open = None if status is None else status == "open"
    found = await asyncio.to_thread(ingest.journal.sessions, after, before, is_open=is_open, limit=limit + 1)
    following = _cursor(found[limit - 1]) if len(found) > limit else None
    return _answer(msgspec.json.encode({"sessions": [_summary(one) for one in found[:limit]], "next": following}))


@router.get(
    "/{session_id}",
    response_model=Document,
    responses=responses(400, 401, 403, 404, 422, 503) | _READ,
    dependencies=[allowed("read")],
    openapi_extra={"parameters": [IF_NONE_MATCH]},
)
async def read_one(request: Request, session_id: TheId) -> Response:
    """The session as one nested document, with everything that is durable; `end` is null while it is open."""
    ingest: Ingest = request.app.state.service.ingest
    messages = ingest.journal.at_once(session_id)
    if messages is None:
        whole = await asyncio.to_thread(_document, ingest, session_id)
    else:
        whole = _made(session_id, messages)
    tag = f'"{xxhash.xxh3_128_hexdigest(whole)}"'
    known = [part.strip().removeprefix("W/") for part in request.headers.get("if-none-match", "").split(",")]
    headers = {"ETag": tag, "Cache-Control": FRESH}
    if tag in known or "*" in known:
        return Response(status_code=304, headers=headers)
    return _answer(whole, headers)


@router.delete(
    "/{session_id}",
    status_code=204,
    responses=responses(400, 401, 403, 404, 422, 503),
    dependencies=[allowed("ingest")],
)
async def remove(session_id: TheId, ingest: TheIngest) -> Response:
    """Remove the session for good; whoever streams it is disconnected."""
    if not await ingest.forget(session_id):
        raise _unknown(session_id)
    return Response(status_code=204)


def _document(ingest: Ingest, session_id: str) -> bytes:
    return _made(session_id, ingest.journal.messages(session_id))


def _made(session_id: str, messages: list[Stored]) -> bytes:
    if not messages:
        raise _unknown(session_id)
    return document(message.content for message in messages)


def _unknown(session_id: str) -> Refused:
    return refused("unknown_session", f"there is no session {session_id}", "$.path.session_id")


def _summary(session: Session) -> dict[str, Any]:
    return {
        "session_id": session.session_id,
        "status": "open" if session.ended_at is None else "ended",
        "start": _seconds(session.started_at),
        "end": None if session.ended_at is None else _seconds(session.ended_at),
        "events": session.events,
        "messages": session.last,
    }


def _seconds(instant: int) -> msgspec.Raw:
    """Epoch microseconds as a JSON number of seconds, exactly."""
    return msgspec.Raw(f"{Decimal(instant).scaleb(-6).normalize():f}".encode())


def _time(text: str | None, name: str) -> int | None:
    """Epoch microseconds of a parameter."""
    if text is None:
        return None
    instant = times.parse_epoch(text, "epoch_s")
    if instant is None:
        instant = instant_of(text)
    if instant is None:
        said = f"{name}: {text[:80]!r} is no time; write epoch seconds, {HOW}"
        raise refused("bad_time", said, f"$.query.{name}")
    return instant


def _cursor(session: Session) -> str:
    return base64.urlsafe_b64encode(f"{session.started_at} {session.session_id}".encode()).decode()


def _after(cursor: str) -> tuple[int, str]:
    try:
        start, _, session_id = base64.urlsafe_b64decode(cursor.encode()).decode().partition(" ")
        found = int(start[:20]), session_id
        if abs(found[0]) > _FAR or not is_session_id(session_id):
            raise ValueError(cursor)
    except ValueError:
        raise refused("bad_cursor", "this cursor is none of ours; begin again without", "$.query.cursor") from None
    return found


def _answer(content: bytes, headers: dict[str, str] | None = None) -> Response:
    return Response(content, headers=headers, media_type=_JSON)
