"""One WebSocket: frames in, acknowledgements out.

It speaks ASGI itself: between the server and `live.ingest` nothing else looks at a message.
"""

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

import msgspec

from sojourn.errors import SojournError, as_ours
from sojourn.live.ingest import Held, Ingest
from sojourn.live.protocol import Incoming, Known, read
from sojourn.live.refusals import ANSWERS, Refusal
from sojourn.web.errors import body

Event = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Event]]
Send = Callable[[Event], Awaitable[None]]

CLOSES = {
    "taken_over": 4409,
    "deleted": 4410,
    "bad_token": 4401,
    "forbidden": 4403,
    "other_origin": 4403,
    "bad_session_id": 4400,
    "idle": 4408,
    "too_many": 4429,
    "overload": 1013,
    "going_down": 1001,
} | {code: answer.close for code, answer in ANSWERS.items()}
"""WebSocket close code by the code of the error; anything else is 1011."""

LARGE = 64 << 10  # bytes of a message that is read in a thread: other clients go on meanwhile
_encode = msgspec.json.Encoder().encode


class Connection:
    """One WebSocket that streams a session (`live.ingest.Client`)."""

    __slots__ = (
        "_acked",
        "_closing",
        "_ending",
        "_held",
        "_ingest",
        "_receive",
        "_room",
        "_send",
        "_sending",
        "_session_id",
        "heard",
    )

    def __init__(self, ingest: Ingest, session_id: str, receive: Receive, send: Send) -> None:
        self._ingest, self._session_id = ingest, session_id
        self._receive, self._send = receive, send
        self._held: Held | None = None
        self._acked = 0
        self._closing: Refusal | None = None
        self._sending: asyncio.Task[None] | None = None
        self._ending: asyncio.Task[Any] | None = None
        self._room: asyncio.Future[None] | None = None
        self.heard = asyncio.get_running_loop().time()

    @property
    def is_silent(self) -> bool:
        """Whether nothing of it is on its way."""
        return self._held is None or not self._held.in_flight

    async def serve(self) -> None:
        """Welcome the client, and take its messages until it or we close."""
        try:
            self._held = await self._ingest.join(self._session_id, self)
        except Exception as error:  # noqa: BLE001 - whatever the journal meets, the client is told
            await self.end(_refusal(as_ours(error)))
            return
        try:
            await self._welcome(self._held)
            while (message := await self._next()) is not None and await self._take(self._held, message):
                pass
            await self._until_closed()
        except (OSError, RuntimeError):
            pass  # the client is gone, or was told to go
        finally:
            self._closing = self._closing or Refusal("gone", "$", "")
            self._ingest.leave(self._held, self)

    def stored(self) -> None:
        """Acknowledge what is durable now, and read on."""
        if self._sending is None:
            self._sending = asyncio.ensure_future(self._acknowledge())
        self._read_on()

    def failed(self, error: SojournError) -> None:
        """Tell what kept a message from being stored, and close."""
        self.replaced(_refusal(error))

    def replaced(self, why: Refusal) -> None:
        """Tell why the client can stream no longer, and close."""
        if self._closing is None:
            self._closing = why
            self._ending = asyncio.ensure_future(self.end(why))
            self._read_on()

    async def drain(self, why: Refusal) -> None:
        """Close once everything on its way is acknowledged."""
        if self._closing is not None:
            return
        self._closing, self._ending = why, asyncio.current_task()
        self._read_on()
        if self._held is not None:
            await self._settled(self._held)
        await self.end(why)

    async def end(self, why: Refusal | None = None) -> None:
        """Say *why* and close; without a reason the session has ended as it should."""
        try:
            if why is not None:
                await self._say(body(why))
            code = 1000 if why is None else CLOSES.get(why.code, 1011)
            await self._send({"type": "websocket.close", "code": code, "reason": "" if why is None else why.code})
        except (OSError, RuntimeError):
            pass  # it is closed already

    async def _welcome(self, held: Held) -> None:
        limits, state = self._ingest.limits, held.state
        is_ended = state is not None and state.ended
        said = {"type": "welcome", "last": held.durable, "status": "ended" if is_ended else "open"}
        self._acked = held.durable
        await self._say(
            said
            | {
                "max_message": limits.max_message,
                "max_entries": limits.max_entries,
                "max_in_flight": limits.max_in_flight,
                "idle_seconds": limits.idle,
            }
        )

    async def _next(self) -> bytes | str | None:
        """The next message once there is room for it; None when the connection is over."""
        held = self._held
        while held is not None and len(held.in_flight) >= self._ingest.limits.max_in_flight and self._closing is None:
            self._room = asyncio.get_running_loop().create_future()
            await self._room
        event = await self._receive()
        if self._closing is not None or event["type"] != "websocket.receive":
            return None
        self.heard = asyncio.get_running_loop().time()
        data: bytes | str | None = event.get("text")
        return event["bytes"] if data is None else data

    async def _take(self, held: Held, data: bytes | str) -> bool:
        """Take one message; whether the connection goes on."""
        ingest = self._ingest
        if len(data) > LARGE:
            message = await asyncio.to_thread(self._read, data)
        else:
            message = self._read(data)
        if self._closing is not None:
            return False
        try:
            if isinstance(message, Refusal):
                ingest.telemetry.refused.labels(message.code).inc()
                taken: Known | Refusal | None = message
            elif ingest.is_again(held, message):
                taken = await ingest.again(held, message)
            else:
                taken = ingest.offer(held, message)
        except SojournError as error:
            taken = _refusal(error)
        if taken is None:
            return True
        if isinstance(taken, Refusal):
            self._closing = taken
            await self._settled(held)
            await self.end(taken)
            return False
        return await self._known(held, taken.number)

    def _read(self, data: bytes | str) -> Incoming | Refusal:
        limits = self._ingest.limits
        return read(data, self._session_id, max_bytes=limits.max_message, max_entries=limits.max_entries)

    async def _known(self, held: Held, number: int) -> bool:
        """Acknowledge a message that came again; one that is on its way is acknowledged with the others."""
        if number <= held.durable:
            await self._say_text(f'{{"type":"ack","seq":{number}}}')
            if held.state is not None and number == held.state.last:
                return not await self._end_if_ended(held)
        return True

    async def _acknowledge(self) -> None:
        held = self._held
        try:
            while held is not None and held.durable > self._acked:
                self._acked = held.durable
                await self._say_text(f'{{"type":"ack","seq":{self._acked}}}')
            self._sending = None
            if held is not None and self._closing is None:
                await self._end_if_ended(held)
        except (OSError, RuntimeError):
            self._sending = None  # the client is gone, or was told to go

    async def _end_if_ended(self, held: Held) -> bool:
        """Say good-bye when the session has ended and all of it is acknowledged."""
        if held.state is None or not held.state.ended or held.durable != held.state.last:
            return False
        self._closing = Refusal("ended", "$", "the session has ended")
        await self._say_text(f'{{"type":"ended","seq":{held.durable}}}')
        await self.end()
        return True

    async def _settled(self, held: Held) -> None:
        """Wait until everything of ours is durable and acknowledged."""
        while held.client is self and held.in_flight:
            self._room = asyncio.get_running_loop().create_future()
            await self._room
        if self._sending is not None:
            await asyncio.wait([self._sending])

    async def _until_closed(self) -> None:
        """While somebody else ends the connection, drop what still comes: who only sends would never hear of it."""
        while self._ending is not None and not self._ending.done():
            if (await self._receive())["type"] != "websocket.receive":
                await asyncio.wait([self._ending])

    def _read_on(self) -> None:
        if self._room is not None and not self._room.done():
            self._room.set_result(None)

    async def _say(self, frame: dict[str, Any]) -> None:
        await self._say_text(_encode(frame).decode())

    async def _say_text(self, text: str) -> None:
        await self._send({"type": "websocket.send", "text": text})


def _refusal(error: SojournError) -> Refusal:
    return Refusal(error.code, "$", error.message)
