"""The OpenAPI document is kept: whatever is asked for, the answers are those that it describes."""

from typing import Any

import httpx
import pytest
import schemathesis
from hypothesis import HealthCheck, given, seed, settings
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi import checks

from tests.docs import pages
from tests.docs.test_live_protocol import READING

CHECKS = [
    not_a_server_error,
    checks.status_code_conformance,
    checks.content_type_conformance,
    checks.response_headers_conformance,
    checks.response_schema_conformance,
]
"""Not whether all that fits the document is taken: names in a path and filters depend on what is published."""

NAMES = {"name": "orders", "pipeline": "webshop", "table": "sessions"}

PATHS = {
    "/metrics": ["good"],
    "/metrics/{name}": ["good", "named"],
    "/v1/tables": ["good"],
    "/v1/tables/{pipeline}": ["good", "named"],
    "/v1/tables/{pipeline}/{table}": ["good", "bad", "named"],
    "/v1/runs": ["good", "bad"],
    "/v1/runs/{run_id}": ["good"],
    "/v1/quarantine": ["good", "bad"],
}
"""Every route, and the kinds of requests there are: where there is nothing to break, none are bad."""


@pytest.fixture(scope="module")
def document(client: httpx.Client) -> Any:
    """What the service says about itself."""
    return schemathesis.openapi.from_url(f"{client.base_url}/openapi.json")


def test_every_route_is_documented(document: Any) -> None:
    """The document describes these paths, and errors in their one shape."""
    others = ("/health", "/v1/live", "/v1/sessions", "/telemetry")
    assert set(PATHS) == {path for path in document.raw_schema["paths"] if not path.startswith(others)}
    for path in PATHS:
        answers = document.raw_schema["paths"][path]["get"]["responses"]
        for status in set(answers) - {"200", "304"}:
            assert answers[status]["content"]["application/json"]["schema"] == {"$ref": "#/components/schemas/Error"}


@pytest.mark.parametrize(("path", "kind"), [(path, kind) for path, kinds in PATHS.items() for kind in kinds])
def test_answers_are_as_documented(document: Any, path: str, kind: str) -> None:
    """Drawn requests that fit the document, that break it, and that name what is there: no fault of ours, and no
    answer that is not described."""
    mode = GenerationMode.NEGATIVE if kind == "bad" else GenerationMode.POSITIVE
    names = {name: text for name, text in NAMES.items() if f"{{{name}}}" in path} if kind == "named" else {}
    drawn = document[path]["GET"].as_strategy(generation_mode=mode, path_parameters=names or None)

    @seed(1)
    @settings(max_examples=20, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    @given(case=drawn)
    def ask(case: Any) -> None:
        case.call_and_validate(checks=CHECKS)

    ask()


def test_every_code_is_explained() -> None:
    """The page names each code that a question about what is published can meet."""
    text = pages.section(pages.DOCS / "reference" / "http.md", "Errors")
    assert all(f"`{code}`" in text for code in READING)
