"""What answers over what is published share: JSON, tags, cursors, and a shape for `HEAD`."""

import base64
import json
from collections.abc import Sequence
from typing import Annotated, Any

import xxhash
from fastapi import Query, Request, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from sojourn import __version__, show
from sojourn.web.errors import refused

NOT_MODIFIED: dict[int | str, dict[str, Any]] = {304: {"description": "What `If-None-Match` names is still current"}}

IF_NONE_MATCH = {
    "name": "If-None-Match",
    "in": "header",
    "description": "`ETag` of an answer before",
    "schema": {"type": "string"},
    "example": '"41273e24c682d22bb43429778a121a16"',
}
"""Read by hand: sessions are asked for most, and each declared parameter costs that a twentieth of its time."""

FRESH = "private, no-cache"
"""How an answer with a tag is kept: by who asked alone, who asks again before using it."""

Text = Annotated[str, Query(pattern=r"^[^\x00]*$")]
"""A parameter that is looked for in a table: no store's text holds a NUL."""

Cursor = Annotated[
    str | None,
    Query(
        description="`next` of the page before; the other parameters stay as they were",
        examples=["WyIyMDI0MDMwNVQxMDAwMDAwMDAwMDAtMGExYjJjIiwgMTAwXQ"],
    ),
]
Limit = Annotated[int, Query(ge=1, le=10_000, description="How many at most", examples=[100])]


def as_json(content: object, headers: dict[str, str] | None = None) -> Response:
    """*content* as `sojourn ... --json` prints it."""
    return Response(show.dumps(content), headers=headers, media_type="application/json")


def tagged(request: Request, *parts: str) -> dict[str, str]:
    """The headers of an answer that is decided by what was asked for and *parts*, the runs it rests on."""
    asked = [__version__, request.url.path, sorted(request.query_params.multi_items()), *parts]
    tag = xxhash.xxh3_128_hexdigest(json.dumps(asked).encode())
    return {"ETag": f'"{tag}"', "Cache-Control": FRESH, "Vary": "Accept"}


def unchanged(request: Request, headers: dict[str, str]) -> Response | None:
    """The answer to a client that has what the tag in *headers* stands for; None where it has not."""
    known = [tag.strip().removeprefix("W/") for tag in request.headers.get("if-none-match", "").split(",")]
    return Response(status_code=304, headers=headers) if headers["ETag"] in known or "*" in known else None


def to_cursor(place: Sequence[str | int]) -> str:
    """The cursor of a page that begins after *place*."""
    return base64.urlsafe_b64encode(json.dumps(place).encode()).decode().rstrip("=")


def from_cursor(cursor: str, *kinds: type) -> list[Any]:
    """The place that a cursor stands for, values of these *kinds*; refused when it does not come from us."""
    try:
        padded = cursor.encode() + b"=" * (-len(cursor) % 4)
        place = json.loads(base64.b64decode(padded, b"-_", validate=True))
        if [type(part) for part in place] != list(kinds) or "\\u0000" in json.dumps(place):
            raise ValueError(place)
    except (ValueError, TypeError, RecursionError):
        raise refused("bad_cursor", "this cursor is none of ours; begin again without", "$.query.cursor") from None
    return list(place)


class HeadAsGet:
    """Answers `HEAD` as `GET` without the body, on every route."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http" or scope["method"] != "HEAD":
            await self.app(scope, receive, send)
            return

        is_answered = False

        async def without_body(message: Message) -> None:
            nonlocal is_answered
            if message["type"] != "http.response.body":
                await send(message)
            elif not is_answered:  # the answer ends here, also where a body would never end
                is_answered = True
                await send({"type": "http.response.body", "body": b"", "more_body": False})

        await self.app({**scope, "method": "GET"}, receive, without_body)
