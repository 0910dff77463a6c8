"""URL levels, hosts and pages (semantics 6.1 and 6.4)."""

from __future__ import annotations

import re

_ASCII_SPACE = " \t\n\r\x0b\x0c"
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://")


def levels(text: str | None) -> tuple[str | None, str | None, str | None]:
    """Host and the first two non-empty path segments; no text is an error."""
    if text is None:
        return None, None, None
    authority, path = _split(text)
    segments: list[str | None] = [segment for segment in path.split("/") if segment]
    second, third = [*segments, None, None][:2]
    return _host_of(authority), second, third


def host(text: str | None) -> str | None:
    """Level 1."""
    return levels(text)[0]


def page(text: str | None) -> str | None:
    """The path with one way to write it: a slash before it and, but for "/", none behind it."""
    if text is None:
        return None
    path = _split(text)[1].rstrip("/")
    return path if path.startswith("/") else "/" + path


def _split(text: str) -> tuple[str, str]:
    """(host with user and port, path); the first is empty where the text is only a path."""
    text = text.strip(_ASCII_SPACE)
    text = re.split(r"[?#]", text, maxsplit=1)[0]
    scheme = _SCHEME.match(text)
    if scheme is not None:
        rest = text[scheme.end() :]
    elif text.startswith("//"):
        rest = text[2:]
    elif "." in text.split("/")[0]:  # of "/a.html" the first segment is empty
        rest = text
    else:
        return "", text
    authority, slash, path = rest.partition("/")
    return authority, slash + path


def _host_of(authority: str) -> str | None:
    name = authority.rpartition("@")[2]
    is_ipv6 = name.startswith("[") and "]" in name
    name = name.partition("]")[0] + "]" if is_ipv6 else name.partition(":")[0]
    name = "".join(char.lower() if char.isascii() else char for char in name)
    return name.removeprefix("www.") or None
