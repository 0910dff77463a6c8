"""Published tables over HTTP: pages of rows as JSON, or the whole as a file."""

import pathlib
import tempfile
from collections.abc import Iterator
from typing import Annotated, Any, BinaryIO, Literal

import msgspec
import pyarrow as pa
import pyarrow.compute as pc
from fastapi import APIRouter, Path, Query, Request, Response
from fastapi.responses import StreamingResponse
from pydantic import BaseModel, Field
from starlette.background import BackgroundTask

from sojourn import export as exports
from sojourn.errors import SojournError, UsageError
from sojourn.loading import load, ready_pipelines, to_begin
from sojourn.pipeline import Csv, TableSettings, did_you_mean
from sojourn.store.readings import Reading
from sojourn.web.answers import (
    IF_NONE_MATCH,
    NOT_MODIFIED,
    Cursor,
    Limit,
    as_json,
    from_cursor,
    tagged,
    to_cursor,
    unchanged,
)
from sojourn.web.errors import refused, responses
from sojourn.web.filters import condition
from sojourn.web.service import TheStore

router = APIRouter(prefix="/v1/tables", tags=["tables"])

Format = Literal["json", "csv", "parquet"]
PipelineName = Annotated[str, Path(description="Who publishes it", examples=["webshop"])]
TableName = Annotated[str, Path(description="As `/v1/tables` lists it", examples=["session_durations_by_referrer"])]

_MEDIA: dict[Format, str] = {
    "json": "application/json",
    "csv": "text/csv; charset=utf-8",
    "parquet": "application/vnd.apache.parquet",
}
_OURS = ("format", "limit", "cursor")
_PIECE = 1 << 18
_FILTERS = {
    "name": "filters",
    "in": "query",
    "description": "`COLUMN=VALUE`; `COLUMN.gte`, `.gt`, `.lt`, `.lte`, `.ne` likewise; `COLUMN.null=true`. All hold.",
    "schema": {"type": "object", "additionalProperties": {"type": "string"}},
    "style": "form",
    "explode": True,
    "example": {"sessions.gte": "5", "referrer.null": "false"},
}


class Table(BaseModel):
    """A published table, and the run that made it."""

    pipeline: str = Field(examples=["webshop"])
    table: str = Field(examples=["sessions"])
    rows: int = Field(examples=[7])
    run_id: str = Field(examples=["20240305T100000000000-0a1b2c"])


class TablePage(BaseModel):
    """Rows in their order; *next* is the cursor of the page that follows, if there is one."""

    pipeline: str = Field(examples=["webshop"])
    table: str = Field(examples=["session_durations_by_referrer"])
    run_id: str = Field(examples=["20240305T100000000000-0a1b2c"])
    rows: list[dict[str, Any]] = Field(examples=[[{"referrer": "(direct)", "sessions": 6, "median_seconds": 1200.0}]])
    next: str | None = Field(examples=[None])


_TEXT = {"schema": {"type": "string"}, "example": "referrer,sessions,median_seconds\n(direct),6,1200.0\n"}
_FILE = {"schema": {"type": "string", "format": "binary"}}
_ROWS: dict[int | str, dict[str, Any]] = {
    200: {"model": TablePage, "content": {"text/csv": _TEXT, _MEDIA["parquet"]: _FILE}},
    **NOT_MODIFIED,
    **responses(404, 410),
}


@router.get("", response_model=list[Table])
def listing(store: TheStore) -> Response:
    """Every published table."""
    return as_json(store.published())


@router.get("/{pipeline}", response_model=list[Table], responses=responses(404))
def of_pipeline(pipeline: PipelineName, store: TheStore) -> Response:
    """The tables that a pipeline publishes."""
    return as_json(_published(store.published(), pipeline))


@router.get(
    "/{pipeline}/{table}",
    response_class=Response,
    responses=_ROWS,
    openapi_extra={"parameters": [_FILTERS, IF_NONE_MATCH]},
)
def rows(
    request: Request,
    pipeline: PipelineName,
    table: TableName,
    store: TheStore,
    file_format: Annotated[
        Format | None, Query(alias="format", description="Else the header `Accept` says it", examples=["csv"])
    ] = None,
    limit: Limit = 100,
    cursor: Cursor = None,
) -> Response:
    """Rows of a table: pages of them as JSON, all of them as CSV or Parquet; those that the filters let through."""
    chosen = file_format or _accepted(request.headers.get("accept", ""))
    if chosen != "json" and (given := {"limit", "cursor"} & set(request.query_params)):
        raise refused("bad_request", "a file holds all rows; pages are for JSON", f"$.query.{min(given)}")
    if "\0" in pipeline:
        raise _unknown(pipeline, [])
    asked = [(name, text) for name, text in request.query_params.multi_items() if name not in _OURS]
    with store.reading(pipeline) as reading:
        run_id = _run_of(reading, pipeline, table)
        headers = tagged(request, run_id, chosen)
        if (known := unchanged(request, headers)) is not None:
            return known
        columns = reading.table(pipeline, table, None, page=(0, 0)).read_all().schema
        order, where = exports.order(table, columns.names), condition(asked, columns)
        if chosen != "json":
            reader = reading.table(pipeline, table, order, where)
            return _file(reader, f"{table}.{chosen}", _conventions(pipeline, table), headers, _MEDIA[chosen])
        skipped = _skipped(cursor, run_id)
        found = _plain(reading.table(pipeline, table, order, where, (limit + 1, skipped)).read_all())
    following = to_cursor([run_id, skipped + limit]) if len(found) > limit else None
    told = {"pipeline": pipeline, "table": table, "run_id": run_id, "rows": found[:limit], "next": following}
    return Response(msgspec.json.encode(told), headers=headers, media_type=_MEDIA["json"])


def _plain(found: pa.Table) -> list[dict[str, Any]]:
    """Rows with instants as text: made of columns, as making it of values would hold up live sessions."""
    for at, column in enumerate(found.schema):
        if pa.types.is_timestamp(column.type):
            instants = found.column(at).cast(pa.timestamp("us"))
            found = found.set_column(at, column.name, pc.strftime(instants, "%Y-%m-%dT%H:%M:%SZ"))
    rows: list[dict[str, Any]] = found.to_pylist()
    return rows


def _accepted(accept: str) -> Format:
    """The format that a header asks for first; JSON where it names none of ours."""
    wanted: list[tuple[float, Format]] = []
    kinds: dict[str, Format] = {"*/*": "json", "application/*": "json", "text/*": "csv"}
    kinds |= {media.partition(";")[0]: kind for kind, media in _MEDIA.items()}
    for part in accept.lower().split(","):
        media, *parameters = (word.strip() for word in part.split(";"))
        kind = kinds.get(media)
        weight = next((_weight(word[2:]) for word in parameters if word.startswith("q=")), 1.0)
        if kind is not None and weight > 0:
            wanted.append((-weight, kind))
    return min(wanted, key=lambda each: each[0], default=(0.0, "json"))[1]  # of equals the first


def _weight(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return 0.0


def _published(tables: list[dict[str, Any]], pipeline: str) -> list[dict[str, Any]]:
    found = [row for row in tables if row["pipeline"] == pipeline]
    if not found:
        raise _unknown(pipeline, [row["pipeline"] for row in tables])
    return found


def _unknown(pipeline: str, published: list[str]) -> SojournError:
    if pipeline in ready_pipelines():
        said = f"nothing is published by {pipeline} yet; begin with: {to_begin(pipeline)}"
        return SojournError("not_published", said)
    names = sorted(set(published))
    there = f"there are {', '.join(names)}" if names else "nothing is published yet"
    return UsageError(
        "unknown_pipeline", f"no pipeline {pipeline} publishes here{did_you_mean(pipeline, names)} {there}"
    )


def _run_of(reading: Reading, pipeline: str, table: str) -> str:
    """The run that made *table*, in this reading."""
    runs: dict[str, str] = {row["table"]: row["run_id"] for row in _published(reading.published(), pipeline)}
    if table not in runs:
        said = f"{pipeline} publishes no table {table}{did_you_mean(table, runs)} it has {', '.join(runs)}"
        raise UsageError("unknown_table", said)
    return runs[table]


def _skipped(cursor: str | None, run_id: str) -> int:
    """How many rows come before the page; refused when they were another run's."""
    if cursor is None:
        return 0
    begun_in, skipped = from_cursor(cursor, str, int)
    if begun_in != run_id:
        said = f"the table was published anew by the run {run_id}; begin again without a cursor"
        raise refused("begin_again", said, "$.query.cursor")
    if not 0 <= skipped < 1 << 62:
        raise refused("bad_cursor", "this cursor is none of ours; begin again without", "$.query.cursor")
    return int(skipped)


def _conventions(pipeline: str, table: str) -> Csv:
    """How a ready pipeline writes the table as CSV; of others only their own file would know."""
    settings = load(pipeline).tables if pipeline in ready_pipelines() else {}
    return settings.get(table, TableSettings()).csv


def _file(
    reader: pa.RecordBatchReader, name: str, conventions: Csv, headers: dict[str, str], media: str
) -> StreamingResponse:
    """The rows as a file. It is made before the first byte goes out: a failure has its status, and a slow client holds
    no table."""
    with tempfile.TemporaryDirectory(prefix="sojourn-") as folder:
        target = pathlib.Path(folder) / name
        written = exports.write_reader(reader, target, conventions)
        file = target.open("rb")  # what is open outlives its name
    headers = {
        **headers,
        "Content-Length": str(written["bytes"]),
        "Content-Disposition": f'attachment; filename="{name}"',
    }
    return sent(file, headers, media)


def sent(file: BinaryIO, headers: dict[str, str], media: str) -> StreamingResponse:
    """The answer that *file* holds, a piece at a time; it is closed at the end, also where nobody takes any."""

    def pieces() -> Iterator[bytes]:
        while piece := file.read(_PIECE):
            yield piece

    return StreamingResponse(pieces(), headers=headers, media_type=media, background=BackgroundTask(file.close))
