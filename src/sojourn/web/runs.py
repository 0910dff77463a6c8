"""Runs over HTTP, with where every record ended."""

import json
from typing import Annotated, Any

from fastapi import APIRouter, Path, Query, Response
from pydantic import BaseModel, Field

from sojourn.engines.duckdb import quote
from sojourn.errors import SojournError
from sojourn.store.base import Store
from sojourn.store.schemas import RUNS
from sojourn.web.answers import Cursor, Limit, Text, as_json, from_cursor, to_cursor
from sojourn.web.errors import refused, responses
from sojourn.web.service import TheStore

router = APIRouter(prefix="/v1/runs", tags=["runs"])

_COLUMNS = ", ".join(name for name in RUNS.names if name != "report")
_LEDGER = {
    "read": 14,
    "blank": 0,
    "accepted": 12,
    "duplicate": 0,
    "dropped": {"anonymous": 1},
    "quarantined": {"bad_time": 1},
    "notes": {},
}


class Run(BaseModel):
    """A run: *dropped* and *quarantined* for whatever reason; *message* says why it failed."""

    run_id: str = Field(examples=["20240305T100000000000-0a1b2c"])
    pipeline: str = Field(examples=["webshop"])
    status: str = Field(examples=["done"])
    started_at: str = Field(examples=["2024-03-05T10:00:00.000000Z"])
    seconds: float = Field(examples=[0.2])
    read: int = Field(examples=[14])
    blank: int = Field(examples=[0])
    accepted: int = Field(examples=[12])
    duplicate: int = Field(examples=[0])
    dropped: int = Field(examples=[1])
    quarantined: int = Field(examples=[1])
    message: str | None = Field(examples=[None])


class RunPage(BaseModel):
    """Runs, the newest first; *next* is the cursor of the page that follows, if there is one."""

    runs: list[Run]
    next: str | None = Field(examples=[None])


class Report(BaseModel):
    """The whole of a run, as `sojourn run --json` prints it: its ledger, and that of each file."""

    run_id: str = Field(examples=["20240305T100000000000-0a1b2c"])
    pipeline: str = Field(examples=["webshop"])
    status: str = Field(examples=["done"])
    started_at: str = Field(examples=["2024-03-05T10:00:00.000000Z"])
    seconds: float = Field(examples=[0.2])
    ledger: dict[str, Any] = Field(examples=[_LEDGER])
    files: list[dict[str, Any]] = Field(examples=[[{"file": "events.jsonl", "source": "events", **_LEDGER}]])
    tables: dict[str, int] = Field(examples=[{"sessions": 7, "session_durations_by_referrer": 1}])
    message: str | None = Field(examples=[None])


@router.get("", response_model=RunPage)
def listing(
    store: TheStore,
    pipeline: Annotated[Text | None, Query(description="Only its runs", examples=["webshop"])] = None,
    status: Annotated[Text | None, Query(description="Only those that ended so", examples=["done"])] = None,
    limit: Limit = 100,
    cursor: Cursor = None,
) -> Response:
    """Pages of runs, the newest first, failed ones included."""
    wanted = {"pipeline": pipeline, "status": status}
    conditions = [f"{name} = {quote(text)}" for name, text in wanted.items() if text is not None]
    if cursor is not None:  # a run's id begins with when it began
        conditions.append(f"run_id < {quote(from_cursor(cursor, str)[0])}")
    where = " and ".join(conditions) or "true"
    sql = f"select {_COLUMNS} from sojourn.runs where {where} order by run_id desc limit {limit + 1}"
    found = rows(store, sql)
    following = to_cursor([found[limit - 1]["run_id"]]) if len(found) > limit else None
    return as_json({"runs": found[:limit], "next": following})


@router.get("/{run_id}", response_model=Report, responses=responses(404))
def report(
    run_id: Annotated[str, Path(description="As `/v1/runs` lists it", examples=["20240305T100000000000-0a1b2c"])],
    store: TheStore,
) -> Response:
    """The report of a run."""
    sql = f"select report, message from sojourn.runs where run_id = {quote(run_id)}"
    found = rows(store, sql) if "\0" not in run_id else []
    if not found:
        raise refused("unknown_run", f"there is no run {run_id}; /v1/runs lists them", "$.path.run_id")
    return as_json({**json.loads(found[0]["report"]), "message": found[0]["message"]})


def rows(store: Store, sql: str) -> list[dict[str, Any]]:
    """The rows of a query over `sojourn`'s own tables; none where there are no such tables yet."""
    try:
        with store.query(sql) as reader:
            found: list[dict[str, Any]] = reader.read_all().to_pylist()
    except SojournError as error:
        if error.code != "not_published":
            raise
        return []
    return found
