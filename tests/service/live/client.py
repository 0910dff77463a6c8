"""A client of live sessions, for tests, and what it says."""

import json
from contextlib import ExitStack, suppress
from typing import Any

from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect
from websockets.typing import Subprotocol

from tests.service.live.process import Service

BEGIN = 1569972000


def begin(session_id: str) -> dict[str, Any]:
    """The entry that begins a session."""
    return {"type": "SESSION_START", "timestamp": BEGIN, "session_id": session_id}


def end(session_id: str) -> dict[str, Any]:
    """The entry that ends it."""
    return {"type": "SESSION_END", "timestamp": BEGIN + 1000, "session_id": session_id}


def event(number: int, **more: Any) -> dict[str, Any]:
    """An event whose name is its number."""
    return {"type": "EVENT", "timestamp": BEGIN + number % 1000, "name": f"{number}", **more}


def numbered(seq: int, *entries: Any) -> dict[str, Any]:
    """A message that says its number."""
    return {"seq": seq, "events": list(entries)}


class Client:
    """A WebSocket to one session, welcomed."""

    def __init__(self, service: Service, session_id: str, *, path: str | None = None, **how: Any) -> None:
        self.session_id = session_id
        url = f"ws://127.0.0.1:{service.port}{path or f'/v1/sessions/{session_id}/stream'}"
        headers = service.headers | how.pop("headers", {})
        offered = [Subprotocol(name) for name in how.pop("subprotocols", [])]
        self._open = ExitStack()
        opening = connect(
            url,
            additional_headers=headers,
            subprotocols=offered or None,
            proxy=None,
            compression=None,
            max_size=None,
            max_queue=None,  # reads on while nobody asks
            open_timeout=20,
            ping_interval=None,
            close_timeout=5,
            **how,
        )
        self.socket: ClientConnection = self._open.enter_context(opening)
        self.welcome = self.next()

    def __enter__(self) -> "Client":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def last(self) -> int:
        """The last number of the welcome."""
        assert self.welcome["type"] == "welcome", self.welcome
        last: int = self.welcome["last"]
        return last

    def next(self, patience: float = 20) -> Any:
        """The next frame of the server; when it has closed, `{"closed": CODE}`."""
        try:
            return json.loads(self.socket.recv(timeout=patience))
        except ConnectionClosed as closed:
            return {"closed": 1006 if closed.rcvd is None else closed.rcvd.code}

    def send(self, message: Any) -> None:
        """Send text, bytes, or anything else as JSON."""
        self.socket.send(message if isinstance(message, str | bytes) else json.dumps(message))

    def put(self, message: Any) -> Any:
        """Send, and the frame that is answered."""
        self.send(message)
        return self.next()

    def until_ack(self, seq: int) -> None:
        """Wait for the acknowledgement of *seq*; those before never go back."""
        told = 0
        while told < seq:
            frame = self.next()
            assert frame["type"] == "ack", frame
            assert frame["seq"] > told
            told = frame["seq"]
        assert told == seq

    def rest(self) -> list[Any]:
        """All frames that still come, and how it closed."""
        found = [self.next()]
        while "closed" not in found[-1]:
            found.append(self.next())
        return found

    def close(self) -> None:
        """Go."""
        with suppress(OSError):
            self._open.close()


def refusal(frames: list[Any]) -> tuple[str, str, int]:
    """Code, path and close code of the last two frames."""
    error, closed = frames[-2:]
    assert set(error) == {"type", "code", "path", "message"}, error
    assert error["type"] == "error"
    assert error["message"]
    return error["code"], error["path"], closed["closed"]
