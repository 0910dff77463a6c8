"""`sojourn replay-stream`: plays a file of streams against a server, for demos and load."""

import asyncio
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import msgspec
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidURI

from sojourn.errors import SojournError, UsageError
from sojourn.reading.entries import is_session_id
from sojourn.reading.unpacking import decompressed, read_up_to

_ATTEMPTS = 8  # to reach the server again, each after twice the time of the one before
_FIRST_PAUSE = 0.25
_PATIENCE = 60.0


class _Line(msgspec.Struct):
    """A line of the file: one message of a session."""

    session_id: str
    seq: int
    events: list[msgspec.Raw]


class _Answer(msgspec.Struct):
    """What a server says, as far as it matters here."""

    type: str
    seq: int = 0
    code: str = ""
    message: str = ""


_decode = msgspec.json.Decoder(_Line).decode
_answer = msgspec.json.Decoder(_Answer).decode


class _Refused(Exception):  # noqa: N818 - it ends one session's play, and is counted
    """The server does not take a message, and will not."""


class Replay:
    """Plays the streams of a file to the server at *url*, *rate* messages a second (0: as fast as it takes them).

    Each session has a connection of its own, at most *connections* at a time, and one message on its way. Messages
    keep their numbers: playing a file again adds nothing. A lost connection is opened again, and goes on.
    Raises `UsageError` for a file or an address that cannot be used.
    """

    def __init__(self, file: str, url: str, *, rate: float, connections: int, token: str | None) -> None:
        self._address, self._rate = _address(url), rate
        if token is not None and not (token.isascii() and token.isprintable()):
            raise UsageError("bad_token", "--token: a token is made of letters, digits and ._~+/=-")
        self._headers = {"Authorization": f"Bearer {token}"} if token else {}
        self._open = asyncio.Semaphore(connections)
        self._sessions, self._unreadable = _read(file)
        self._refused: Counter[str] = Counter()
        self._events = 0
        self._began, self._was_reached = 0.0, False
        self._waits: list[float] = []

    async def play(self) -> dict[str, Any]:
        """Play everything; counts of what became of it. Raises `SojournError` when the server cannot be reached."""
        self._began = time.monotonic()
        try:
            async with asyncio.TaskGroup() as group:
                for session_id, messages in self._sessions.items():
                    group.create_task(self._session(session_id, messages))
        except* SojournError as errors:
            raise errors.exceptions[0] from None
        seconds, waits = time.monotonic() - self._began, sorted(self._waits)
        return {
            "sessions": len(self._sessions),
            "messages": len(waits),
            "events": self._events,
            "seconds": round(seconds, 3),
            "ack_median_ms": round(1000 * waits[len(waits) // 2], 3) if waits else None,
            "ack_p99_ms": round(1000 * waits[len(waits) * 99 // 100], 3) if waits else None,
            "refused": dict(self._refused),
            "unreadable_lines": self._unreadable,
        }

    async def _session(self, session_id: str, messages: list[tuple[int, _Line]]) -> None:
        """Play one session, over as many connections as it takes."""
        messages, said = list(reversed(messages)), ""  # the next one last
        await self._until_due(messages[-1][0])
        async with self._open:
            for attempt in range(_ATTEMPTS):
                left = len(messages)
                try:
                    where = f"{self._address}/v1/sessions/{session_id}/stream"
                    async with connect(where, additional_headers=self._headers, compression=None) as socket:
                        await self._stream(socket, messages)
                        return
                except _Refused as refused:
                    self._refused[str(refused)] += len(messages)
                    return
                except (OSError, ConnectionClosed, InvalidHandshake, InvalidURI, TimeoutError) as error:
                    said = str(error)
                    if not self._was_reached:  # it was never there: the address is wrong, or it does not run
                        break
                if len(messages) == left:
                    await asyncio.sleep(_FIRST_PAUSE * 2**attempt)
        raise SojournError("unreachable", f"cannot stream to {self._address}: {said}; start one with: sojourn serve")

    async def _stream(self, socket: ClientConnection, messages: list[tuple[int, _Line]]) -> None:
        """Send the messages one by one; each that is acknowledged is taken off their end."""
        await self._heard(socket, "welcome")
        self._was_reached = True
        while messages:
            place, line = messages[-1]
            await self._until_due(place)
            sent = time.monotonic()
            await socket.send(msgspec.json.encode({"seq": line.seq, "events": line.events}), text=True)
            await self._heard(socket, "ack", line.seq)
            self._waits.append(time.monotonic() - sent)
            self._events += len(line.events)
            messages.pop()

    async def _heard(self, socket: ClientConnection, kind: str, seq: int = 0) -> None:
        """Wait for the server to say so, of this message or a later one."""
        while True:
            answer = _answer(await asyncio.wait_for(socket.recv(), _PATIENCE))
            if answer.type == "error" and answer.code not in ("going_down", "overload", "too_many"):
                raise _Refused(answer.code)
            if answer.type == kind and answer.seq >= seq:
                return

    async def _until_due(self, place: int) -> None:
        """Wait for the time of a message by its place in the file."""
        if self._rate and (early := self._began + place / self._rate - time.monotonic()) > 0:
            await asyncio.sleep(early)


def _read(file: str) -> tuple[dict[str, list[tuple[int, _Line]]], int]:
    """The messages of each session by number, with their places in the file; and how many lines are none."""
    sessions: dict[str, list[tuple[int, _Line]]] = {}
    unreadable = 0
    try:
        with Path(file).open("rb") as raw:
            lines = read_up_to(decompressed(raw), sys.maxsize, file).splitlines()
    except OSError as error:
        raise UsageError("unreadable_file", f"cannot read {file}: {error.strerror}") from error
    for place, text in enumerate(line for line in lines if line.strip()):
        try:
            line = _decode(text)
        except (msgspec.DecodeError, UnicodeDecodeError):
            unreadable += 1
            continue
        if not is_session_id(line.session_id):
            unreadable += 1
            continue
        sessions.setdefault(line.session_id, []).append((place, line))
    if not sessions:
        said = 'a line per message: {"session_id":"visit-1","seq":1,"events":[...]}'
        raise UsageError("no_streams", f"{file} is no file of streams; it has {said}")
    for messages in sessions.values():
        messages.sort(key=lambda message: message[1].seq)
    return sessions, unreadable


def _address(url: str) -> str:
    parts = urlsplit(url if "://" in url else f"http://{url}")
    schemes = {"http": "ws", "https": "wss", "ws": "ws", "wss": "wss"}
    if parts.scheme not in schemes or not parts.netloc:
        raise UsageError("bad_url", f"{url!r} is no address of a server; write one such as http://127.0.0.1:8000")
    return f"{schemes[parts.scheme]}://{parts.netloc}{parts.path.rstrip('/')}"
