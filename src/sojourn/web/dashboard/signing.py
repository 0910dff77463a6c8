"""Signing in: a browser sends no header of its own, so a token that may read is kept in a cookie."""

from urllib.parse import parse_qs, urlsplit

from fastapi import APIRouter, Request, Response

from sojourn.web.access import COOKIE
from sojourn.web.dashboard import pages
from sojourn.web.dashboard.pages import PageRoute
from sojourn.web.errors import refused
from sojourn.web.service import TheService

router = APIRouter(route_class=PageRoute, include_in_schema=False)

_MOST = 8192  # bytes of a form
_DAYS = 30


@router.post("/sign-in")
async def sign_in(request: Request, service: TheService) -> Response:
    """Keep a token that may read all sessions, and go on to where the person wanted to be."""
    form = await _form(request)
    to = _ours(form.get("to", "/"))
    if not service.access.grants:
        return pages.redirect(to)
    denied = service.access.denied_token(form.get("token", "").strip(), "read")
    if denied is not None:
        given = {"title": "Sign in", "said": denied.message, "to": to, "is_elsewhere": False}
        return pages.page(request, "sign_in.html", 401, **given)
    response = pages.redirect(to)
    response.set_cookie(
        COOKIE,
        form["token"].strip(),
        max_age=_DAYS * 86_400,
        httponly=True,
        samesite="strict",
        secure=request.url.scheme == "https",
    )
    return response


@router.post("/sign-out")
async def sign_out(request: Request) -> Response:
    """Forget the token."""
    await _form(request)
    response = pages.redirect("/")
    response.delete_cookie(COOKIE, httponly=True, samesite="strict")
    return response


async def _form(request: Request) -> dict[str, str]:
    """The fields of a form of ours; refused when another site's page sent it."""
    if request.headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none"):
        raise refused("other_origin", "this form was sent by another site")
    body = b""
    async for piece in request.stream():
        body += piece
        if len(body) > _MOST:
            raise refused("bad_request", "this form is too long")
    fields = parse_qs(body.decode("utf-8", "replace"), max_num_fields=20)
    return {name: texts[0] for name, texts in fields.items()}


def _ours(to: str) -> str:
    """*to* if it is the address of a page here, else the first page: nobody is sent elsewhere."""
    parts = urlsplit(to.replace("\\", "/"))
    is_here = not parts.scheme and not parts.netloc and parts.path.startswith("/") and not to.startswith("//")
    return to if is_here and to.isprintable() and "\\" not in to else "/"
