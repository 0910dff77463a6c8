"""The dashboard's addresses."""

from fastapi import APIRouter, Request, Response

from sojourn.charts import CHARTS
from sojourn.errors import SojournError, UsageError
from sojourn.loading import to_begin
from sojourn.pipeline import did_you_mean
from sojourn.reading.entries import is_session_id
from sojourn.web.answers import tagged, unchanged
from sojourn.web.dashboard import docs, figures, overview, pages, quarantine, session, sessions, signing
from sojourn.web.dashboard.asked import asked
from sojourn.web.dashboard.frame import frame
from sojourn.web.dashboard.pages import PageRoute
from sojourn.web.dashboard.views import VIEWS, View
from sojourn.web.service import TheStore, allowed
from sojourn.web.tables import sent

router = APIRouter(route_class=PageRoute, include_in_schema=False)
router.include_router(signing.router)
_read = [allowed("read")]


def _add(view: View) -> None:
    @router.get(f"/{view.name}", dependencies=_read, name=view.name)
    def shown(request: Request, store: TheStore) -> Response:
        """The view, or what to do where there is nothing to show."""
        try:
            with asked(store, view.scope, request.query_params) as found:
                given = {**frame(found, view.scope), **view.content(found)}
        except SojournError as error:
            if error.code != "not_published":
                raise
            return pages.page(request, "nothing.html", title=view.title, view=view.name, command=error.message)
        return pages.page(request, f"{view.name}.html", title=view.title, view=view.name, is_report=False, **given)


for each in VIEWS.values():
    _add(each)


@router.get("/sessions/{session_id}", dependencies=_read)
def one_session(request: Request, session_id: str, store: TheStore) -> Response:
    """A session and its events."""
    with asked(store, sessions.SCOPE, {"pipeline": request.query_params.get("pipeline", "")}) as found:
        given = {"pipeline": found.pipeline, **session.content(found, session_id)}
    return pages.page(request, "session.html", title="Session", view="sessions", **given)


@router.get("/", dependencies=_read)
def start(request: Request, store: TheStore) -> Response:
    """The latest runs, and what they published."""
    given = overview.content(store)
    if not given["runs"]:
        return pages.page(request, "nothing.html", title="Welcome", view="overview", command=to_begin("webshop"))
    return pages.page(request, "overview.html", title="Overview", view="overview", is_report=False, **given)


@router.get("/quarantine", dependencies=_read)
def refused_records(request: Request, store: TheStore) -> Response:
    """Records that broke their contract."""
    given = quarantine.content(store, request.query_params)
    return pages.page(request, "quarantine.html", title="Quarantine", view="quarantine", **given)


@router.get("/quarantine.jsonl", dependencies=_read)
def refused_records_whole(request: Request, store: TheStore) -> Response:
    """All of them as a file."""
    headers = {"Content-Disposition": 'attachment; filename="quarantine.jsonl"', "Cache-Control": "private, no-store"}
    file = quarantine.exported(store, request.query_params)
    return sent(file, headers, "application/x-ndjson")


@router.get("/live", dependencies=_read)
def live(request: Request, session: str = "") -> Response:
    """Sessions that go on now, and one of them as it grows."""
    if session and not is_session_id(session):
        raise UsageError("bad_session_id", "a session's id is 1 to 128 of A-Z a-z 0-9 . _ ~ -")
    return pages.page(request, "live.html", title="Live", view="live", session=session)


@router.get("/charts/{name}.svg", dependencies=_read)
def chart(
    request: Request,
    name: str,
    store: TheStore,
    theme: str = "light",
    width: str = "wide",
) -> Response:
    """A chart's picture."""
    if name not in CHARTS:
        raise UsageError("unknown_chart", f"there is no chart {name}{did_you_mean(name, CHARTS)}")
    with asked(store, figures.scope(CHARTS[name]), request.query_params) as found:
        headers = tagged(request, found.pipeline, found.run_id)
        known = unchanged(request, headers)
        if known is not None:
            return known
        picture = figures.svg(found, name, is_dark=theme == "dark", is_narrow=width == "narrow")
    return Response(picture, headers=headers, media_type="image/svg+xml")


@router.get("/docs")
def reference(request: Request) -> Response:
    """What can be asked over HTTP; it tells nothing of the data, so it needs no token."""
    return pages.page(request, "docs.html", title="HTTP", **docs.content(request.app.openapi()))


@router.get("/static/{name}")
def static(name: str, v: str = "") -> Response:
    """A file of ours that pages link; it tells nothing, so it needs no token."""
    return pages.asset(name, v)
