"""Who may do what: bearer tokens with scopes, and pages of which other origins.

A token is text without white space and commas: alone it may do everything; `TOKEN:ingest` and `TOKEN:read`
may do that, `TOKEN:ingest+read:SESSION` both for one session.
"""

import re
from collections.abc import Iterable, Mapping
from hashlib import sha256
from ipaddress import ip_address
from typing import Any

import msgspec

from sojourn.errors import UsageError
from sojourn.live.refusals import Refusal
from sojourn.reading.entries import is_session_id

SCOPES = ("ingest", "read")
PROTOCOL = "sojourn"
"""The subprotocol to offer beside `bearer.TOKEN` where a browser opens the socket."""

COOKIE = "sojourn_token"
"""Where a browser keeps the token that a person gave to the dashboard."""

_TOKEN = re.compile(r"(?P<token>[A-Za-z0-9._~+/=-]+)(?::(?P<scopes>[a-z+]*)(?::(?P<session>.+))?)?", re.ASCII)


class Grant(msgspec.Struct, frozen=True):
    """What a token allows: *scopes*, for one session only when *session_id* says which."""

    scopes: tuple[str, ...] = SCOPES
    session_id: str | None = None


class Access:
    """The tokens by their digest, and the *origins* whose pages may ask; no tokens at all: everybody may."""

    def __init__(self, grants: Mapping[bytes, Grant] | None = None, origins: Iterable[str] = ()) -> None:
        self.grants = dict(grants or {})
        self.origins = tuple(origins)

    def denied(self, scope: Mapping[str, Any], wanted: str, session_id: str | None = None) -> Refusal | None:
        """Why an ASGI request may not do what the scope *wanted* says, to one session or to all; None: it may."""
        headers = dict(scope["headers"])
        if not self._is_ours(headers):
            said = "pages of other origins may neither ask nor connect; name theirs with serve --cors"
            return Refusal("other_origin", "$", said)
        if not self.grants:
            # a page elsewhere can have its own name lead here: without tokens nobody is served under such a name
            said = "without tokens the service answers as localhost alone; set SOJOURN_TOKENS"
            return None if is_local(_host(headers)) else Refusal("other_origin", "$", said)
        return self.denied_token(_bearer(headers, scope) or _kept(headers, scope, wanted), wanted, session_id)

    def denied_token(self, token: str | None, wanted: str, session_id: str | None = None) -> Refusal | None:
        """Why who holds *token* may not do that; None: it may."""
        grant = self.grants.get(_digest(token or ""))  # by digest: how long the look takes says nothing of the token
        if grant is None:
            said = "this token is not known here" if token else "a token is needed: Authorization: Bearer TOKEN"
            return Refusal("bad_token", "$", said)
        if wanted not in grant.scopes:
            return Refusal("forbidden", "$", f"this token may {' and '.join(grant.scopes)}, not {wanted}")
        if grant.session_id not in (None, session_id):
            return Refusal("forbidden", "$", f"this token is for the session {grant.session_id} alone")
        return None

    def subprotocol(self, scope: Mapping[str, Any]) -> str | None:
        """The subprotocol to answer with: browsers close a socket that answers none of those they offered."""
        offered: list[str] = scope.get("subprotocols", [])
        return PROTOCOL if PROTOCOL in offered else next(iter(offered), None)

    def _is_ours(self, headers: Mapping[bytes, bytes]) -> bool:
        """Whether a browser's page, if it is one that asks, may."""
        origin = headers.get(b"origin")
        if origin is None or "*" in self.origins or origin.decode("latin-1") in self.origins:
            return True
        return origin.partition(b"://")[2] == headers.get(b"host")


def is_local(host: str) -> bool:
    """Whether *host* names this machine alone."""
    try:
        return ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host in ("", "localhost") or host.endswith(".localhost")


def _host(headers: Mapping[bytes, bytes]) -> str:
    """The name that was asked for, without its port."""
    return re.sub(r":\d*$", "", headers.get(b"host", b"").decode("latin-1")).lower()


def read_tokens(text: str, where: str) -> dict[bytes, Grant]:
    """The tokens in *text*, apart by white space or commas; `#` begins a comment. Raises `UsageError`."""
    lines = (line.partition("#")[0] for line in text.splitlines())
    return dict(
        _grant(word, at, where) for at, word in enumerate(re.split(r"[\s,]+", " ".join(lines).strip()), 1) if word
    )


def _grant(word: str, at: int, where: str) -> tuple[bytes, Grant]:
    found = _TOKEN.fullmatch(word)  # what stands there is secret: an error names its place alone
    if found is None:
        said = "is no token; write letters, digits or ._~+/=-, then :ingest, :read or :ingest+read, and "
        raise UsageError("bad_tokens", f"{where}: number {at} {said}:SESSION for one session only")
    scopes = tuple(found["scopes"].split("+")) if found["scopes"] else SCOPES
    if not set(scopes) <= set(SCOPES):
        raise UsageError("bad_tokens", f"{where}: number {at} has an unknown scope; scopes are ingest and read")
    if found["session"] is not None and not is_session_id(found["session"]):
        raise UsageError("bad_tokens", f"{where}: number {at} names no session")
    return _digest(found["token"]), Grant(scopes, found["session"])


def _bearer(headers: Mapping[bytes, bytes], scope: Mapping[str, Any]) -> str | None:
    scheme, _, token = headers.get(b"authorization", b"").decode("latin-1").partition(" ")
    if scheme.lower() == "bearer" and token:
        return token.strip()
    offered = [name.removeprefix("bearer.") for name in scope.get("subprotocols", []) if name.startswith("bearer.")]
    return offered[0] if offered else None


def _kept(headers: Mapping[bytes, bytes], scope: Mapping[str, Any], wanted: str) -> str | None:
    """The token in a browser's cookie, which counts for looking only: no other site gains by sending it."""
    if scope["type"] != "http" or scope["method"] not in ("GET", "HEAD") or wanted != "read":
        return None
    cookies = (part.strip().partition("=") for part in headers.get(b"cookie", b"").decode("latin-1").split(";"))
    return next((value.strip('"') for name, _, value in cookies if name == COOKIE), None)


def _digest(token: str) -> bytes:
    return sha256(token.encode("utf-8", "surrogateescape")).digest()
