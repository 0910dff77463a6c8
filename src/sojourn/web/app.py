"""The service's routes, put together."""

from fastapi import FastAPI

from sojourn import __version__
from sojourn.web.errors import handle_errors
from sojourn.web.service import Service


def make_app(service: Service) -> FastAPI:
    """The application around *service*, for any ASGI server."""
    app = FastAPI(title="Sojourn", version=__version__, description=__doc__)
    app.state.service = service
    handle_errors(app)
    return app
