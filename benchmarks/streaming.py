"""Clients that stream sessions, all in this process: each sends a message, waits for the answer, sends the next.

    python -m benchmarks.streaming PORT CONNECTIONS EVENTS SECONDS [PREFIX]

Prints one JSON object: messages answered within SECONDS, and milliseconds from a message to its answer
(median, p99). The same frames go to any server: one that sends them back, and one that acknowledges them.
"""

import asyncio
import itertools
import json
import resource
import sys
import time

import uvloop
from picows import WSFrame, WSListener, WSMsgType, WSTransport, ws_connect

_START = 1_569_972_082


class Client(WSListener):
    """One session that is streamed."""

    def __init__(self, session_id: str, events: int, waits: list[float]) -> None:
        self.session_id, self.events, self.waits = session_id, events, waits
        self.sent, self.answers, self.is_running = 0.0, 0, False
        self.ready = asyncio.get_running_loop().create_future()
        self.messages = (self._message(number) for number in itertools.count())
        self.transport: WSTransport | None = None

    def on_ws_connected(self, transport: WSTransport) -> None:
        """Begin the session: whoever welcomes or echoes, an answer comes."""
        self.transport = transport
        start = {"timestamp": _START, "type": "SESSION_START", "session_id": self.session_id}
        transport.send(WSMsgType.TEXT, json.dumps([start]).encode())

    def on_ws_frame(self, _: WSTransport, frame: WSFrame) -> None:
        """An answer: send the next message."""
        if frame.msg_type != WSMsgType.TEXT:
            self.is_running = False
            return
        if b'"welcome"' in frame.get_payload_as_bytes():
            return
        if not self.ready.done():
            self.ready.set_result(None)
        if self.is_running:
            now = time.perf_counter()
            self.waits.append(now - self.sent)
            self.send(now)

    def send(self, now: float) -> None:
        """Send a message."""
        self.sent = now
        assert self.transport is not None, "connected before"
        self.transport.send(WSMsgType.TEXT, next(self.messages))

    def _message(self, number: int) -> bytes:
        first = _START + number * self.events
        events = [
            {"timestamp": first + at, "type": "EVENT", "name": "cart_load", "product": f"p-{at}"}
            for at in range(self.events)
        ]
        return json.dumps(events).encode()


async def stream(port: int, connections: int, events: int, seconds: float, prefix: str) -> dict[str, float]:
    """Stream for so long, and say how it went."""
    waits: list[float] = []
    clients: list[Client] = []
    for first in range(0, connections, 100):
        names = [f"{prefix}-{at}" for at in range(first, min(first + 100, connections))]
        fresh = [Client(name, events, waits) for name in names]
        address = f"ws://127.0.0.1:{port}/v1/sessions"
        await asyncio.gather(
            *(
                ws_connect(lambda one=one: one, f"{address}/{one.session_id}/stream", websocket_handshake_timeout=30)
                for one in fresh
            )
        )
        clients += fresh
    await asyncio.gather(*(client.ready for client in clients))
    waits.clear()
    began = time.perf_counter()
    for client in clients:
        client.is_running = True
        client.send(time.perf_counter())
    await asyncio.sleep(seconds)
    took, found = time.perf_counter() - began, sorted(waits)
    lost = sum(not client.is_running for client in clients)
    for client in clients:
        client.is_running = False
    return {
        "messages": len(found),
        "seconds": took,
        "median_ms": found[len(found) // 2] * 1000,
        "p99_ms": found[len(found) * 99 // 100] * 1000,
        "lost": lost,
    }


def main() -> None:
    """Parse, stream, print."""
    port, connections, events, seconds, *prefix = sys.argv[1:]
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    found = uvloop.run(stream(int(port), int(connections), int(events), float(seconds), *(prefix or ["s"])))
    print(json.dumps(found), flush=True)


if __name__ == "__main__":
    main()
