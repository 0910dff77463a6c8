"""Metrics over HTTP."""

from typing import Annotated, Any

from fastapi import APIRouter, Path, Query, Request, Response
from pydantic import BaseModel, Field

from sojourn import metrics as registry
from sojourn.web.answers import IF_NONE_MATCH, NOT_MODIFIED, as_json, tagged, unchanged
from sojourn.web.errors import responses
from sojourn.web.service import TheStore

router = APIRouter(prefix="/metrics", tags=["metrics"])

_ORDERS = {"median_visits_before_order": 2.0, "median_session_duration_minutes_before_order": 47.5}
_DURATIONS = [
    {
        "referrer": "(direct)",
        "sessions": 6,
        "median_seconds": 1200.0,
        "p25_seconds": 840.0,
        "p75_seconds": 1650.0,
        "mean_seconds": 1375.0,
    }
]
_VALUE: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "The metric's object, or its list of rows",
        "content": {
            "application/json": {
                "schema": {"anyOf": [{"type": "object"}, {"type": "array", "items": {"type": "object"}}]},
                "examples": {"orders": {"value": _ORDERS}, "session_durations": {"value": _DURATIONS}},
            }
        },
    }
}


class Metric(BaseModel):
    """A metric, and the ready pipeline whose tables it reads."""

    metric: str = Field(examples=["orders"])
    title: str = Field(examples=["Visits and session minutes before an order (medians)"])
    pipeline: str = Field(examples=["webshop"])


@router.get("", response_model=list[Metric])
def listing() -> Response:
    """Every metric."""
    known = registry.metrics().values()
    return as_json([{"metric": m.name, "title": m.title, "pipeline": m.pipeline} for m in known])


@router.get(
    "/{name}",
    responses={**_VALUE, **NOT_MODIFIED, **responses(404)},
    openapi_extra={"parameters": [IF_NONE_MATCH]},
)
def value(
    request: Request,
    name: Annotated[str, Path(description="As `/metrics` lists it", examples=["orders"])],
    store: TheStore,
    pipeline: Annotated[str | None, Query(description="Read its tables", examples=["webshop"])] = None,
) -> Response:
    """A metric, worked out now from the published tables; *pipeline* names another than the ready one."""
    source = pipeline or registry.metric(name).pipeline
    # looked up before: a run published meanwhile makes the tag too old, never too new
    runs = [row["run_id"] for row in store.published() if row["pipeline"] == source]
    headers = tagged(request, *runs[:1])
    if runs and (known := unchanged(request, headers)) is not None:
        return known
    return as_json(registry.evaluate(name, store, source), headers)
