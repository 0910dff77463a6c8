"""What the service holds while it runs; handlers find it at `request.app.state.service`."""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Annotated, Any

from fastapi import Depends, Path, Request
from fastapi.security import HTTPBearer
from starlette.requests import HTTPConnection

from sojourn.errors import SojournError, as_ours
from sojourn.live.ingest import Ingest
from sojourn.live.room import Holder
from sojourn.reading.entries import is_session_id
from sojourn.store.base import Store
from sojourn.web.access import Access
from sojourn.web.errors import Refused, refused

_FRESH = 1.0  # seconds for which a look is as good as another
_PATIENCE = 6.0  # seconds for the answer of a part: a journal that is locked says so after 5


@dataclass
class Service:
    """The parts of a running service: the *store* whose tables it answers from, live sessions, and who may ask.

    *is_going_down*: it takes nothing new. *watchers*: who listens to `web.watching` now.
    *is_looked_at*: somebody asks for pages, or will.
    """

    store: Store
    ingest: Ingest | None = None
    access: Access = field(default_factory=Access)
    is_going_down: bool = False
    receiving: set[Holder] = field(default_factory=set)
    watchers: int = 0
    is_looked_at: bool = False
    _looked: float = float("-inf")
    _looking: asyncio.Task[None] | None = None
    _faults: dict[str, SojournError | None] = field(default_factory=dict)

    async def faults(self) -> dict[str, SojournError | None]:
        """What keeps each part from working, as of at most a second ago: looking writes to the journal."""
        now = time.monotonic()
        if self._looking is None or (self._looking.done() and now > self._looked + _FRESH):
            self._looked, self._looking = now, asyncio.create_task(self._look())
        await asyncio.wait([self._looking], timeout=max(0.0, self._looked + _PATIENCE - now))
        return self._faults

    async def _look(self) -> None:
        """Ask every part. One that does not answer is not asked again until it does."""
        parts: dict[str, Callable[[], object]] = {"warehouse": self.store.published}
        parts |= {} if self.ingest is None else {"journal": self.ingest.journal.check}
        silent = SojournError("no_answer", f"no answer within {_PATIENCE:g} s")
        self._faults = dict.fromkeys(parts, silent)
        await asyncio.gather(*(self._ask(name, check) for name, check in parts.items()))

    async def _ask(self, name: str, check: Callable[[], object]) -> None:
        self._faults[name] = await asyncio.to_thread(_fault, check)


def allowed(scope: str) -> Any:
    """A route's dependency: refuses who may not do what *scope* says (to the session in the path, if there is one)."""

    return Depends(_Allowed(scope))


class _Allowed(HTTPBearer):
    """Looks with `Access`; that it is a bearer's scheme says so in the OpenAPI document."""

    def __init__(self, scope: str) -> None:
        said = "Where the service has tokens: one that may do this"
        super().__init__(scheme_name="bearer", description=said, auto_error=False)
        self.scope = scope

    async def __call__(self, request: HTTPConnection) -> None:  # a plain function would cost a thread, as all of these
        access: Access = request.app.state.service.access
        denied = access.denied(request.scope, self.scope, request.path_params.get("session_id"))
        if denied is not None:
            raise Refused(denied)


def _fault(check: Callable[[], object]) -> SojournError | None:
    try:
        check()
    except Exception as error:  # noqa: BLE001 - whatever it is, the part does not work
        return as_ours(error)
    return None


async def _service(request: Request) -> Service:
    service: Service = request.app.state.service
    return service


async def _store(request: Request) -> Store:
    return (await _service(request)).store


async def _ingest(request: Request) -> Ingest:
    ingest = (await _service(request)).ingest
    assert ingest is not None, "live routes are there only with it"
    return ingest


async def _id(
    session_id: Annotated[str, Path(description="1 to 128 of A-Z a-z 0-9 . _ ~ -", examples=["visit-1"])],
) -> str:
    if not is_session_id(session_id):
        raise refused("bad_session_id", "a session's id is 1 to 128 of A-Z a-z 0-9 . _ ~ -", "$.path.session_id")
    return session_id


TheService = Annotated[Service, Depends(_service)]
TheStore = Annotated[Store, Depends(_store)]
TheIngest = Annotated[Ingest, Depends(_ingest)]
TheId = Annotated[str, Depends(_id)]
"""Parameters of handlers: the running service, its store, its live sessions; the session that the path names."""
