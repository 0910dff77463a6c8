"""Which changes of a contract only accept more of the same."""

from pathlib import Path
from typing import Any

import pytest
from msgspec import json
from msgspec.structs import replace

from sojourn.contracts import accepts_more, changes
from sojourn.loading import load, parse
from sojourn.pipeline import Field, Pipeline, Source

BASE = Source(
    fields={
        "event_id": Field(path="id", required=True),
        "name": Field(path="type", required=True, values=("a", "b")),
        "occurred_at": Field(path="at", type="time", required=True),
        "size": Field(path="size", type="integer", values=(1, 2)),
    },
    max_record="1KiB",
    schema='{"type":"object"}',
)


def reading(source: Source) -> Any:
    """The fingerprint of a pipeline with this source of events."""
    return Pipeline(name="own", source={"events": source}).fingerprint()


def with_field(name: str, source: Source = BASE, **settings: Any) -> Source:
    """The source with another declaration of one field."""
    return replace(source, fields=source.fields | {name: replace(source.fields[name], **settings)})


def times(*formats: str, **settings: Any) -> Source:
    """The source with these formats of its time."""
    return replace(with_field("occurred_at", formats=formats), **settings)


MORE = {
    "nothing changed": (BASE, BASE),
    "not required": (BASE, with_field("name", required=False)),
    "more values": (BASE, with_field("name", values=("c", "b", "a"))),
    "equal numbers": (BASE, with_field("size", values=(1.0, 2, 3))),
    "any value": (BASE, with_field("name", values=())),
    "another format": (BASE, times("iso", "epoch_s")),
    "another format after stated ones": (times("epoch_ms", "%Y%m%d"), times("epoch_ms", "%Y%m%d", "iso")),
    "the default format, stated": (BASE, times("iso")),
    "longer records": (BASE, replace(BASE, max_record="2KiB")),
    "the same size in other words": (BASE, replace(BASE, max_record="1024B")),
    "no schema": (BASE, replace(BASE, schema=None)),
    "numbers as text": (replace(BASE, strict=True), BASE),
    "numbers as text, epochs last": (times("%Y%m%d", "epoch_s", strict=True), times("%Y%m%d", "epoch_s", "iso")),
}
OTHERWISE = {
    "required": (with_field("name", required=False), BASE),
    "fewer values": (BASE, with_field("name", values=("a",))),
    "other values": (BASE, with_field("name", values=("a", "c"))),
    "values stated": (with_field("name", values=()), BASE),
    "another type": (BASE, with_field("size", type="number")),
    "another path": (BASE, with_field("name", path="kind")),
    "another format first": (BASE, times("epoch_s", "iso")),
    "a format less": (times("iso", "epoch_s"), BASE),
    "shorter records": (BASE, replace(BASE, max_record="1023B")),
    "another schema": (BASE, replace(BASE, schema="{}")),
    "a schema": (replace(BASE, schema=None), BASE),
    "strict": (BASE, replace(BASE, strict=True)),
    "lax, where text can be an epoch": (
        times("epoch_s", "%Y%m%d", strict=True),
        times("epoch_s", "%Y%m%d", strict=False),
    ),
    "another zone": (BASE, replace(BASE, timezone="Europe/Berlin")),
    "another identity": (BASE, replace(BASE, dedupe="record")),
    "no identity": (BASE, replace(BASE, dedupe="off")),
    "nobody dropped": (replace(BASE, drop=("anonymous",)), BASE),
    "bots dropped": (BASE, replace(BASE, bots="drop")),
    "another kind of file": (BASE, replace(BASE, format="csv")),
    "another delimiter": (BASE, replace(BASE, delimiter=";")),
    "columns": (BASE, replace(BASE, columns=("id", "type"))),
    "other headers": (
        replace(BASE, columns=("id", "type", "at", "size")),
        replace(with_field("name", required=False), columns=("id", "type", "at", "size")),
    ),
    "a field more": (BASE, replace(BASE, fields=BASE.fields | {"url": Field(path="url")})),
    "a field less": (BASE, replace(BASE, fields={name: BASE.fields[name] for name in ("event_id", "occurred_at")})),
    "another order of fields": (BASE, replace(BASE, fields=dict(reversed(BASE.fields.items())))),
}


@pytest.mark.parametrize("case", MORE)
def test_more_of_the_same(case: str) -> None:
    """What was accepted stays as it is."""
    old, new = MORE[case]
    assert accepts_more(reading(old), reading(new))


@pytest.mark.parametrize("case", OTHERWISE)
def test_otherwise(case: str) -> None:
    """What was accepted, or dropped, could end in another way, or as another event."""
    old, new = OTHERWISE[case]
    assert not accepts_more(reading(old), reading(new))


def test_every_source_counts() -> None:
    """One that is read otherwise is enough, and so is one that is new, gone, or unknown to this version."""
    devices = load("devices").fingerprint()
    assert accepts_more(devices, json.decode(json.encode(devices)))
    servers = devices["servers"]
    assert not accepts_more(devices, devices | {"servers": servers | {"timezone": "Asia/Tokyo"}})
    assert not accepts_more(devices, {"events": devices["events"]})
    assert not accepts_more({"events": devices["events"]}, devices)
    assert not accepts_more(devices | {"servers": servers | {"setting": "of tomorrow"}}, devices)
    assert not accepts_more({}, devices)


def test_changes_are_named() -> None:
    """By their place, with what was stated and what is."""
    text = (
        '[source.events.fields]\nevent_id = "id"\noccurred_at = "at"\nactor = "who"\n'
        '[sessions]\nrule = "gap"\ngap = "{gap}"\n'
    )
    old, new = (parse(text.format(gap=gap), name="own", where="own.toml", folder=Path()) for gap in ("30m", "20m"))
    assert changes(old.fingerprint(), new.fingerprint()) == []
    sessions = [{"sessions": json.decode(json.encode(pipeline.sessions))} for pipeline in (old, new)]
    assert changes(*sessions) == ["sessions.gap 30m -> 20m"]
    assert changes({"a": {"b": [1]}, "c": 1}, {"a": {"b": [1, 2], "d": True}}) == [
        "a.b [1] -> [1,2]",
        "a.d (default) -> true",
        "c 1 -> (default)",
    ]
