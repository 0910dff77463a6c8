"""Contracts that change: what changed, and whether whatever was accepted would be accepted again as the same event."""

from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

from sojourn.pipeline import Field, Source, parse_size
from sojourn.times import EPOCH_UNITS

Plain = Mapping[str, Any]
"""What a pipeline's `fingerprint()` or `rules()` gives, as plain JSON values."""

_SAME = ("format", "timezone", "dedupe", "drop", "bots", "delimiter", "columns")
"""Settings of a source by which the same text is another event, or by which what was dropped would count."""


def accepts_more(old: Plain, new: Plain) -> bool:
    """Whether the reading *new* only accepts more of the same than *old* (both as `Pipeline.fingerprint()` gives them).

    Then every record that *old* accepted or dropped *new* accepts or drops likewise, with equal values: kept events
    stay as they are, and what is to be judged again is the quarantine alone.
    """
    try:
        before, after = (msgspec.convert(reading, dict[str, Source]) for reading in (old, new))
    except msgspec.ValidationError:  # written by a version with other settings
        return False
    return before.keys() == after.keys() and all(_of_source(before[name], after[name]) for name in before)


def changes(old: Plain, new: Plain) -> list[str]:
    """The settings that differ, each as ``sessions.gap 30m -> 20m``; what is not stated has its default."""
    return [f"{name} {_shown(before)} -> {_shown(after)}" for name, before, after in _differences(old, new)]


def _of_source(old: Source, new: Source) -> bool:
    return (
        all(getattr(old, name) == getattr(new, name) for name in _SAME)
        and list(old.fields) == list(new.fields)  # their order decides which of two equal instants comes first
        and all(_of_field(old.fields[name], new.fields[name]) for name in old.fields)
        and parse_size(new.max_record) >= parse_size(old.max_record)
        and new.schema in (old.schema, None)
        and (new.strict == old.strict or (old.strict and not _has_ambiguous_times(old)))
        # by them a first line is known as a header, or else read as a record
        and (not old.columns or _required(old) == _required(new))
    )


def _of_field(old: Field, new: Field) -> bool:
    formats = _formats(old)
    return (
        (old.path, old.type) == (new.path, new.type)
        and old.required >= new.required
        and (not new.values or (bool(old.values) and set(old.values) <= set(new.values)))
        and _formats(new)[: len(formats)] == formats  # the first that reads a time decides
    )


def _has_ambiguous_times(source: Source) -> bool:
    """Whether a lax contract would read a number written as text by another format than a strict one, which passes
    over epochs there: ``"20240301"`` by ``["epoch_s", "%Y%m%d"]``.
    """
    for field in source.fields.values():
        are_epochs = [name in EPOCH_UNITS for name in _formats(field)]
        if field.type == "time" and are_epochs != sorted(are_epochs):
            return True
    return False


def _formats(field: Field) -> tuple[str, ...]:
    return field.formats or ("iso",)


def _required(source: Source) -> set[str]:
    return {name for name, field in source.fields.items() if field.required}


def _differences(old: Any, new: Any, at: str = "") -> Iterator[tuple[str, Any, Any]]:
    if isinstance(old, Mapping) and isinstance(new, Mapping):
        for name in [*old, *(name for name in new if name not in old)]:
            yield from _differences(old.get(name), new.get(name), f"{at}.{name}" if at else str(name))
    elif old != new:
        yield at, old, new


def _shown(value: Any) -> str:
    if value is None:
        return "(default)"
    text = value if isinstance(value, str) else msgspec.json.encode(value).decode()
    return text if len(text) <= 60 else f"{text[:60]}..."
