"""Events over HTTP: one message, or many, answered once all of it is durable."""

import asyncio
import re
from collections.abc import Callable, Coroutine, Iterator
from itertools import islice
from random import random
from typing import Annotated, Any, Literal

import msgspec
from fastapi import APIRouter, Header, Query, Request, Response
from fastapi.routing import APIRoute
from pydantic import BaseModel, Field

from sojourn.errors import SojournError
from sojourn.live.ingest import Held, Ingest
from sojourn.live.protocol import Incoming, read
from sojourn.live.refusals import Refusal
from sojourn.reading.entries import LAST_SEQ
from sojourn.web.connection import LARGE
from sojourn.web.errors import Refused, refused, responses
from sojourn.web.receiving import receive, too_large
from sojourn.web.service import TheId, TheIngest, allowed


class _Counted(APIRoute):
    """Requests that are refused before a message is looked at are counted, as WebSockets are."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """As any route's."""
        handle = super().get_route_handler()

        async def counted(request: Request) -> Response:
            try:
                return await handle(request)
            except Refused as error:
                if "seq" not in error.more:  # else it says how far the session came, and the message was counted
                    request.app.state.service.ingest.telemetry.refused.labels(error.refusal.code).inc()
                raise

        return counted


router = APIRouter(prefix="/v1/sessions", tags=["live sessions"], route_class=_Counted)

_JSON, _LINES = "application/json", ("application/x-ndjson", "application/ndjson", "application/jsonl")
_LINE = re.compile(rb"[^ \t\r\n][^\n]*")  # that is not empty
_EXAMPLE = [
    {"timestamp": 1569972082, "type": "SESSION_START", "session_id": "visit-1"},
    {"timestamp": 1569972084, "type": "EVENT", "name": "cart_load"},
]
_PAUSES = (0.05, 0.1, 0.2, 0.4, 0.8, 0.8, 0.8, 0.8)  # seconds at most, before a session is claimed once more
_ID = {"type": "string", "description": "As in the address"}
_TIME = {"type": "number", "description": "Epoch seconds with at most 6 decimal places"}
_MARKER = {
    "type": "object",
    "required": ["type", "timestamp", "session_id"],
    "properties": {"type": {"enum": ["SESSION_START", "SESSION_END"]}, "timestamp": _TIME, "session_id": _ID},
}
_EVENT = {
    "type": "object",
    "description": "With any further keys",
    "required": ["type", "timestamp", "name"],
    "properties": {"type": {"const": "EVENT"}, "timestamp": _TIME, "name": {"type": "string"}},
}
_ENTRIES = {"type": "array", "minItems": 1, "items": {"anyOf": [_MARKER, _EVENT]}}
_NUMBERED = {
    "type": "object",
    "description": "The same with its number, which may be sent again",
    "required": ["seq", "events"],
    "properties": {
        "seq": {"type": "integer", "minimum": 1, "maximum": LAST_SEQ},
        "events": _ENTRIES,
        "session_id": {**_ID, "type": ["string", "null"]},
    },
    "additionalProperties": False,
}
_BODY = {
    "requestBody": {
        "required": True,
        "content": {
            _JSON: {"schema": {"anyOf": [_ENTRIES, _NUMBERED]}, "example": _EXAMPLE},
            _LINES[0]: {"schema": {"type": "string"}, "example": msgspec.json.encode(_EXAMPLE).decode() + "\n"},
        },
    }
}


class Ack(BaseModel):
    """Everything that was sent is durable; *seq* is the number of the session's last message of it."""

    type: Literal["ack"]
    seq: int = Field(examples=[1])


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
    idempotency_key: Annotated[
        str | None,
        Header(max_length=200, description="The same when the request is sent again", examples=["a3f1-0017"]),
    ] = None,
    seq: Annotated[
        int | None,
        Query(ge=1, le=LAST_SEQ, description="The first message's number; those that say none go on", examples=[1]),
    ] = None,
) -> Response:
    """Add one message (a JSON array of entries), or one a line; answered once all of it is durable.

    A request that is sent again with the same `Idempotency-Key`, or the same `seq` (in its address, or in its
    messages), is acknowledged again and stored once. When a line is refused those before it stay; the error's `seq`
    says how far.
    """
    kind = content_type.partition(";")[0].strip().lower()
    if kind != _JSON and kind not in _LINES:
        said = f"send {_JSON} (one array of entries), or {_LINES[0]} (one a line), not {kind or 'nothing that says so'}"
        raise refused("unsupported_type", said)
    if request.headers.get("content-encoding", "identity").lower() != "identity":
        raise refused("unsupported_type", "send the body as it is, not compressed")
    most = ingest.limits.max_message if kind == _JSON else ingest.limits.max_body
    if int(request.headers.get("content-length", 0)) > most:
        raise refused(*too_large(most))
    async with receive(request, ingest, most) as whole:
        adding = _Adding(whole, idempotency_key or None, seq, has_lines=kind in _LINES)
        for pause in (*_PAUSES, None):
            async with ingest.turn(session_id) as held:
                why = await adding.go_on(ingest, held)
            if why is None or why.code != "taken_over" or pause is None:
                return adding.answer(why)
            await asyncio.sleep(pause * random())  # another process took the session: it is done soon
        raise AssertionError("the last pause is none")


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


class _Adding:
    """The messages of one request, and which of them are durable: each *number* that one has, so far."""

    def __init__(self, whole: bytes, key: str | None, first: int | None, *, has_lines: bool) -> None:
        self.whole, self.key, self.first, self.has_lines = whole, key, first, has_lines
        self.numbers: list[int] = []
        self.durable = 0

    async def go_on(self, ingest: Ingest, held: Held) -> Refusal | None:
        """Take what is not durable yet, one by one, and wait until it is; why one was not taken."""
        posting = held.client = _Posting()
        why, is_whole = None, False
        try:
            for _, data in self._messages():
                await posting.wait(held, ingest.limits.max_in_flight - 1)
                if posting.error is not None:
                    break
                taken = await _take(ingest, held, data, *self._given())
                if isinstance(taken, Refusal):
                    why = taken
                    break
                self.numbers.append(taken)
            else:
                is_whole = True
        finally:
            await held.settle()  # also when the session was taken over: what was on its way may have become durable
            held.client, self.durable = None, held.durable
        if is_whole and not self.numbers:
            return Refusal("empty", "$", "a message has at least one entry")
        why, taken_count = posting.error or why, len(self.numbers)
        if why is not None:
            self.numbers = [number for number in self.numbers if number <= self.durable]
        return None if is_whole and len(self.numbers) == taken_count else why

    def answer(self, why: Refusal | None) -> Response:
        """That all of it is durable; or raises *why* one was not taken, and how far it came."""
        if why is not None:
            line = next((line for line, _ in self._messages()), None) if self.has_lines else None
            raise Refused(why, seq=self.durable, **({} if line is None else {"line": line}))
        return Response(msgspec.json.encode({"type": "ack", "seq": self.numbers[-1]}), media_type=_JSON)

    def _messages(self) -> Iterator[tuple[int, bytes]]:
        """What has no number yet, and the line where it stands. One by one: a body may have millions of lines."""
        every = _lines(self.whole) if self.has_lines else iter([(1, self.whole)])
        return islice(every, len(self.numbers), None)

    def _given(self) -> tuple[str | None, int | None]:
        """The key and the number that the request gives to the next message."""
        done = len(self.numbers)
        key = None if self.key is None else f"{self.key}/{done + 1}"
        return key, None if self.first is None else self.first + done


def _lines(whole: bytes) -> Iterator[tuple[int, bytes]]:
    """The lines that are not empty, each with its number."""
    line, counted = 1, 0
    for found in _LINE.finditer(whole):
        line += whole.count(b"\n", counted, found.start())
        counted = found.start()
        yield line, found[0]


async def _take(ingest: Ingest, held: Held, data: bytes, key: str | None, number: int | None) -> int | Refusal:
    """The number of one message that is on its way or known, or why it is not taken."""
    limits = ingest.limits
    how = {"max_bytes": limits.max_message, "max_entries": limits.max_entries}
    if len(data) > LARGE:
        message = await asyncio.to_thread(read, data, held.session_id, **how)
    else:
        message = read(data, held.session_id, **how)
    if isinstance(message, Incoming):
        message = await _named(ingest, held, message, key, number)
    if isinstance(message, Refusal):
        ingest.telemetry.refused.labels(message.code).inc()
        return message
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


async def _named(
    ingest: Ingest, held: Held, message: Incoming, key: str | None, number: int | None
) -> Incoming | Refusal:
    """The message with the *number* that the request gives it, or that it had when it came with this *key* before."""
    if message.seq is None and number is not None:
        message = msgspec.structs.replace(message, seq=number)
    before = None if key is None else await asyncio.to_thread(ingest.journal.keyed, held.session_id, key)
    if before is None or before == message.seq:
        return message
    if message.seq is None:
        return msgspec.structs.replace(message, seq=before)
    said = f"this Idempotency-Key stands for message {before}, not {message.seq}; give each request its own"
    return Refusal("other_content", "$.header.idempotency-key", said)
