"""No link of the documentation is dead, and every page can be reached."""

import pytest

from tests.docs import pages

EVERY_PAGE = [pages.README, *pages.pages()]


@pytest.mark.parametrize("page", EVERY_PAGE, ids=lambda page: str(page.relative_to(pages.ROOT)))
def test_links_lead_somewhere(page):
    """A link leads to a file of the project, and to a heading of it where it names one."""
    for link in pages.links(page):
        assert "://" not in link, f"{page.name}: {link} leads out of the project, where no test can follow"
        path, _, fragment = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        assert target.exists(), f"{page.name}: {link} leads nowhere"
        if fragment:
            assert fragment in map(pages.anchor, pages.headings(target)), f"{page.name}: {link} has no such heading"


def test_every_page_is_reached_from_the_first():
    """From the README every page can be found by following links."""
    reached, waiting = set(), [pages.README]
    while waiting:
        page = waiting.pop()
        if page not in reached:
            reached.add(page)
            linked = ((page.parent / link.partition("#")[0]).resolve() for link in pages.links(page))
            waiting += [target for target in linked if target.suffix == ".md" and target.exists()]
    assert set(EVERY_PAGE) <= reached
