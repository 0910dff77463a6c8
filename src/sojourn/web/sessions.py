"""Sessions over HTTP: events in, the document and pages of summaries out."""

import asyncio
import base64
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from decimal import Decimal
from typing import Annotated, Any, Literal

import msgspec
import xxhash
from fastapi import APIRouter, Depends, Header, Query, Request, Response
from pydantic import BaseModel, Field
from starlette.requests import ClientDisconnect

from sojourn import times
from sojourn.errors import SojournError
from sojourn.live.assemble import document
from sojourn.live.ingest import Held, Ingest
from sojourn.live.protocol import Incoming, read
from sojourn.live.refusals import Refusal
from sojourn.reading.entries import is_session_id
from sojourn.store.journals import Session
from sojourn.web.errors import Refused, refused, responses
from sojourn.web.service import Service, TheIngest, allowed

router = APIRouter(prefix="/v1/sessions", tags=["live sessions"])

_JSON, _LINES = "application/json", ("application/x-ndjson", "application/ndjson", "application/jsonl")
_EXAMPLE = [
    {"timestamp": 1569972082, "type": "SESSION_START", "session_id": "visit-1"},
    {"timestamp": 1569972084, "type": "EVENT", "name": "cart_load"},
]
_FAR = 1 << 62  # microseconds, either way: beyond any calendar
_PATIENCE = 30.0  # seconds for the next piece of a body
_GOING_DOWN = "going_down", "the server is going down; send it again"
_BODY = {
    "requestBody": {
        "required": True,
        "content": {
            _JSON: {"schema": {}, "example": _EXAMPLE},
            _LINES[0]: {"schema": {"type": "string"}, "example": msgspec.json.encode(_EXAMPLE).decode() + "\n"},
        },
    }
}
_DOCUMENT = {
    "type": "SESSION",
    "start": 1569972082,
    "end": None,
    "children": [{"type": "EVENT", "timestamp": 1569972084, "name": "cart_load"}],
}

_READ: dict[int | str, dict[str, Any]] = {
    200: {"content": {_JSON: {"example": _DOCUMENT}}},
    304: {"description": "As before"},
}


class Ack(BaseModel):
    """Everything that was sent is durable; *seq* is the number of the session's last message of it."""

    type: Literal["ack"]
    seq: int = Field(examples=[1])


class Summary(BaseModel):
    """A session in a line: times in epoch seconds, *end* null while it is open."""

    session_id: str = Field(examples=["visit-1"])
    status: Literal["open", "ended"]
    start: float = Field(examples=[1569972082])
    end: float | None = Field(examples=[None])
    events: int
    messages: int


class Page(BaseModel):
    """Sessions by start and id; *next* is the cursor of the page that follows, if there is one."""

    sessions: list[Summary]
    next: str | None


async def _id(session_id: str) -> str:
    if not is_session_id(session_id):
        raise refused("bad_session_id", "a session's id is 1 to 128 of A-Z a-z 0-9 . _ ~ -", "$.path.session_id")
    return session_id


TheId = Annotated[str, Depends(_id)]


@router.post(
    "/{session_id}/events",
    response_model=Ack,
    responses=responses(400, 401, 403, 408, 409, 410, 413, 415, 422, 429, 503),
    openapi_extra=_BODY,
    dependencies=[allowed("ingest")],
)
async def add(
    request: Request,
    session_id: TheId,
    ingest: TheIngest,
    content_type: Annotated[str, Header(include_in_schema=False)] = "",
    idempotency_key: Annotated[str | None, Header(max_length=200)] = None,
) -> Response:
    """Add one message (a JSON array of entries), or one a line; answered once all of it is durable.

    A request that is sent again with the same `Idempotency-Key`, or whose messages carry the same `seq`, is
    acknowledged again and stored once. When a line is refused those before it stay; the error's `seq` says how far.
    """
    kind = content_type.partition(";")[0].strip().lower()
    if kind != _JSON and kind not in _LINES:
        said = f"send {_JSON} (one array of entries), or {_LINES[0]} (one a line), not {kind or 'nothing that says so'}"
        raise refused("unsupported_type", said)
    if request.headers.get("content-encoding", "identity").lower() != "identity":
        raise refused("unsupported_type", "send the body as it is, not compressed")
    most = ingest.limits.max_message if kind == _JSON else ingest.limits.max_body
    async with _body(request, ingest, most) as whole:
        messages = [whole] if kind == _JSON else [line for line in whole.split(b"\n") if line.strip()]
        async with ingest.turn(session_id) as held:
            return await _add(ingest, held, messages, idempotency_key)


@router.get(
    "",
    response_model=Page,
    responses=responses(400, 401, 403, 422, 503),
    dependencies=[allowed("read")],
)
async def listing(
    ingest: TheIngest,
    status: Literal["open", "ended"] | None = None,
    begin: Annotated[
        str | None, Query(alias="from", description="Started then or later: ISO, or epoch seconds")
    ] = None,
    end: Annotated[str | None, Query(alias="to", description="Started before: ISO, or epoch seconds")] = None,
    cursor: Annotated[str | None, Query(description="`next` of the page before")] = None,
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
) -> Response:
    """Pages of sessions, open and ended, by start and id."""
    after = (-_FAR if (start := _time(begin, "from")) is None else start, "") if cursor is None else _after(cursor)
    is_open = None if status is None else status == "open"
    before = _time(end, "to")
    found = await asyncio.to_thread(ingest.journal.sessions, after, before, is_open=is_open, limit=limit + 1)
    following = _cursor(found[limit - 1]) if len(found) > limit else None
    return _answer(msgspec.json.encode({"sessions": [_summary(one) for one in found[:limit]], "next": following}))


@router.get(
    "/{session_id}",
    response_model=dict[str, Any],
    responses=responses(400, 401, 403, 404, 503) | _READ,
    dependencies=[allowed("read")],
)
async def read_one(
    session_id: TheId, ingest: TheIngest, if_none_match: Annotated[str | None, Header()] = None
) -> Response:
    """The session as one nested document, with everything that is durable; `end` is null while it is open."""
    whole = await asyncio.to_thread(_document, ingest, session_id)
    tag = f'"{xxhash.xxh3_128_hexdigest(whole)}"'
    known = [part.strip().removeprefix("W/") for part in (if_none_match or "").split(",")]
    if tag in known or "*" in known:
        return Response(status_code=304, headers={"ETag": tag})
    return _answer(whole, ETag=tag)


@router.delete(
    "/{session_id}",
    status_code=204,
    responses=responses(400, 401, 403, 404, 503),
    dependencies=[allowed("ingest")],
)
async def remove(session_id: TheId, ingest: TheIngest) -> Response:
    """Remove the session for good; whoever streams it is disconnected."""
    if not await ingest.forget(session_id):
        raise _unknown(session_id)
    return Response(status_code=204)


class _Posting:
    """A request that adds messages (`live.ingest.Client`): it waits for what the journal says."""

    def __init__(self) -> None:
        self.error: Refusal | None = None
        self._news: asyncio.Future[None] | None = None

    def stored(self) -> None:
        if self._news is not None and not self._news.done():
            self._news.set_result(None)

    def failed(self, error: SojournError) -> None:
        self.replaced(Refusal(error.code, "$", error.message))

    def replaced(self, why: Refusal) -> None:
        self.error = why
        self.stored()

    async def wait(self, held: Held, most: int) -> None:
        """Until at most so many messages are on their way."""
        while len(held.in_flight) > most and self.error is None:
            self._news = asyncio.get_running_loop().create_future()
            await self._news


async def _add(ingest: Ingest, held: Held, messages: list[bytes], key: str | None) -> Response:
    """Take *messages* one by one, and answer when the last one is durable."""
    posting = held.client = _Posting()
    number, why, line = 0, None if messages else Refusal("empty", "$", "a message has at least one entry"), 0
    try:
        for line, data in enumerate(messages, 1):
            await posting.wait(held, ingest.limits.max_in_flight - 1)
            taken = await _take(ingest, held, data, None if key is None else f"{key}/{line}")
            if isinstance(taken, Refusal) or posting.error is not None:
                why = taken if isinstance(taken, Refusal) else None
                break
            number = taken
    finally:
        await posting.wait(held, 0)
        held.client = None
    if (why := posting.error or why) is not None:
        raise Refused(why, seq=held.durable, **({"line": line} if len(messages) > 1 else {}))
    return _answer(msgspec.json.encode({"type": "ack", "seq": number}))


async def _take(ingest: Ingest, held: Held, data: bytes, key: str | None) -> int | Refusal:
    """The number of one message that is on its way or known, or why it is not taken."""
    limits = ingest.limits
    how = {"max_bytes": limits.max_message, "max_entries": limits.max_entries}
    message = await asyncio.to_thread(read, data, held.session_id, **how)
    if isinstance(message, Refusal):
        ingest.telemetry.refused.labels(message.code).inc()
        return message
    if key is not None and message.seq is None:
        message = await _as_before(ingest, held, message, key)
    if held.state is None:
        return Refusal("closed", "$", "the journal was lost meanwhile")
    if ingest.is_again(held, message):
        taken = await ingest.again(held, message)
        return taken if isinstance(taken, Refusal) else taken.number
    try:
        refusal = ingest.offer(held, message, key)
    except SojournError as error:
        return Refusal(error.code, "$", error.message)
    if refusal is None:
        return held.state.last
    return refusal if isinstance(refusal, Refusal) else refusal.number


async def _as_before(ingest: Ingest, held: Held, message: Incoming, key: str) -> Incoming:
    """The message with the number that it had when it came with this *key* before, if it did."""
    number = await asyncio.to_thread(ingest.journal.keyed, held.session_id, key)
    return message if number is None else msgspec.structs.replace(message, seq=number)


class _Receiving:
    """A body that is being received or waits for its turn (`live.room.Holder`)."""

    def __init__(self) -> None:
        self.must_go, self.patience = False, asyncio.timeout(_PATIENCE)

    def evict(self) -> None:
        self.must_go = True
        self.patience.reschedule(0)


@asynccontextmanager
async def _body(request: Request, ingest: Ingest, most: int) -> AsyncIterator[bytes]:
    """The whole body, as long as there is room for all that are held, and it keeps coming."""
    service: Service = request.app.state.service
    if service.is_going_down:
        raise refused(*_GOING_DOWN)
    whole, receiving = bytearray(), _Receiving()
    service.receiving.add(receiving)
    try:
        async with receiving.patience:
            async for piece in request.stream():
                whole += piece
                if len(whole) > most:
                    raise refused("too_large", f"a body has at most {most} bytes here; send less at once")
                ingest.room.hold(receiving, len(whole))
                if not receiving.must_go:
                    receiving.patience.reschedule(asyncio.get_running_loop().time() + _PATIENCE)
            if not receiving.must_go:
                receiving.patience.reschedule(None)
            service.receiving.discard(receiving)
            yield bytes(whole)
    except TimeoutError:
        if service.is_going_down:
            raise refused(*_GOING_DOWN) from None
        if receiving.must_go:
            raise refused("overload", "too many bodies are being received; try again later") from None
        raise refused("timeout", "the body stopped coming; send it again") from None
    except ClientDisconnect:
        raise refused("timeout", "the client is gone") from None  # nobody hears it
    finally:
        service.receiving.discard(receiving)
        ingest.room.hold(receiving, 0)


def _document(ingest: Ingest, session_id: str) -> bytes:
    messages = ingest.journal.messages(session_id)
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
        instant = times.parse_iso(text, times.zone_named("UTC"))
    if instant is None:
        raise refused(
            "bad_time", f"{name}: {text!r} is no time; write 2024-05-31T23:59:59Z or epoch seconds", f"$.query.{name}"
        )
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


def _answer(content: bytes, **headers: str) -> Response:
    return Response(content, headers=headers, media_type=_JSON)
