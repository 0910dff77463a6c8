"""The body of a request, within bounds of room and time."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import Request
from starlette.requests import ClientDisconnect

from sojourn.live.ingest import Ingest
from sojourn.web.errors import refused
from sojourn.web.service import Service

_PATIENCE = 30.0  # seconds for the next piece
_GOING_DOWN = "going_down", "the server is going down; send it again"


def too_large(most: int) -> tuple[str, str]:
    """What is said of a body of more than so many bytes."""
    return "too_large", f"a body has at most {most} bytes here; send less at once"


class _Receiving:
    """A body that is being received or waits for its turn (`live.room.Holder`)."""

    def __init__(self) -> None:
        self.must_go, self.patience = False, asyncio.timeout(_PATIENCE)

    def evict(self) -> None:
        self.must_go = True
        self.patience.reschedule(0)


@asynccontextmanager
async def receive(request: Request, ingest: Ingest, most: int) -> AsyncIterator[bytes]:
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
                    raise refused(*too_large(most))
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
