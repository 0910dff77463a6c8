"""What the service holds while it runs; handlers find it at `request.app.state.service`."""

from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, Request

from sojourn.store.base import Store


@dataclass
class Service:
    """The parts of a running service: the *store* whose tables it answers from."""

    store: Store


def _service(request: Request) -> Service:
    service: Service = request.app.state.service
    return service


def _store(request: Request) -> Store:
    return _service(request).store


TheService = Annotated[Service, Depends(_service)]
TheStore = Annotated[Store, Depends(_store)]
"""Parameters of handlers: the running service, and its store."""
