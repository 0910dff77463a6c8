"""A headless Chromium of the system, and services for it: one with samples, one with what hostile people send."""

import os
import shutil
from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Browser, sync_playwright

from sojourn import samples
from tests.browser import hostile
from tests.browser.watched import Watched, new_context, watched
from tests.service.live.process import Service, serving
from tests.store.places import Place

_NAMES = ("chromium", "chromium-browser", "google-chrome")
_LINES = {"webshop": 4000, "activity": 1500, "pageviews": 3000, "devices": 4000, "live": 400}

Open = Callable[..., Watched]


@pytest.fixture(scope="session")
def chromium() -> str:
    """Where the system's Chromium is; tests of the dashboard are left out without one, which CI does not forgive."""
    found = next(filter(None, map(shutil.which, _NAMES)), None)
    if found is None:
        left_out = pytest.fail if "CI" in os.environ else pytest.skip
        left_out(
            "left out: the dashboard in a real browser, as there is no Chromium (Debian: apt-get install chromium)"
        )
    return found


@pytest.fixture(scope="module")  # a session's would leave its event loop to tests of other folders, which run their own
def browser(chromium: str) -> Iterator[Browser]:
    """The browser."""
    with sync_playwright() as driver:
        started = driver.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        yield started
        started.close()


@pytest.fixture(scope="session")
def shop(chromium: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A service over samples of every pipeline; tests only look."""
    folder = tmp_path_factory.mktemp("browser")
    place = Place(folder / "home")
    for name, count in _LINES.items():
        path = folder / f"{name}.{'csv' if name == 'devices' else 'jsonl'}"
        samples.write(name, path, lines=count, seed=3)
        for _ in range(2 if name == "webshop" else 1):
            place.run(name, *[f"{source}={file}" for source, file in samples.sources(name, path).items()])
    with serving(place) as started:
        yield started


@pytest.fixture(scope="session")
def attacked(chromium: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A service over `hostile` records."""
    folder = tmp_path_factory.mktemp("attacked")
    place = Place(folder / "home")
    for pipeline, paths in hostile.write_all(folder).items():
        place.run(pipeline, *[f"events={path}" for path in paths])
    with serving(place) as started:
        yield started


@pytest.fixture
def opened(browser: Browser) -> Iterator[Open]:
    """Opens watched pages of a service, each in a profile of its own; at the end nothing was wrong with any of them."""
    pages: list[Watched] = []

    def opens(
        service: Service, path: str | None = None, *, status: int = 200, allowed: tuple[str, ...] = (), **how: object
    ) -> Watched:
        seen = watched(new_context(browser, **how), f"http://127.0.0.1:{service.port}")
        seen.allowed = (*allowed, "status of 4") if status >= 400 else allowed
        pages.append(seen)
        if path is not None:
            seen.open(path, status)
        return seen

    yield opens
    for seen in pages:
        assert seen.ran() is None
        seen.page.context.close()
    assert [fault for seen in pages for fault in seen.faults] == []
