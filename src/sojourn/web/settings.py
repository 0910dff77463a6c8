"""What `sojourn serve` was told, checked."""

import os
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sojourn.errors import UsageError
from sojourn.live.ingest import Limits
from sojourn.pipeline import parse_size
from sojourn.times import parse_duration
from sojourn.web.access import Access, Grant, read_tokens

_SIZES = ("max_message", "max_body", "max_waiting")
_ORIGIN = re.compile(r"\*|https?://[^/\s?#]+")
_COUNTS = ("max_entries", "max_in_flight", "max_connections")


@dataclass(frozen=True)
class Settings:
    """How to serve. *publish_every*: seconds, 0 for never."""

    home: str | None = None
    store: str | None = None
    host: str = "127.0.0.1"
    port: int = 8000
    access: Access = field(default_factory=Access)
    limits: Limits = field(default_factory=Limits)
    publish_every: float = 60.0


def read(
    *,
    home: str | None,
    store: str | None,
    host: str,
    port: int,
    tokens: str | None,
    cors: tuple[str, ...],
    publish_every: str,
    idle: str,
    **limits: Any,
) -> Settings:
    """Settings from the words of a command; a `UsageError` says which of them is wrong."""
    sizes = {name: _size(limits[name], name) for name in _SIZES}
    counts = {name: limits[name] for name in _COUNTS}
    if sizes["max_waiting"] < max(sizes["max_message"], sizes["max_body"]):
        said = "a message or a body could never be taken; give --max-waiting more, or --max-message and --max-body less"
        raise UsageError("bad_size", f"--max-waiting {limits['max_waiting']}: {said}")
    for origin in cors:
        if _ORIGIN.fullmatch(origin) is None:
            raise UsageError("bad_origin", f"--cors: {origin!r} is no origin; write one such as https://shop.example")
    silence = _seconds(idle, "idle")
    if not silence:
        raise UsageError("bad_duration", "--idle: give clients some time, such as 5m")
    every = 0.0 if publish_every.strip() == "0" else _seconds(publish_every, "publish-every")
    return Settings(
        home=home,
        store=store,
        host=host,
        port=port,
        access=Access(_tokens(tokens), cors),
        limits=Limits(**sizes, **counts, idle=silence),
        publish_every=every,
    )


def _tokens(file: str | None) -> dict[bytes, Grant]:
    if file is None:
        return read_tokens(os.environ.get("SOJOURN_TOKENS", ""), "SOJOURN_TOKENS")
    try:
        text = Path(file).read_text(encoding="utf-8")
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "it is not UTF-8 text"
        raise UsageError("bad_tokens", f"--tokens: cannot read {file}: {reason}") from error
    found = read_tokens(text, file)
    if not found:
        raise UsageError("bad_tokens", f"--tokens: {file} holds no token; write one a line")
    return found


def _size(text: str, name: str) -> int:
    try:
        return parse_size(text)
    except ValueError as error:
        raise UsageError("bad_size", f"--{name.replace('_', '-')}: {error}") from error


def _seconds(text: str, name: str) -> float:
    try:
        return parse_duration(text) / 1_000_000
    except ValueError as error:
        raise UsageError("bad_duration", f"--{name}: {error}") from error
