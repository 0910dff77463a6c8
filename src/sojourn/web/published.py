"""What is published, over HTTP: metrics, tables, runs and quarantined records."""

from fastapi import APIRouter

from sojourn.web import metrics, quarantine, runs, tables
from sojourn.web.errors import responses
from sojourn.web.service import allowed

router = APIRouter(dependencies=[allowed("read")], responses=responses(400, 401, 403, 422, 503))
for part in (metrics, tables, runs, quarantine):
    router.include_router(part.router)
