"""What a pipeline declares, as far as the reference needs it, and the order of its events.

Fields with a meaning bear these names: event_id, name, occurred_at, actor, session_key, url, referrer.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tests.reference.records import Contract, Field

if TYPE_CHECKING:
    from tests.reference.records import Event, Value

MINUTE = 60_000_000
GOALS: dict[str, tuple[str, str | int]] = {
    "second_page_view": ("first_session_page_views", 2),
    "more_than_one_session": ("sessions", 2),
}


@dataclass(frozen=True)
class Pipeline:
    """*dedupe*: id, record or off. *gap* in microseconds, *suspect* in events, sessions and microseconds.

    *experiments*: variants and control by name. *goals*: by name what is reached, as the pipeline's TOML says it.
    """

    name: str
    contract: Contract
    dedupe: str = "id"
    drop_anonymous: bool = False
    gap: int = 30 * MINUTE
    goal: str | None = None
    own_hosts: tuple[str, ...] = ()
    bucket_timezone: str = "UTC"
    suspect: tuple[int, int, int] = (100, 10, 10_000_000)
    experiments: dict[str, tuple[tuple[str, ...], str | None]] = field(default_factory=dict)
    goals: dict[str, tuple[str, str | int]] = field(default_factory=lambda: dict(GOALS))

    def has_field(self, name: str) -> bool:
        return any(field.name == name for field in self.contract.fields)


def order_of(event: Event, pipeline: Pipeline) -> tuple[tuple[int, Value | bytes], ...]:
    """The place of an event in the total order (semantics 2.2): sort by it."""
    declared = [field.name for field in pipeline.contract.fields]
    first = [name for name in ("occurred_at", "event_id") if name in declared]
    others = [name for name in declared if name not in first]
    return tuple(_comparable(event[name]) for name in first + others)


def in_order(events: list[Event], pipeline: Pipeline) -> list[Event]:
    """The events in the total order."""
    return sorted(events, key=lambda event: order_of(event, pipeline))


def _comparable(value: Value) -> tuple[int, Value | bytes]:
    """Nulls first, numbers numerically, text by its UTF-8 bytes."""
    if value is None:
        return 0, 0
    return 1, value.encode("utf-8") if isinstance(value, str) else value


WEBSHOP = Pipeline(
    "webshop",
    Contract(
        (
            Field("event_id", ("id",), required=True),
            Field("name", ("type",), required=True),
            Field("occurred_at", ("event", "timestamp"), "time", required=True),
            Field("actor", ("event", "customer-id")),
            Field("url", ("event", "page")),
            Field("referrer", ("event", "referrer")),
        )
    ),
    drop_anonymous=True,
    goal="placed_order",
)

ACTIVITY = Pipeline(
    "activity",
    Contract(
        (
            Field("event_id", ("event_id",), required=True),
            Field("name", ("action",), required=True),
            Field("occurred_at", ("timestamp",), "time", required=True, formats=("%d/%m/%Y %H:%M:%S",)),
            Field("actor", ("user", "id")),
            Field("url", ("url",)),
        )
    ),
)

PAGEVIEWS = Pipeline(
    "pageviews",
    Contract(
        (
            Field("session_key", ("sessionId",), required=True),
            Field("occurred_at", ("timestamp",), "time", required=True),
            Field("url", ("url",), required=True),
            Field("actor", ("userId",)),
        )
    ),
    dedupe="record",
)
