"""Metrics over HTTP."""

from pathlib import Path

import httpx
import pytest

from sojourn import metrics
from tests.command import sojourn
from tests.service.serving import serving
from tests.service.shops import ORDERS, VISITS, publish_visits
from tests.store.places import Place


def test_orders_are_what_the_figure_says(client: httpx.Client) -> None:
    """The two medians of the figure's customers, as one object."""
    answer = client.get("/metrics/orders")
    assert (answer.status_code, answer.headers["content-type"]) == (200, "application/json")
    assert answer.json() == ORDERS


@pytest.mark.parametrize("name", metrics.metrics())
def test_a_metric_is_what_the_command_prints(client: httpx.Client, published: Place, name: str) -> None:
    """Every metric, unwrapped, byte by byte as `sojourn metrics NAME --json` prints it."""
    assert client.get(f"/metrics/{name}").content == published.call("metrics", name, "--json").stdout.rstrip(b"\n")


def test_metrics_are_listed(client: httpx.Client, published: Place) -> None:
    """The list is the command's."""
    assert client.get("/metrics").json() == published.call("metrics", "--json").json


def test_an_unknown_metric_is_404_with_a_suggestion(client: httpx.Client) -> None:
    """A misspelt name is told what it may have meant."""
    answer = client.get("/metrics/ordres")
    assert answer.status_code == 404
    assert (answer.json()["code"], answer.json()["path"]) == ("unknown_metric", "$.path.name")
    assert "did you mean 'orders'?" in answer.json()["message"]


def test_another_pipeline_can_be_named(fresh: Place, tmp_path: Path) -> None:
    """`?pipeline=` reads the tables of one's own pipeline; one that publishes nothing is 404."""
    text = sojourn("pipelines", "webshop").out
    (tmp_path / "mine.toml").write_text(text)
    (tmp_path / "visits.jsonl").write_bytes(VISITS)
    fresh.run(tmp_path / "mine.toml", tmp_path / "visits.jsonl")
    with serving(fresh.open()) as client:
        assert client.get("/metrics/orders?pipeline=mine").json() == ORDERS
        for query in ("", "?pipeline=webshop", "?pipeline=her%00s", "?pipeline=%22;drop"):
            answer = client.get(f"/metrics/orders{query}")
            assert (answer.status_code, answer.json()["code"]) == (404, "not_published")


def test_a_table_that_a_pipeline_lacks_is_404(client: httpx.Client) -> None:
    """A metric over a pipeline without its table says which is missing."""
    answer = client.get("/metrics/fleet?pipeline=webshop")
    assert (answer.status_code, answer.json()["code"]) == (404, "missing_table")


def test_nothing_published_is_404_and_then_is_not(fresh: Place, tmp_path: Path) -> None:
    """Before the first run the answer says how to begin; right after it, it is the metric."""
    with serving(fresh.open()) as client:
        answer = client.get("/metrics/orders")
        assert (answer.status_code, answer.json()["code"]) == (404, "not_published")
        assert "sojourn run webshop FILE" in answer.json()["message"]
        publish_visits(fresh, tmp_path)
        assert client.get("/metrics/orders").json() == ORDERS


def test_what_has_not_changed_is_not_sent_again(client: httpx.Client) -> None:
    """`If-None-Match` with the tag of the same question is 304, with that of another one 200."""
    first, other = client.get("/metrics/orders"), client.get("/metrics/orders?pipeline=webshop")
    tag = first.headers["etag"]
    again = client.get("/metrics/orders", headers={"If-None-Match": f'"x", W/{tag}'})
    assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", tag)
    assert other.headers["etag"] != tag
    assert client.get("/metrics/orders", headers={"If-None-Match": other.headers["etag"]}).status_code == 200


@pytest.mark.parametrize(
    "path", ["/metrics", "/metrics/orders", "/v1/tables", "/v1/tables/webshop/sessions?format=csv"]
)
def test_head_is_get_without_the_body(client: httpx.Client, path: str) -> None:
    """`HEAD` has the status and the headers of `GET`, and no body."""
    get, head = client.get(path), client.head(path)
    assert (head.status_code, head.content) == (200, b"")
    for name in ("content-type", "content-length"):
        assert head.headers[name] == get.headers[name]
    assert client.head("/metrics/none").status_code == 404
