"""The service's routes, put together."""

from collections.abc import Sequence

from fastapi import FastAPI
from fastapi.middleware.cors import CORSMiddleware
from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.routing import Route, WebSocketRoute

from sojourn import __version__
from sojourn.live.refusals import Refusal
from sojourn.web import adding, health, published, sessions, watching
from sojourn.web.answers import HeadAsGet
from sojourn.web.dashboard import pages
from sojourn.web.dashboard import routes as dashboard
from sojourn.web.errors import answer, handle_errors
from sojourn.web.service import Service
from sojourn.web.stream import Streams


def make_app(service: Service, streams: Streams | None = None, origins: Sequence[str] = ()) -> FastAPI:
    """The application around *service*, for any ASGI server; pages of *origins* may ask, too.

    Live sessions have routes only when there are *streams* and the service takes them in.
    """
    app = FastAPI(
        title="Sojourn",
        version=__version__,
        description="Live sessions in; sessions, tables and metrics out.",
        redirect_slashes=False,
        docs_url=None,  # theirs load scripts of others; `dashboard.docs` makes ours
        redoc_url=None,
    )
    app.state.service = service
    handle_errors(app)
    app.add_exception_handler(HTTPException, pages.nowhere)  # type: ignore[arg-type]
    if service.ingest is not None:  # first: routes are tried in their order, and these are asked most
        app.include_router(sessions.router)
        app.include_router(adding.router)
        app.include_router(watching.router)
        app.include_router(health.telemetry)
    app.include_router(health.router)
    app.include_router(published.router)
    app.include_router(dashboard.router)
    app.add_middleware(HeadAsGet)
    if streams is not None:
        app.router.routes += [
            kind("/v1/sessions/{session_id}/stream", endpoint=streams) for kind in (WebSocketRoute, Route)
        ]
    if origins:
        app.add_middleware(
            _Origins,
            allow_origins=list(origins),
            allow_methods=["GET", "POST", "DELETE"],
            allow_headers=["*"],
            expose_headers=["ETag", "Retry-After"],
        )
    return app


class _Origins(CORSMiddleware):
    """Tells browsers which pages may ask what; a no has the shape of all errors."""

    def preflight_response(self, request_headers: Headers) -> Response:
        """Whether a page may send the request that it is about to."""
        told = super().preflight_response(request_headers)
        if told.status_code < 400:
            return told
        why = f"pages of this origin may not ask this: {bytes(told.body).decode()}; see serve --cors"
        refusal = answer(Refusal("other_origin", "$", why), 403)
        refusal.headers.update({name: text for name, text in told.headers.items() if not name.startswith("content-")})
        return refusal
