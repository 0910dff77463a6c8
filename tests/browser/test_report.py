"""The report: one file that shows everything from a disk, with no network."""

from pathlib import Path

from playwright.sync_api import Browser

from sojourn.web.dashboard.views import VIEWS
from tests.browser import hostile
from tests.browser.watched import Watched, new_context, watched
from tests.service.live.process import Service


def reported(browser: Browser, service: Service, folder: Path) -> Watched:
    """The report of what *service* has, opened from its file without a network."""
    target = folder / "report.html"
    done = service.place.call("report", "-o", target)
    assert done.status == 0, done.err
    context = new_context(browser, offline=True)
    seen = watched(context, "http://nobody.invalid")
    seen.page.goto(target.as_uri())
    return seen


def test_a_report_needs_nothing_else(browser: Browser, shop: Service, tmp_path: Path) -> None:
    """It has the charts of all views, light and dark, wide and narrow, and asks nobody for anything."""
    seen = reported(browser, shop, tmp_path)
    seen.check()
    for theme, width in (("light", "wide"), ("dark", "phone")):
        seen.look(theme, width)
        seen.shoot(f"report-{width}-{theme}")
    charts = sum(shop.get(f"/{view}").content.count(b'<img src="/charts/') for view in VIEWS)
    assert charts > 10
    assert seen.page.locator("figure img").count() == charts
    assert seen.page.locator("script").count() == 0
    assert seen.faults == []


def test_a_report_runs_nothing(browser: Browser, attacked: Service, tmp_path: Path) -> None:
    """What hostile records brought is text there, too."""
    seen = reported(browser, attacked, tmp_path)
    seen.look()
    seen.look(width="phone")
    assert hostile.SCRIPT in seen.text()
    assert seen.ran() is None
    assert seen.page.evaluate("[...document.querySelectorAll('script, svg[onload], img[onerror]')].length") == 0
    assert seen.faults == []
