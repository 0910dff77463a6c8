"""Every view, light and dark, on a phone, a tablet and a wide screen."""

import pytest

from sojourn.web.dashboard.pages import NAVIGATION
from tests.browser.conftest import Open
from tests.browser.watched import THEMES, WIDTHS, Watched
from tests.service.live.process import Service

SHOWN = {
    "overview": "Latest runs",
    "sessions": "Latest sessions",
    "orders": "Visits before an order",
    "activity": "By site and activity",
    "fleet": "Devices online",
    "experiments": "Variant",
    "live": "Events a second",
    "quarantine": "Next page",
}
"""Words that a view shows only when it has something to show."""


def surveyed(seen: Watched, name: str) -> None:
    """Look at a page in every theme and width, keep its pictures, and check it.

    axe takes long: what a theme decides is contrast alone, and a tablet has one of the others' layouts.
    """
    for width in WIDTHS:
        for theme in THEMES:
            seen.look(theme, width)
            seen.shoot(f"{name}-{width}-{theme}")
            if theme == "light" and width != "tablet":
                seen.check()
    seen.check("color-contrast")


@pytest.mark.parametrize("name", [name for name, _, _ in NAVIGATION])
def test_a_view(shop: Service, opened: Open, name: str) -> None:
    """It shows what it has without a fault, and without scrolling sideways; axe finds nothing serious."""
    _, label, path = next(view for view in NAVIGATION if view[0] == name)
    seen = opened(shop, path)
    assert seen.page.inner_text("h1") == label
    assert seen.page.get_attribute("nav a[aria-current]", "href") == path
    assert SHOWN[name] in seen.text()
    surveyed(seen, name)


def test_no_view_is_forgotten() -> None:
    """Each of the navigation has its words above."""
    assert list(SHOWN) == [name for name, _, _ in NAVIGATION]
