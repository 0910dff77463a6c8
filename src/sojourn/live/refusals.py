"""Why a message is refused, and how that ends a conversation: one table."""

from typing import NamedTuple

import msgspec


class Answer(NamedTuple):
    """How a refusal ends a conversation: the close code of a WebSocket, the status of an HTTP answer."""

    close: int
    status: int


ANSWERS = {
    "too_large": Answer(1009, 413),
    "invalid_utf8": Answer(1007, 400),
    "invalid_json": Answer(4400, 400),
    "empty": Answer(4400, 422),
    "not_an_object": Answer(4400, 422),
    "missing_field": Answer(4400, 422),
    "unknown_field": Answer(4400, 422),
    "bad_type": Answer(4400, 422),
    "bad_time": Answer(4400, 422),
    "unknown_value": Answer(4400, 422),
    "other_session": Answer(4400, 422),
    "not_started": Answer(4400, 422),
    "other_start": Answer(4400, 409),
    "other_content": Answer(4400, 409),
    "gap": Answer(4409, 409),
    "ended": Answer(4410, 410),
}
"""Every code of a `Refusal`. What a file's record may break too has the name that the quarantine gives it."""


class Refusal(msgspec.Struct, frozen=True):
    """Why a message is not taken: a stable *code* of `ANSWERS`, a *path* into the message, words for people."""

    code: str
    path: str
    message: str
