"""Live: numbers and a session's tree move while clients stream, also after the service was gone for a while."""

from pathlib import Path

from tests.browser.conftest import Open
from tests.service.live.client import Client, begin, end, event, numbered
from tests.service.live.process import serving
from tests.store.places import Place


def test_sessions_are_watched(tmp_path: Path, opened: Open) -> None:
    """A session that has not begun is waited for; it grows, the service goes away and comes back, it ends."""
    place = Place(tmp_path / "home")
    with serving(place) as service:
        seen = opened(service, "/live?session=visit-1", allowed=("status of 4", "ERR_"))
        page = seen.page
        page.get_by_text("Nobody streams").wait_for()
        with Client(service, "visit-1") as client:
            client.put(numbered(1, begin("visit-1"), event(1, cart=["boots"])))
            page.locator("#children li").nth(0).wait_for()
            page.wait_for_function("document.getElementById('open').textContent === '1'")
            for at in range(2, 6):
                client.put(numbered(at, event(at)))
            page.locator("#children li").nth(4).wait_for()
            page.wait_for_function("document.getElementById('total').textContent === '5'")
            page.wait_for_function("document.getElementById('line').getAttribute('points').split(' ').length > 1")
            page.get_by_role("link", name="visit-1").wait_for()
            for theme in ("light", "dark"):
                for width in ("phone", "wide"):
                    seen.look(theme, width)
                    seen.check()
                    seen.shoot(f"live_session-{width}-{theme}")
        assert service.stop() == 0
        page.get_by_text("does not answer").wait_for()
    with serving(place, port=service.port) as again, Client(again, "visit-1") as client:
        client.put(numbered(6, event(6), end("visit-1")))
        page.get_by_text("Ended, 6 events").wait_for(timeout=20_000)
        page.wait_for_function("document.getElementById('connection').textContent === ''")
        seen.page.goto("about:blank")
