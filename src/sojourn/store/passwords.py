"""Passwords in the addresses of databases: nothing that we say holds one."""

import re
from urllib.parse import parse_qs, unquote, urlsplit


def passwords_in(url: str) -> list[str]:
    """What must never be printed: the password, as written and as meant."""
    try:
        parts = urlsplit(url)
        given = [parts.password or "", *parse_qs(parts.query).get("password", [])]
    except ValueError:
        given = re.findall(r"//[^:]*:(.*)@", url)
    return sorted({form for secret in given if secret for form in (secret, unquote(secret))}, key=len, reverse=True)


def without(passwords: list[str], text: str) -> str:
    """A driver's message in one line, without any part of a password."""
    for secret in passwords:
        text = text.replace(secret, "***")
    text = re.sub(
        r'"[^"\s]*@|(?<=percent-encoded token: ")[^"]*', lambda found: '"' * found[0].startswith('"') + "***", text
    )
    return " ".join(text.split()).rstrip(". ")[:300]
