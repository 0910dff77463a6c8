"""Every view answers, with data and without."""

import httpx
import pytest

from tests.service.serving import serving
from tests.store.places import Place

VIEWS = ("/", "/sessions", "/live")


@pytest.mark.parametrize("path", VIEWS)
def test_a_view_is_a_page_that_runs_nothing_of_others(client: httpx.Client, path: str) -> None:
    """It has a title, and the browser is told to run and load our own things only."""
    answer = client.get(path)
    assert answer.status_code == 200
    assert "<h1>" in answer.text
    assert answer.headers["content-security-policy"].startswith("default-src 'none'")
    assert "unsafe" not in answer.headers["content-security-policy"]


@pytest.mark.parametrize("path", VIEWS)
def test_without_data_a_view_says_what_to_do(fresh: Place, path: str) -> None:
    """Nothing has run yet."""
    with serving(fresh.open()) as client:
        answer = client.get(path)
    assert answer.status_code == 200
