"""The page about HTTP shows the whole of the OpenAPI document, and loads nothing of others."""

import httpx
import pytest

from sojourn.web.dashboard.docs import parts
from tests.service.dashboard.html import check_page, elements, values
from tests.service.dashboard.test_views import text


def test_every_route_stands_on_the_page(client: httpx.Client) -> None:
    """With its parameters, and its answers by status."""
    answer = client.get("/docs")
    assert answer.status_code == 200
    check_page(answer)
    assert not [tag for tag, _ in elements(answer.text) if tag == "script"]
    document = client.get("/openapi.json").json()
    for path, methods in document["paths"].items():
        for method, route in methods.items():
            begins = f"</span> <code>{path}</code></h3>"
            assert begins in answer.text
            card = answer.text.partition(begins)[2].partition("</article>")[0]
            for given in route.get("parameters", []):
                assert f"<td><code>{given['name']}</code></td><td>{given['in']}</td>" in card, (method, path)
            assert all(f"<tr><td>{status}</td>" in card for status in route["responses"]), (method, path)


def test_what_a_route_takes_is_told_in_words(client: httpx.Client) -> None:
    """Kinds, bounds, defaults, examples; the way to the document for programs."""
    answer = client.get("/docs")
    told = text(answer)
    assert "limit query integer, at least 1, at most 10000 100 How many at most" in told
    assert "format query json or csv or parquet Else the header Accept says it" in told
    assert '"median_visits_before_order": 2.0' in told
    assert '"code": "not_published"' in told
    assert "/openapi.json" in values(answer.text, "a", "href")


@pytest.mark.parametrize("path", ["/redoc", "/docs/oauth2-redirect", "/docs/"])
def test_no_page_of_others_is_there(client: httpx.Client, path: str) -> None:
    """Those that load scripts from other networks."""
    assert client.get(path).status_code == 404


def test_code_in_texts_is_told_from_words() -> None:
    """Between backticks, and names between stars."""
    assert parts("A `b`.\n\n*c* is 2 * 3 * 4") == [
        [(False, "A "), (True, "b"), (False, ".")],
        [(True, "c"), (False, " is 2 * 3 * 4")],
    ]
