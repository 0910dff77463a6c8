"""Pages: templates filled in, with the headers that keep a browser from running anything but our own."""

from collections.abc import Callable, Coroutine
from functools import cache
from importlib import resources
from typing import Any

import xxhash
from fastapi import Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import RedirectResponse
from fastapi.routing import APIRoute
from starlette.exceptions import HTTPException

from sojourn.errors import SojournError, as_ours
from sojourn.web.access import COOKIE
from sojourn.web.dashboard import templates
from sojourn.web.errors import STATUSES, Refused, http_error, refused, status_of
from sojourn.web.service import Service

POLICY = (
    "default-src 'none'; img-src 'self' data:; style-src 'self'; script-src 'self'; connect-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
HEADERS = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
}
NAVIGATION = (
    ("overview", "Overview", "/"),
    ("sessions", "Sessions", "/sessions"),
    ("orders", "Orders", "/orders"),
    ("activity", "Activity", "/activity"),
    ("fleet", "Fleet", "/fleet"),
    ("experiments", "Experiments", "/experiments"),
    ("live", "Live", "/live"),
    ("quarantine", "Quarantine", "/quarantine"),
)
"""The views: name, what they are called, and where."""

_API = ("/v1/", "/health", "/telemetry", "/openapi.json")
_MEDIA = {"css": "text/css; charset=utf-8", "js": "text/javascript; charset=utf-8", "svg": "image/svg+xml"}

Handler = Callable[[Request], Coroutine[Any, Any, Response]]


class PageRoute(APIRoute):
    """A route that answers people: errors are pages, too, and every answer has our headers."""

    def get_route_handler(self) -> Handler:
        """The handler, wrapped."""
        handle = super().get_route_handler()

        async def answer(request: Request) -> Response:
            try:
                response = await handle(request)
            except (SojournError, Refused, RequestValidationError, OSError, MemoryError) as error:
                response = faulty(request, error)
            response.headers.update(HEADERS)
            return response

        return answer


def page(request: Request, template: str, status: int = 200, /, **given: Any) -> Response:
    """The page that *template* and what is *given* make."""
    service: Service = request.app.state.service
    service.is_looked_at = True
    common = {
        "path": request.url.path,
        "view": "",
        "navigation": NAVIGATION,
        "asset": asset_url,
        "has_live": service.ingest is not None,
        "is_signed_in": bool(service.access.grants) and COOKIE in request.cookies,
    }
    text = templates.filled(template, **{**common, **given})
    headers = {"Cache-Control": "private, no-cache", "Vary": "Cookie, Authorization"}
    return Response(text, status, headers, "text/html; charset=utf-8")


def faulty(request: Request, error: Exception) -> Response:
    """The page for what went wrong: the form for a token where one is missing, else what would work."""
    if isinstance(error, Refused):
        code, said = error.refusal.code, error.refusal.message
        status = STATUSES.get(code, 503)
    elif isinstance(error, RequestValidationError):
        first = error.errors()[0]
        code, said, status = "bad_request", f"{first['loc'][-1]}: {first['msg']}", 422
    else:
        ours = as_ours(error)
        code, said, status = ours.code, ours.message, status_of(ours)
    if code == "bad_token":
        is_elsewhere = request.headers.get("sec-fetch-site") == "cross-site"
        said = said if COOKIE in request.cookies or "authorization" in request.headers else ""  # the form says it
        given = {"title": "Sign in", "said": said, "to": _here(request), "is_elsewhere": is_elsewhere}
        return page(request, "sign_in.html", 401, **given)
    return page(request, "fault.html", status, title="That did not work", code=code, said=said)


async def nowhere(request: Request, error: HTTPException) -> Response:
    """What no route answers: to a browser a page, to the clients of the API what they know."""
    is_page = "text/html" in request.headers.get("accept", "") and not request.url.path.startswith(_API)
    if error.status_code != 404 or not is_page:
        return await http_error(request, error)
    said = "Nothing is at this address. The views above are what there is."
    response = page(request, "fault.html", 404, title="Nothing is here", code="not_found", said=said)
    response.headers.update(HEADERS)
    return response


def redirect(to: str) -> Response:
    """Go on to a page of ours."""
    return RedirectResponse(to, 303)


def asset(name: str, version: str) -> Response:
    """A file of ours that pages link; kept for good under an address that changes with it."""
    content = _assets().get(name)
    if content is None:
        raise refused("unknown_table", f"there is no file {name}")
    lasting = version == _version(content)
    headers = {"Cache-Control": "public, max-age=31536000, immutable" if lasting else "no-cache"}
    return Response(content, headers=headers, media_type=_MEDIA[name.rpartition(".")[2]])


def asset_url(name: str) -> str:
    """The address of a file of ours."""
    return f"/static/{name}?v={_version(_assets()[name])}"


def asset_text(name: str) -> str:
    """What stands in a file of ours."""
    return _assets()[name].decode()


@cache
def _assets() -> dict[str, bytes]:
    folder = resources.files("sojourn.web.dashboard") / "static"
    return {file.name: file.read_bytes() for file in folder.iterdir() if file.name.rpartition(".")[2] in _MEDIA}


def _version(content: bytes) -> str:
    return xxhash.xxh3_64_hexdigest(content)


def _here(request: Request) -> str:
    return request.url.path + (f"?{request.url.query}" if request.url.query else "")
