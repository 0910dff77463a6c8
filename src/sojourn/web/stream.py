"""The route of WebSockets: who may stream, who was silent for too long, and how all of them end."""

import asyncio

from sojourn.live.ingest import Ingest
from sojourn.live.refusals import Refusal
from sojourn.reading.entries import is_session_id
from sojourn.web.access import Access
from sojourn.web.connection import Connection, Event, Receive, Send
from sojourn.web.errors import STATUSES, answer


class Streams:
    """All open WebSockets of this process; the ASGI application of their route."""

    def __init__(self, ingest: Ingest, access: Access) -> None:
        self.ingest, self.access = ingest, access
        self.open: set[Connection] = set()
        self.going_down: Refusal | None = None

    async def __call__(self, scope: Event, receive: Receive, send: Send) -> None:
        """Serve one WebSocket to its end; a request that is none is told so."""
        session_id = scope["path_params"]["session_id"]
        if scope["type"] == "http":
            said = f"sessions stream here over a WebSocket; without one, POST to /v1/sessions/{session_id}/events"
            told = answer(Refusal("no_websocket", "$", said), STATUSES["no_websocket"])
            told.headers["Upgrade"] = "websocket"
            await told(scope, receive, send)
            return
        await receive()
        await send({"type": "websocket.accept", "subprotocol": self.access.subprotocol(scope)})
        connection = Connection(self.ingest, session_id, receive, send)
        why = self._refusal(scope, session_id)
        if why is not None:
            self.ingest.telemetry.refused.labels(why.code).inc()
            await connection.end(why)
            return
        self.open.add(connection)
        try:
            await connection.serve()
        finally:
            self.open.discard(connection)

    def _refusal(self, scope: Event, session_id: str) -> Refusal | None:
        """Why this client may not stream this session."""
        if self.going_down is not None:
            return self.going_down
        if not is_session_id(session_id):
            return Refusal("bad_session_id", "$", "a session's id is 1 to 128 of A-Z a-z 0-9 . _ ~ -")
        if (denied := self.access.denied(scope, "ingest", session_id)) is not None:
            return denied
        if len(self.open) >= self.ingest.limits.max_connections and not self.ingest.is_streamed(session_id):
            said = f"{self.ingest.limits.max_connections} clients are connected, which is the limit; try again later"
            return Refusal("too_many", "$", said)
        return None

    async def close_idle(self) -> None:
        """Close connections that were silent for too long; for good, in a task of its own."""
        idle = self.ingest.limits.idle
        said = Refusal("idle", "$", f"nothing came for {idle:g} s; connect again to go on")
        loop = asyncio.get_running_loop()
        while True:
            await asyncio.sleep(min(1.0, idle / 4))
            latest = loop.time() - idle
            for connection in [one for one in self.open if one.heard < latest and one.is_silent]:
                connection.replaced(said)

    async def drain(self, seconds: float) -> None:
        """Take no more messages, acknowledge what is on its way, and close every connection."""
        self.going_down = Refusal("going_down", "$", "the server is going down; connect again to go on")
        endings = [asyncio.ensure_future(connection.drain(self.going_down)) for connection in self.open]
        if endings:
            await asyncio.wait(endings, timeout=seconds)
