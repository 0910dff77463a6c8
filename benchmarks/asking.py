"""Clients that ask over HTTP, all in this process: each sends a request, waits for the answer, sends the next.

    python -m benchmarks.asking PORT PATH CONNECTIONS SECONDS

Prints one JSON object: answers within SECONDS, and milliseconds to an answer (median, p99).
"""

import asyncio
import json
import sys
import time
from typing import cast

import uvloop


class Client(asyncio.Protocol):
    """One connection that is kept open."""

    def __init__(self, request: bytes, waits: list[float]) -> None:
        self.request, self.waits = request, waits
        self.transport: asyncio.Transport | None = None
        self.received, self.expected, self.sent = 0, 0, 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Ask."""
        self.transport = cast("asyncio.Transport", transport)  # uvloop's is none of asyncio's classes
        self.ask()

    def ask(self) -> None:
        """Send the request."""
        assert self.transport is not None, "connected before"
        self.received, self.expected, self.sent = 0, 0, time.perf_counter()
        self.transport.write(self.request)

    def data_received(self, data: bytes) -> None:
        """Ask again once the answer is whole; its first piece holds the header."""
        if not self.received:
            header, _, _ = data.partition(b"\r\n\r\n")
            if not header.startswith(b"HTTP/1.1 200"):
                raise RuntimeError(header[:200].decode())
            length = header.lower().partition(b"content-length:")[2].partition(b"\r\n")[0]
            self.expected = len(header) + 4 + int(length)
        self.received += len(data)
        if self.received >= self.expected:
            self.waits.append(time.perf_counter() - self.sent)
            self.ask()


async def ask(port: int, path: str, connections: int, seconds: float) -> dict[str, float]:
    """Ask for so long, and say how it went."""
    waits: list[float] = []
    request = f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".encode()
    loop = asyncio.get_running_loop()
    for _ in range(connections):
        await loop.create_connection(lambda: Client(request, waits), "127.0.0.1", port)
    waits.clear()
    began = time.perf_counter()
    await asyncio.sleep(seconds)
    took, found = time.perf_counter() - began, sorted(waits)
    return {
        "answers": len(found),
        "seconds": took,
        "median_ms": found[len(found) // 2] * 1000,
        "p99_ms": found[len(found) * 99 // 100] * 1000,
    }


def main() -> None:
    """Parse, ask, print."""
    port, path, connections, seconds = sys.argv[1:]
    print(json.dumps(uvloop.run(ask(int(port), path, int(connections), float(seconds)))), flush=True)


if __name__ == "__main__":
    main()
