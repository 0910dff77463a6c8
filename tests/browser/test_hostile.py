"""Nothing that comes from an event is executed, fetched or taken for HTML, wherever it stands."""

from itertools import product

import pytest

from sojourn.web.dashboard.pages import NAVIGATION
from tests.browser import hostile
from tests.browser.conftest import Open
from tests.browser.watched import Watched
from tests.service.live.client import Client, begin, event
from tests.service.live.process import Service

SHOWN = {
    "overview": (),
    "sessions": (hostile.SCRIPT, hostile.IMAGE, hostile.ADDRESS, hostile.LONG),
    "orders": (),
    "activity": (hostile.SCRIPT, hostile.ADDRESS, hostile.BACKWARDS),
    "fleet": (),
    "experiments": (hostile.SCRIPT, hostile.ADDRESS),
    "live": (),
    "quarantine": (hostile.SCRIPT, hostile.FILE),
}
"""What has to stand there as text, so that it was put to the test."""


def defused(seen: Watched, name: str) -> None:
    """The page holds together, and nothing that an event brought became an element or an address."""
    for opening in seen.page.query_selector_all("summary"):
        opening.click()
    seen.look(width="phone")
    seen.look()
    assert seen.page.evaluate("[...document.querySelectorAll('script, svg[onload], img[onerror]')].every(x => x.src)")
    addresses = seen.page.eval_on_selector_all(
        "[href], [src], [action]", "all => all.map(x => x.href || x.src || x.action)"
    )
    assert all(address.startswith(f"{seen.base}/") for address in addresses if isinstance(address, str))
    seen.check()
    seen.shoot(f"hostile-{name}")
    assert seen.ran() is None


@pytest.mark.parametrize(
    ("name", "path"), [(name, path) for name, _, path in NAVIGATION if name not in ("fleet", "live")]
)
def test_a_view(attacked: Service, opened: Open, name: str, path: str) -> None:
    """Views of hostile records show them as text."""
    seen = opened(attacked, path)
    defused(seen, name)
    for text in SHOWN[name]:
        assert text in seen.text()


def test_writing_backwards_ends_where_it_began(attacked: Service, opened: Open) -> None:
    """A name of a file that turns the direction of writing does not turn what stands after it."""
    seen = opened(attacked, "/quarantine")
    end, after = seen.page.evaluate("""() => {
        const name = document.querySelector(".sample bdi"), rest = document.createRange();
        rest.setStart(name.nextSibling, 0);
        rest.setEnd(name.nextSibling, 6);
        return [name.getBoundingClientRect().right, rest.getBoundingClientRect().left];
    }""")
    assert after >= end - 1


@pytest.mark.parametrize("path", ["/sessions?pipeline=pageviews", "/activity?pipeline=pageviews"])
def test_views_of_another_pipeline(attacked: Service, opened: Open, path: str) -> None:
    """So do those of a pipeline whose sessions have ids that the source gave; each leads to its own page."""
    seen = opened(attacked, path)
    defused(seen, path.partition("?")[0][1:] + "-pageviews")
    links = seen.page.eval_on_selector_all("main table a", "all => all.map(one => one.getAttribute('href'))")
    assert bool(links) == path.startswith("/sessions")
    for at, link in enumerate(links[:3]):
        seen.open(link)
        assert any(text in seen.text() for text in hostile.TEXTS)
        defused(seen, f"session-{at}")


def test_an_address(attacked: Service, opened: Open) -> None:
    """What somebody put into an address that others open stays text, also where it is refused."""
    seen = opened(attacked, allowed=("status of 4",))
    views = ["/sessions?from", "/sessions?pipeline", "/activity?site", "/quarantine?pipeline", "/live?session"]
    for path, text in product([*views, "/charts/"], (hostile.SCRIPT, hostile.IMAGE, hostile.CLOSING)):
        seen.page.goto(f"{seen.base}{path}={text}")
        assert seen.page.inner_text("body")
        assert seen.ran() is None


def test_live(attacked: Service, opened: Open) -> None:
    """Sessions that are streamed while the page is open do no harm either."""
    session = "s" * 128
    seen = opened(attacked)
    with Client(attacked, session) as client:
        entries = [event(at, more=[text, {text[:50]: text}], page=text) for at, text in enumerate(hostile.TEXTS)]
        entries += [{**event(at), "name": text} for at, text in enumerate(hostile.TEXTS)]
        client.send([begin(session), *entries])
        client.until_ack(1)
        seen.open(f"/live?session={session}")
        seen.page.get_by_text(hostile.CLOSING, exact=True).wait_for()
        defused(seen, "live")
        assert hostile.SCRIPT in seen.text()
