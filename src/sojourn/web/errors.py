"""One shape for every error that the service answers, and the HTTP status of each code."""

import logging
from collections.abc import Awaitable, Callable, Mapping
from http import HTTPStatus
from typing import Any

import msgspec
from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException
from starlette.routing import Match
from starlette.types import Receive, Scope, Send
from starlette.websockets import WebSocket

from sojourn.errors import SojournError, UsageError, as_ours
from sojourn.live.refusals import ANSWERS, Refusal

STATUSES = {
    "not_published": 404,
    "unknown_metric": 404,
    "unknown_table": 404,
    "unknown_pipeline": 404,
    "unknown_run": 404,
    "unknown_session": 404,
    "missing_table": 404,
    "bad_token": 401,
    "forbidden": 403,
    "other_origin": 403,
    "too_many": 429,
    "taken_over": 409,
    "unsupported_type": 415,
    "bad_request": 400,
    "bad_session_id": 400,
    "bad_cursor": 400,
    "bad_filter": 400,
    "unknown_column": 400,
    "begin_again": 410,
    "deleted": 410,
    "timeout": 408,
    "no_websocket": 426,
    "internal": 500,
} | {code: answer.status for code, answer in ANSWERS.items()}
"""HTTP status by code. A `UsageError` without an entry is 400; any other error of ours is 503: the request was fine."""

_PLACES = {
    "unknown_metric": "$.path.name",
    "unknown_pipeline": "$.path.pipeline",
    "unknown_table": "$.path.table",
    "unknown_reason": "$.query.reason",
}
"""Where in a request stands what the other layers know by their own names only."""

_RETRY = {"Retry-After": "1"}
_METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")


class Error(BaseModel):
    """Why a request was refused: a stable *code*, a *path* to the place in the request, words for people."""

    type: str = Field("error", examples=["error"])
    code: str = Field(examples=["not_published"])
    path: str = Field(examples=["$"])
    message: str = Field(examples=["nothing is published by webshop yet; begin with: sojourn run webshop FILE"])
    seq: int | None = Field(
        None, examples=[4], description="The session's last message that is stored, where that matters"
    )
    line: int | None = Field(None, examples=[5], description="The line that was refused, where many were sent")


class Refused(Exception):  # noqa: N818 - it carries what was refused, and is answered, never seen
    """Carries a refusal of a request out to where it is answered."""

    def __init__(self, refusal: Refusal, **more: object) -> None:
        super().__init__(refusal.message)
        self.refusal, self.more = refusal, more


def refused(code: str, message: str, path: str = "$") -> Refused:
    """The refusal of a request, to raise."""
    return Refused(Refusal(code, path, message))


def body(refusal: Refusal, more: Mapping[str, object] | None = None) -> dict[str, Any]:
    """A refusal as what a client reads, on a socket too."""
    return {"type": "error", "code": refusal.code, "path": refusal.path, "message": refusal.message, **(more or {})}


def responses(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """The documentation of these statuses as errors."""
    return {status: {"model": Error, "description": HTTPStatus(status).phrase} for status in statuses}


def answer(refusal: Refusal, status: int, more: Mapping[str, object] | None = None) -> Response:
    """The HTTP answer that refuses a request."""
    headers = dict(_RETRY) if status in (429, 503) else {}
    if status == 401:
        headers["WWW-Authenticate"] = "Bearer"
    content = msgspec.json.encode(body(refusal, more))
    return Response(content, status, headers=headers, media_type="application/json")


def handle_errors(app: FastAPI) -> None:
    """Answer every error in the one shape."""
    handlers: dict[type[Exception], Callable[[Request, Any], Awaitable[Response]]] = {
        Refused: _refused,
        SojournError: _ours,
        OSError: _ours,
        MemoryError: _ours,
        RequestValidationError: _invalid,
        HTTPException: http_error,
        Exception: _unexpected,
    }
    for kind, handler in handlers.items():
        app.add_exception_handler(kind, handler)
    otherwise = app.router.default

    async def nowhere(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "websocket" and "websocket.http.response" in scope.get("extensions", {}):
            said = f"no WebSocket is at {scope['path']}; sessions stream at /v1/sessions/ID/stream"
            denial = answer(Refusal("not_found", "$", said), 404)
            await WebSocket(scope, receive, send).send_denial_response(denial)
        else:
            await otherwise(scope, receive, send)

    app.router.default = nowhere


def status_of(error: SojournError) -> int:
    """The HTTP status that *error* is answered with."""
    return STATUSES.get(error.code, 400 if isinstance(error, UsageError) else 503)


async def _refused(_: Request, error: Refused) -> Response:
    return answer(error.refusal, STATUSES.get(error.refusal.code, 503), error.more)


async def _ours(_: Request, error: Exception) -> Response:
    ours = as_ours(error)
    status = status_of(ours)
    if status >= 500:
        logging.getLogger(__name__).error("%s [%s]", ours.message, ours.code)
    return answer(Refusal(ours.code, _PLACES.get(ours.code, "$"), ours.message), status)


async def _invalid(_: Request, error: RequestValidationError) -> Response:
    first = error.errors()[0]
    place = ".".join(map(str, first["loc"]))
    return answer(Refusal("bad_request", f"$.{place}", f"{place}: {first['msg']}"), 422)


async def http_error(request: Request, error: HTTPException) -> Response:
    """What no route answers: an unknown address or method."""
    path, headers = request.url.path, dict(error.headers or {})
    if error.status_code == 404:
        code, said = "not_found", f"there is nothing at {path}; see /docs"
    elif error.status_code == 405:
        known = _known_methods(request)
        code, said = "bad_method", f"{path} does not know {request.method}; it knows {', '.join(known)}"
        headers["Allow"] = ", ".join(known)
    else:
        code, said = "bad_request", str(error.detail)
    told = answer(Refusal(code, "$", said), error.status_code)
    told.headers.update(headers)
    return told


def _known_methods(request: Request) -> list[str]:
    """What may be done at the request's path, by all routes together."""
    routes = request.app.routes
    known = [
        method
        for method in _METHODS
        if any(route.matches({**request.scope, "method": method})[0] is Match.FULL for route in routes)
    ]
    return ["GET", "HEAD", *known[1:]] if known[:1] == ["GET"] else known


async def _unexpected(_: Request, __: Exception) -> Response:  # the server logs it
    return answer(Refusal("internal", "$", "this is a fault in Sojourn; its log says more"), 500)
