"""Whether the service lives and works, and what it has counted."""

from typing import Any, Literal

import msgspec
from fastapi import APIRouter, Response
from pydantic import BaseModel, Field

from sojourn.live.refusals import Refusal
from sojourn.live.telemetry import CONTENT_TYPE
from sojourn.web.errors import body, responses
from sojourn.web.service import TheIngest, TheService, allowed

router = APIRouter(prefix="/health", tags=["health"])
telemetry = APIRouter(tags=["health"])

_COUNTS: dict[int | str, dict[str, Any]] = {
    200: {
        "content": {"text/plain": {"schema": {"type": "string"}, "example": "sojourn_events_total 1.0\n"}},
        "description": "Counters",
    }
}


class Health(BaseModel):
    """`ok`, or what each part complains about."""

    status: Literal["ok", "unavailable"] = Field(examples=["ok"])
    parts: dict[str, str | dict[str, str]] = Field(examples=[{"warehouse": "ok", "journal": "ok"}])


@router.get("/live", response_model=Health)
async def live() -> Response:
    """200 as long as the process answers at all."""
    return _told(200, {"status": "ok", "parts": {}})


@router.get("/ready", response_model=Health, responses={503: {"model": Health, "description": "Not now"}})
async def ready(service: TheService) -> Response:
    """200 when the journal can be written and the warehouse be read; 503 says which cannot, and why."""
    if service.is_going_down:
        return _told(503, {"status": "unavailable", "parts": {"server": "going down"}})
    faults = await service.faults()
    parts = {
        name: "ok" if error is None else body(Refusal(error.code, "$", error.message)) for name, error in faults.items()
    }
    is_ready = not any(faults.values())
    return _told(200 if is_ready else 503, {"status": "ok" if is_ready else "unavailable", "parts": parts})


@telemetry.get(
    "/telemetry", response_class=Response, responses=_COUNTS | responses(401, 403), dependencies=[allowed("read")]
)
async def counts(ingest: TheIngest) -> Response:
    """Counters of live sessions in Prometheus' text form."""
    return Response(ingest.telemetry.text(), media_type=CONTENT_TYPE)


def _told(status: int, content: object) -> Response:
    return Response(msgspec.json.encode(content), status, media_type="application/json")
