"""Between TCP and the application: uvicorn's protocols, with bounds on what a client may take of us.

Theirs wait for a request's head as long as it takes, and keep whatever comes of it; hold pieces of a message, and
answers to pings that nobody takes, without end; and answer some broken requests with plain text, or not at all.
"""

import logging
from asyncio import TimerHandle, Transport
from http import HTTPStatus
from typing import Any

import msgspec
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.exceptions import PayloadTooBig
from websockets.frames import Frame, Opcode
from websockets.http11 import Request
from websockets.protocol import State

from sojourn.live.refusals import Refusal
from sojourn.live.room import Room
from sojourn.web.errors import body

PATIENCE = 10.0
"""Seconds for the head of a request, from the connection or the answer before."""

CUT_OFF = 2
"""A frame of more than so many times the size of a message is not read; what is only a little too large is."""

_HEAD = 16 << 10  # bytes
_HEADERS = 100
_PIECES = 1000  # of one message
_LITTLE = 4 << 10  # bytes that each connection may hold without being looked at
_LINGER = 5.0  # seconds in which a client can take what it is told at the end

_log = logging.getLogger(__name__)
_log.setLevel(logging.ERROR)  # what clients do wrong is told to them


def _answer(status: HTTPStatus, refusal: Refusal, *headers: bytes) -> bytes:
    """The whole answer to a request that the application never sees."""
    content = msgspec.json.encode(body(refusal))
    first = b"HTTP/1.1 %d %s" % (status, status.phrase.encode())
    usual = (b"content-type: application/json", b"content-length: %d" % len(content), b"connection: close")
    return b"\r\n".join([first, *usual, *headers, b"", content])


class _Refused(Exception):  # noqa: N818 - the parser carries it to where it is answered
    """A request that is not read further."""


class Http(HttpToolsProtocol):
    """One TCP connection, as long as it speaks HTTP."""

    def __init__(self, **given: Any) -> None:
        super().__init__(**given)
        self.logger = _log
        self._due: TimerHandle | None = None
        self._refusal = HTTPStatus.BAD_REQUEST, Refusal("bad_request", "$", "this is no HTTP/1.1 request")
        self._head = self._unread = 0
        self._is_busy = self._is_socket = False

    def connection_made(self, transport: Transport) -> None:  # type: ignore[override]
        """Wait for the first request, for a while."""
        super().connection_made(transport)
        self._expect()

    def connection_lost(self, exc: Exception | None) -> None:
        """Wait no more."""
        self._expect_nothing()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Read on, unless what comes is neither head nor body, or a head that does not end."""
        self._unread += len(data)
        super().data_received(data)
        if self._is_socket or self.transport.is_closing():
            return
        if self._unread > _HEAD:
            self._too_large()
            self.send_400_response("")
        elif self._due is None and not self._is_busy:
            self._expect()

    def handle_websocket_upgrade(self) -> None:
        """Hand the connection over."""
        self._is_socket = True
        super().handle_websocket_upgrade()

    def on_message_begin(self) -> None:
        """Begin to count."""
        super().on_message_begin()
        self._head = self._unread = 0

    def on_url(self, url: bytes) -> None:
        """Take a piece of the address, up to a bound."""
        self._count(len(url))
        super().on_url(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take a header, before the body or after it, up to a bound."""
        self._count(len(name) + len(value))
        if len(self.headers) >= _HEADERS:
            self._too_large()
            raise _Refused
        super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """Begin to answer."""
        self._unread = 0
        if self.parser.should_upgrade() and self._should_upgrade() and not self._is_handshake():
            raise _Refused
        super().on_headers_complete()
        self._is_busy = True
        self._expect_nothing()

    def on_response_complete(self) -> None:
        """Wait for the next request, for a while."""
        self._is_busy = bool(self.pipeline)
        super().on_response_complete()

    def on_body(self, body: bytes) -> None:
        """Take a piece of the body."""
        self._unread = 0
        super().on_body(body)

    def on_message_complete(self) -> None:
        """Take the end of it."""
        self._unread = 0
        super().on_message_complete()

    def send_400_response(self, msg: str) -> None:  # noqa: ARG002 - every error of ours has one shape
        """Refuse the request, and close."""
        self.transport.write(_answer(*self._refusal))
        self.transport.close()

    def _unsupported_upgrade_warning(self) -> None:
        """Say nothing: such a request is answered as if it had not asked."""

    def _is_handshake(self) -> bool:
        """Whether the request may open a WebSocket: uvicorn makes a new one of its headers."""
        given = {name for name, _ in self.headers}
        is_bare = not given & {b"content-length", b"transfer-encoding"}
        return self.parser.get_method() == b"GET" and self.parser.get_http_version() == "1.1" and is_bare

    def _count(self, size: int) -> None:
        self._unread = 0
        self._head += size
        if self._head > _HEAD:
            self._too_large()
            raise _Refused

    def _too_large(self) -> None:
        said = f"a request's head has at most {_HEAD} bytes and {_HEADERS} headers"
        self._refusal = HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, Refusal("too_large", "$", said)

    def _expect(self) -> None:
        self._due = self.loop.call_later(PATIENCE, self.transport.close)

    def _expect_nothing(self) -> None:
        if self._due is not None:
            self._due.cancel()
            self._due = None


class WebSocket(WebSocketsSansIOProtocol):
    """One TCP connection from the head of its handshake on (`live.room.Holder`).

    The application gets the bytes of every message, of text too: it says what is wrong with them.
    """

    def __init__(self, *, room: Room, **given: Any) -> None:
        super().__init__(**given)
        self.logger = _log
        self._room, self._is_counted = room, False
        self._queued = 0

    def connection_lost(self, exc: Exception | None) -> None:
        """Hold nothing any more."""
        self._room.hold(self, 0)
        super().connection_lost(exc)

    def resume_writing(self) -> None:
        """Read on, too."""
        super().resume_writing()
        self._read_on()

    def data_received(self, data: bytes) -> None:
        """Read on, within bounds."""
        super().data_received(data)
        if not self.handshake_initiated:
            self._refuse(HTTPStatus.BAD_REQUEST)
        self._weigh()

    def handle_connect(self, event: Request) -> None:
        """Open the WebSocket, or say what is wrong in the shape of all errors."""
        response = self.conn.accept(event)
        if response.status_code == HTTPStatus.SWITCHING_PROTOCOLS:
            super().handle_connect(event)
            return
        self.handshake_initiated = self.handshake_complete = self.close_sent = True
        versions = [b"sec-websocket-version: 13", b"upgrade: websocket"] if response.status_code == 426 else []
        self._refuse(HTTPStatus(response.status_code), *versions)

    def handle_cont(self, event: Frame) -> None:
        """Take a further piece of a message."""
        if self.close_sent:
            return
        if len(self.frames) >= _PIECES:
            self._end(1009, Refusal("too_large", "$", f"a message comes in at most {_PIECES} pieces"))
            return
        super().handle_cont(event)

    def send_receive_event_to_app(self) -> None:
        """Hand on a whole message, and read no further until it is taken."""
        data = self.frames[0] if len(self.frames) == 1 else b"".join(self.frames)
        self.frames = []
        if self.close_sent:
            return
        self.queue.put_nowait({"type": "websocket.receive", "bytes": bytes(data)})
        self._queued += len(data)
        self._pause()

    def handle_ping(self) -> None:
        """Answer; who does not take the answers is not read from."""
        if self.close_sent:
            return
        super().handle_ping()
        if not self.writable.is_set():
            self._pause()

    def handle_parser_exception(self) -> None:
        """Say by the close code what broke the protocol."""
        if self.close_sent:
            return
        if isinstance(self.conn.parser_exc, PayloadTooBig):
            most = self.config.ws_max_size // CUT_OFF
            why = Refusal("too_large", "$", f"a message has at most {most} bytes; this frame was not read")
            self._finish(Frame(Opcode.TEXT, msgspec.json.encode(body(why))).serialize(mask=False))
        else:
            self._finish()

    async def receive(self) -> Any:
        """The next message for the application."""
        message: Any = await self.queue.get()
        self._queued -= len(message.get("bytes", b""))
        if self._is_counted:
            self._weigh()
        self._read_on()
        return message

    async def send(self, message: Any) -> None:
        """Send what the application says; an answer that opens no WebSocket ends the handshake as well."""
        await super().send(message)
        if self.initial_response is not None and self.close_sent:
            self.handshake_complete = True  # else uvicorn complains that nothing was answered

    def evict(self) -> None:
        """Go: all clients together hold too much, and this one most of it."""
        self._is_counted = False
        if not self.close_sent:
            said = "too much is being received, most of it from here; connect again later"
            self._end(1013, Refusal("overload", "$", said))

    def _weigh(self) -> None:
        size = self._queued + len(self.conn.reader.buffer) + sum(map(len, self.frames))
        if self._is_counted or size > _LITTLE:
            self._is_counted = size > 0
            self._room.hold(self, size)

    def _end(self, code: int, why: Refusal) -> None:
        """Say why, and close."""
        if self.conn.state is State.OPEN:
            self.conn.send_text(msgspec.json.encode(body(why)))
        self.conn.fail(code, why.code)
        self._finish()

    def _finish(self, said: bytes = b"") -> None:
        """Send what is to be said, let go of what came, and give the client some time to read."""
        code = 1006 if self.conn.close_sent is None else self.conn.close_sent.code
        self.frames, self._queued = [], 0
        while not self.queue.empty():
            self.queue.get_nowait()
        self.queue.put_nowait({"type": "websocket.disconnect", "code": code, "reason": ""})
        self.stop_keepalive()
        self.close_sent = self.disconnected = True
        self.transport.write(said + b"".join(self.conn.data_to_send()))
        self.transport.write_eof()
        self._read_on()
        self.close_timer = self.loop.call_later(_LINGER, self.transport.close)

    def _refuse(self, status: HTTPStatus, *headers: bytes) -> None:
        """Answer a handshake that cannot be one."""
        self.handshake_initiated = True
        refusal = Refusal("bad_request", "$", "this request opens no WebSocket")
        self.transport.write(_answer(status, refusal, *headers))
        self.close_sent = True
        self.transport.close()

    def _pause(self) -> None:
        if not self.read_paused:
            self.read_paused = True
            self.transport.pause_reading()

    def _read_on(self) -> None:
        is_free = self.close_sent or (self.queue.empty() and self.writable.is_set())
        if self.read_paused and is_free and not self.transport.is_closing():
            self.read_paused = False
            self.transport.resume_reading()
