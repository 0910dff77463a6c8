"""A pipeline: one TOML file that says what to read, what to keep, and which tables to publish.

Everything is frozen and checked when it is loaded; whatever is wrong is a `UsageError` in one sentence.
"""

import difflib
import re
from collections.abc import Mapping
from typing import Any, Literal

import msgspec
from msgspec import Struct

FieldType = Literal["text", "integer", "number", "boolean", "time", "labels"]
TABLES: dict[str, tuple[str, ...]] = {
    "sessions": (),
    "session_durations_by_referrer": (),
    "referrer_differences": (),
    "experiment_users": ("actor", "experiments"),
    "experiments": (),
    "event_counts": (),
    "user_activity": ("actor", "name", "url"),
    "hourly_activity": ("url",),
    "transitions": ("actor", "name", "url"),
    "pages": ("url", "session_key"),
    "presence": ("device_id", "user_id", "server_id", "connected"),
    "fleet_daily": (),
    "fleet_rolling_28d": (),
    "fleet_projection": (),
    "repairs": (),
    "device_uptime": (),
}
"""Tables that a pipeline can publish -> the fields they need. Each comes after those it is made from."""

MADE_FROM = {
    "session_durations_by_referrer": ("sessions",),
    "referrer_differences": ("sessions",),
    "experiment_users": ("sessions",),
    "experiments": ("experiment_users",),
    "fleet_daily": ("presence",),
    "fleet_rolling_28d": ("presence",),
    "fleet_projection": ("fleet_daily", "fleet_rolling_28d"),
    "repairs": ("presence",),
    "device_uptime": ("presence",),
}
"""Tables that are made from other published tables -> those."""

SOURCES = {"events": ("occurred_at",), "servers": ("id", "created_at", "destroyed_at")}
"""What a pipeline can read -> the fields that the source must declare."""

DERIVED = {"url": ("url_level1", "url_level2", "url_level3", "url_page"), "referrer": ("referrer_host",)}
"""Columns that reading adds to events, by the field they come from."""

_SIZE = re.compile(r"(\d+(?:\.\d+)?)\s*(?:([KMGT])(i?)B?|B)", re.IGNORECASE)


class Field(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, omit_defaults=True):
    """One field that the pipeline reads. *path* are the keys that lead to it."""

    path: str | tuple[str, ...]
    type: FieldType = "text"
    required: bool = False
    values: tuple[str | int | float, ...] = ()
    formats: tuple[str, ...] = ()

    def keys(self, source_format: str) -> tuple[str, ...]:
        """The path as keys; in CSV and Parquet a path is one column's name."""
        if isinstance(self.path, tuple):
            return self.path
        return tuple(self.path.split(".")) if source_format in ("jsonl", "streams") else (self.path,)


STREAM_FIELDS = {
    "session_id": Field(path="session_id", required=True),
    "seq": Field(path="seq", type="integer", required=True),
    "position": Field(path="position", type="integer", required=True),
    "type": Field(path="type", required=True),
    "occurred_at": Field(path="timestamp", type="time", required=True, formats=("epoch_s",)),
    "name": Field(path="name"),
    "fingerprint": Field(path="fingerprint"),
}
"""Fields that every source of streams has. The first three are an entry's identity: its session, its message's number,
and its place in the message from 0. *fingerprint* tells the starts of a session from each other."""


class Source(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, omit_defaults=True):
    """Where records come from, and the contract they keep.

    *columns* names those of CSV files without a header line; *schema* is a JSON Schema, as text once
    it is loaded. *bots* are known by the field `user_agent`.
    """

    fields: dict[str, Field]
    format: Literal["jsonl", "csv", "parquet", "streams"] = "jsonl"
    timezone: str = "UTC"
    dedupe: Literal["id", "record", "off"] = "id"
    drop: tuple[Literal["anonymous"], ...] = ()
    bots: Literal["keep", "drop"] = "keep"
    strict: bool = False
    max_record: str = "16MiB"
    schema: str | None = None
    delimiter: str = ","
    columns: tuple[str, ...] = ()

    @property
    def identity(self) -> tuple[str, ...]:
        """The fields that make two records the same event; none when dedupe is off."""
        if self.format == "streams":
            return tuple(STREAM_FIELDS)[:3]
        return {"id": ("event_id",), "record": tuple(self.fields), "off": ()}[self.dedupe]

    @property
    def landed(self) -> dict[str, FieldType]:
        """The columns of landed events: the fields in declared order, then what is derived from them."""
        derived = [name for field in self.fields for name in DERIVED.get(field, ())]
        return {name: field.type for name, field in self.fields.items()} | dict.fromkeys(derived, "text")


class Suspect(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What no person does *within* so long a time: more *events* of one session, or more *sessions* of one actor."""

    events: int = 100
    sessions: int = 10
    within: str = "10s"


class Sessions(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """How events form sessions. *gap* is needed by the rule of that name, streams by the rule `markers`."""

    rule: Literal["gap", "key", "markers"]
    gap: str = "30m"
    goal: str | None = None
    own_hosts: tuple[str, ...] = ()
    suspect: Suspect = Suspect()


MULTIPLE = "multiple"
"""The variant of users who saw several."""


class Experiment(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Labels that are the *variants* of one experiment; *shares* say how users should be split between them."""

    variants: tuple[str, ...]
    control: str | None = None
    shares: tuple[float, ...] = ()


class Goal(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What a user reaches, by one of these: a view of a *page* (`*` stands for any text), an *event* of that name,
    so many *sessions*, so many page views in the first session.
    """

    page: str | None = None
    event: str | None = None
    sessions: int | None = None
    first_session_page_views: int | None = None


DEFAULT_GOALS = {"second_page_view": Goal(first_session_page_views=2), "more_than_one_session": Goal(sessions=2)}
"""The goals of a pipeline that states none."""


class Csv(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """How one table is written as CSV: the text of a null, and a strftime pattern for instants."""

    null: str = ""
    time: str | None = None


class Fleet(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """How fleets are counted: the least number of devices in each class, and the days that a rolling window spans."""

    classes: tuple[int, ...] = (1, 3, 10, 100, 1000)
    window_days: int = 28

    @property
    def labels(self) -> dict[int, str]:
        """Each class's least number of devices -> its name, such as `3-9` or `1000+`."""
        bounds = zip(self.classes, self.classes[1:], strict=False)
        names = {low: f"{low}-{above - 1}" if above - low > 1 else f"{low}" for low, above in bounds}
        return {**names, self.classes[-1]: f"{self.classes[-1]}+"}


class TableSettings(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Settings of one published table. *gap* is for `transitions`."""

    csv: Csv = Csv()
    gap: str = "30m"


class Pipeline(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A whole pipeline. *name* is the schema its tables are published under."""

    name: str
    title: str = ""
    source: dict[str, Source]
    sessions: Sessions | None = None
    bucket_timezone: str = "UTC"
    experiments: dict[str, Experiment] = {}
    goals: dict[str, Goal] = {}
    fleet: Fleet = Fleet()
    tables: dict[str, TableSettings] = {}

    @property
    def events(self) -> Source:
        """The source of events."""
        return self.source["events"]

    @property
    def counted_goals(self) -> dict[str, Goal]:
        """The goals of experiments, by name."""
        return self.goals or DEFAULT_GOALS

    def fingerprint(self) -> dict[str, Any]:
        """What decides how records are read, and thus what landed events hold."""
        plain: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(self.source))  # as stores give it back
        return plain

    def rules(self) -> dict[str, Any]:
        """What decides how tables are made of landed events."""
        tables = {name: settings.gap for name, settings in self.tables.items()}
        said = [self.sessions, self.bucket_timezone, self.experiments, self.counted_goals, self.fleet, tables]
        names = ("sessions", "bucket_timezone", "experiments", "goals", "fleet", "tables")
        plain: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(dict(zip(names, said, strict=True))))
        return plain


def parse_size(text: str) -> int:
    """Bytes of a size such as ``400MB`` or ``16MiB``; `ValueError` otherwise."""
    found = _SIZE.fullmatch(text.strip())
    power = " KMGT".index((found[2] or " ").upper()) if found is not None else 0
    size = float(found[1]) * (1024 if found[3] else 1000) ** power if found is not None else 0.0
    if not 1 <= size < 1 << 62:
        raise ValueError(f"{text!r} is not a size; write a number with a unit, such as 400MB or 2GB")
    return int(size)


def did_you_mean(word: str, known: Mapping[str, Any] | list[str]) -> str:
    """``, did you mean 'sessions'?`` when *word* is close to something known, else ``;``: a sentence goes on."""
    close = difflib.get_close_matches(word, list(known), n=1)
    return f", did you mean {close[0]!r}?" if close else ";"
