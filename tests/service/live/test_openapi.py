"""The OpenAPI document of live sessions is kept: whatever is asked for, the answers are those that it describes."""

import re
from collections.abc import Iterator
from typing import Any

import jsonschema_rs
import pytest
import schemathesis
from hypothesis import HealthCheck, given, seed, settings
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi import checks

from tests.docs import pages
from tests.service.live.client import begin, event, numbered
from tests.service.live.process import Service

CHECKS = [
    not_a_server_error,
    checks.status_code_conformance,
    checks.content_type_conformance,
    checks.response_headers_conformance,
    checks.response_schema_conformance,
]
ROUTES = [
    ("/v1/sessions", "GET"),
    ("/v1/sessions/{session_id}", "GET"),
    ("/v1/sessions/{session_id}", "DELETE"),
    ("/v1/sessions/{session_id}/events", "POST"),
    ("/health/live", "GET"),
    ("/health/ready", "GET"),
    ("/telemetry", "GET"),
]
ASKED = [
    *((path, method, GenerationMode.POSITIVE) for path, method in ROUTES),
    ("/v1/sessions", "GET", GenerationMode.NEGATIVE),
    ("/v1/sessions/{session_id}/events", "POST", GenerationMode.NEGATIVE),
]
"""Requests that fit, and those that do not where the document says what fits."""

STREAMS = {"/v1/live", "/v1/live/{session_id}"}
"""Server-sent events never end: `test_watching` has them."""


@pytest.fixture(scope="module")
def document(service: Service) -> Any:
    """What the service says about itself."""
    return schemathesis.openapi.from_url(f"http://127.0.0.1:{service.port}/openapi.json")


def test_every_route_of_live_sessions_is_asked(document: Any) -> None:
    """A route that is new must be listed here."""
    live = ("/health", "/v1/live", "/v1/sessions", "/telemetry")
    there = {path for path in document.raw_schema["paths"] if path.startswith(live)}
    assert there == {path for path, _ in ROUTES} | STREAMS


def test_every_path_and_parameter_is_explained(document: Any) -> None:
    """The page about HTTP has a section for each path, which names each of its parameters and has no other."""
    page = pages.DOCS / "reference" / "http.md"
    for path, methods in document.raw_schema["paths"].items():
        told = set(re.findall(r"^\| ((?:`\w+`(?:, )?)+) \|", pages.section(page, f"`{path}`"), re.MULTILINE))
        names = {name for cell in told for name in re.findall(r"`(\w+)`", cell)}
        given = [one for route in methods.values() for one in route.get("parameters", [])]
        assert names == {one["name"] for one in given if one["in"] == "query"}, path
    assert {heading.strip("`") for heading in pages.headings(page) if heading.startswith("`/")} == set(
        document.raw_schema["paths"]
    )


def test_what_needs_a_token_says_so_and_errors_have_one_shape(document: Any) -> None:
    """All but health do, each as a bearer; no error is described but as ours."""
    schema = document.raw_schema
    assert schema["components"]["securitySchemes"]["bearer"]["scheme"] == "bearer"
    error = {"application/json": {"schema": {"$ref": "#/components/schemas/Error"}}}
    for path, methods in schema["paths"].items():
        for route in methods.values():
            assert route.get("security") == (None if path.startswith("/health") else [{"bearer": []}]), path
            assert all(
                answer["content"] == error
                for status, answer in route["responses"].items()
                if status >= "400" and path != "/health/ready"
            ), path


def shown(document: Any) -> Iterator[tuple[str, Any, list[Any]]]:
    """What the document describes, its schema, and the examples of it: parameters, bodies, answers, properties."""
    for path, methods in document["paths"].items():
        for route in methods.values():
            for one in route.get("parameters", []):
                yield f"{path} {one['name']}", one["schema"], examples(one) + examples(one["schema"])
            for part in [route.get("requestBody", {}), *route["responses"].values()]:
                for media, one in part.get("content", {}).items():
                    yield f"{path} {media}", one["schema"], examples(one)
    for name, schema in document["components"]["schemas"].items():
        for key, one in schema["properties"].items():
            yield f"{name} {key}", one, examples(one)


def examples(given: Any) -> list[Any]:
    """The examples that stand beside a schema or in it; where it lists its values, these."""
    several = given.get("examples", [])
    found = [one["value"] for one in several.values()] if isinstance(several, dict) else list(several)
    return [*found, *given.get("enum", [])] + [given[name] for name in ("example", "const", "default") if name in given]


def test_everything_has_examples_that_fit(document: Any) -> None:
    """But what is made of other parts, which have their own, and files of bytes."""
    schema = document.raw_schema
    for what, one, found in shown(schema):
        assert found or "$ref" in str(one) or one.get("format") == "binary", what
        whole = {"components": schema["components"], "allOf": [one]}
        assert all(jsonschema_rs.is_valid(whole, example) for example in found), what


def test_who_may_be_told_304_is_told_how(document: Any) -> None:
    """The header stands with each route that can answer so."""
    for path, methods in document.raw_schema["paths"].items():
        for route in methods.values():
            names = {one["name"] for one in route.get("parameters", [])}
            assert ("304" in route["responses"]) is ("If-None-Match" in names), path


@pytest.mark.parametrize(
    ("content", "fits"),
    [
        ([begin("a"), event(1)], True),
        ([event(1, more={"any": [1]})], True),
        ([{"type": "EVENT", "timestamp": -1.5, "name": "before 1970"}], True),
        (numbered(1, begin("a")), True),
        ([], False),
        ({}, False),
        ([1], False),
        ([{"type": "EVENT", "timestamp": 1}], False),
        ([{"type": "SESSION_START", "timestamp": 1}], False),
        ([{"type": "EVENT", "timestamp": "1", "name": "a"}], False),
        ([{"type": "CLICK", "timestamp": 1, "name": "a"}], False),
        (numbered(0, event(1)), False),
        ({**numbered(1, event(1)), "more": 1}, False),
    ],
)
def test_what_fits_as_a_body_is_what_is_taken(service: Service, document: Any, content: Any, fits: bool) -> None:
    """The document says what the service does."""
    post = document.raw_schema["paths"]["/v1/sessions/{session_id}/events"]["post"]
    schema = post["requestBody"]["content"]["application/json"]["schema"]
    assert jsonschema_rs.is_valid(schema, content) is fits
    service.post("a", [begin("a")])
    assert (service.post("a", content).status == 200) is fits
    assert service.ask("DELETE", "/v1/sessions/a").status == 204


@pytest.mark.parametrize(("path", "method", "mode"), ASKED)
def test_answers_are_as_documented(
    service: Service, document: Any, path: str, method: str, mode: GenerationMode, name: str
) -> None:
    """Drawn requests that fit the document and that break it: no fault of ours, no answer that is not described."""
    service.post(name, [begin(name), event(1)])
    named = {"session_id": name} if "{" in path and mode is GenerationMode.POSITIVE else None
    drawn = document[path][method].as_strategy(generation_mode=mode, path_parameters=named)

    @seed(1)
    @settings(max_examples=15, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    @given(case=drawn)
    def ask(case: Any) -> None:
        case.call_and_validate(checks=CHECKS)

    ask()


def test_the_examples_work(service: Service, document: Any) -> None:
    """What the document shows as a body is taken as it stands, as an array and as lines."""
    shown = document.raw_schema["paths"]["/v1/sessions/{session_id}/events"]["post"]["requestBody"]["content"]
    array, lines = shown["application/json"]["example"], shown["application/x-ndjson"]["example"]
    assert service.post("visit-1", array).status == 200
    assert service.ask("DELETE", "/v1/sessions/visit-1").status == 204
    assert service.post("visit-1", lines.encode(), Content_Type="application/x-ndjson").status == 200
    assert service.ask("DELETE", "/v1/sessions/visit-1").status == 204
