"""Many clients that say nothing, in a process of their own.

    python -m tests.service.live.crowd PORT COUNT

Opens COUNT WebSockets, each to a session of its own, prints how many were welcomed, and stays until its input ends.
"""

import asyncio
import resource
import sys

from tests.service.live.raw import head


async def one(port: int, number: int, gate: asyncio.Semaphore) -> asyncio.StreamWriter | None:
    """A client that was welcomed."""
    async with gate:
        reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=1 << 12)
        writer.write(head(f"crowd-{number}"))
        answered = await reader.readuntil(b"\r\n\r\n")
        size = (await reader.readexactly(2))[1]
        frame = await reader.readexactly(int.from_bytes(await reader.readexactly(2), "big") if size == 126 else size)
        return writer if b" 101 " in answered and b'"welcome"' in frame else None


async def main(port: int, count: int) -> None:
    """All of them."""
    gate = asyncio.Semaphore(100)
    found = await asyncio.gather(*(one(port, number, gate) for number in range(count)))
    print(sum(writer is not None for writer in found), flush=True)
    await asyncio.to_thread(sys.stdin.read)
    for writer in found:
        if writer is not None:
            writer.transport.abort()


if __name__ == "__main__":
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    asyncio.run(main(int(sys.argv[1]), int(sys.argv[2])))
