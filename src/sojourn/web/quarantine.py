"""Quarantined records over HTTP, whole."""

import base64
from typing import Annotated, Any

from fastapi import APIRouter, Query, Response
from pydantic import BaseModel, Field

from sojourn.engines.duckdb import quote
from sojourn.errors import UsageError
from sojourn.ledger import REASONS
from sojourn.pipeline import did_you_mean
from sojourn.web.answers import Cursor, Text, as_json, from_cursor, to_cursor
from sojourn.web.runs import rows
from sojourn.web.service import TheStore

router = APIRouter(prefix="/v1/quarantine", tags=["quarantine"])

_PLACE = ("pipeline", "file", "line", "path", "source", "content")
_KEYS = ", ".join(_PLACE)
_COLUMNS = "pipeline, run_id, source, file, line, reason, path, value, content, raw"
_RUN = "20240305T100000000000-0a1b2c"
_MOST = 16_000_000  # bytes of text in a page of several records


class Record(BaseModel):
    """A quarantined record: *raw* is its text, or *raw_base64* its bytes where they are not UTF-8."""

    pipeline: str = Field(examples=["webshop"])
    run_id: str = Field(examples=[_RUN])
    source: str = Field(examples=["events"])
    file: str = Field(examples=["events.jsonl"])
    line: int = Field(examples=[3])
    reason: str = Field(examples=["bad_time"])
    path: str | None = Field(examples=["$.event.timestamp"])
    value: str | None = Field(examples=["yesterday"])
    raw: str | None = Field(examples=['{"id": 3, "type": "search", "event": {"timestamp": "yesterday"}}'])
    raw_base64: str | None = Field(examples=[None])


class QuarantinePage(BaseModel):
    """Records by pipeline, file and line; *next* is the cursor of the page that follows, if there is one."""

    records: list[Record]
    next: str | None = Field(examples=[None])


@router.get("", response_model=QuarantinePage)
def listing(
    store: TheStore,
    pipeline: Annotated[Text | None, Query(description="Only its records", examples=["webshop"])] = None,
    reason: Annotated[str | None, Query(description=f"One of {', '.join(REASONS)}", examples=["bad_time"])] = None,
    run: Annotated[Text | None, Query(description="The run that kept the record", examples=[_RUN])] = None,
    limit: Annotated[
        int, Query(ge=1, le=1000, description="How many at most; fewer where they are large", examples=[100])
    ] = 100,
    cursor: Cursor = None,
) -> Response:
    """Pages of quarantined records, with why and where, and their whole text."""
    if reason is not None and reason not in REASONS:
        said = f"there is no reason {reason}{did_you_mean(reason, list(REASONS))} there are {', '.join(REASONS)}"
        raise UsageError("unknown_reason", said)
    wanted = {"pipeline": pipeline, "reason": reason, "run_id": run}
    conditions = [f"{name} = {quote(text)}" for name, text in wanted.items() if text is not None]
    if cursor is not None:
        place = from_cursor(cursor, str, str, int, str, str, str)
        values = [quote(part) if isinstance(part, str) else str(part) for part in place]
        conditions.append(f"({_KEYS}) > ({', '.join(values)})")
    found = f"from sojourn.quarantine where {' and '.join(conditions) or 'true'} order by {_KEYS}"
    sizes = rows(store, f"select {_KEYS}, octet_length(raw) as bytes {found} limit {limit + 1}")
    count = _cut(sizes, limit)
    page = rows(store, f"select {_COLUMNS} {found} limit {count}")
    following = to_cursor([page[-1][name] for name in _PLACE]) if page and len(sizes) > count else None
    return as_json({"records": [_record(row) for row in page], "next": following})


def _cut(sizes: list[dict[str, Any]], limit: int) -> int:
    """How many of these records make a page: at most *limit*, and at least one however large."""
    total = 0
    for at, row in enumerate(sizes[:limit]):
        total += row["bytes"]
        if at and total > _MOST:
            return at
    return min(limit, len(sizes))


def _record(row: dict[str, Any]) -> dict[str, Any]:
    """A row as `sojourn quarantine export` writes it."""
    raw: bytes = row.pop("raw")
    del row["content"]
    try:
        return {**row, "raw": raw.decode(), "raw_base64": None}
    except UnicodeDecodeError:
        return {**row, "raw": None, "raw_base64": base64.b64encode(raw).decode()}
