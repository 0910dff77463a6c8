"""What can be asked over HTTP, as a page: the OpenAPI document, put for people."""

import json
import re
from collections.abc import Mapping
from typing import Any

Parts = list[list[tuple[bool, str]]]


def content(document: Mapping[str, Any]) -> dict[str, Any]:
    """What the page shows of *document*: its routes by tag, each with what it takes and answers."""
    groups: dict[str, list[dict[str, Any]]] = {}
    for path, methods in document["paths"].items():
        for method, route in methods.items():
            groups.setdefault(route["tags"][0], []).append(_route(document, method.upper(), path, route))
    return {
        "about": document["info"]["description"],
        "groups": groups,
        "error": _text(_example(document, {"$ref": "#/components/schemas/Error"})),
    }


def parts(text: str) -> Parts:
    """The paragraphs of *text*, each in pieces: whether it is code, and what it says."""
    return [_pieces(paragraph) for paragraph in text.split("\n\n")]


def _pieces(text: str) -> list[tuple[bool, str]]:
    pieces = re.split(r"`([^`]*)`|\*(\w+)\*", text)  # *name* of a parameter is code, too
    plain, codes = pieces[::3], [one or other for one, other in zip(pieces[1::3], pieces[2::3], strict=True)]
    found = [(False, plain[0])]
    for code, after in zip(codes, plain[1:], strict=True):
        found += [(True, code), (False, after)]
    return [(is_code, text) for is_code, text in found if text]


def _route(document: Mapping[str, Any], method: str, path: str, route: Mapping[str, Any]) -> dict[str, Any]:
    bodies = route.get("requestBody", {}).get("content", {})
    answers = dict(sorted(route["responses"].items()))
    success = {media: given for status in answers if status < "300" for media, given in _media(answers[status]).items()}
    return {
        "anchor": f"{method.lower()}{re.sub('[^a-z_]+', '-', path).rstrip('-')}",
        "method": method,
        "path": path,
        "about": parts(route.get("description", "")),
        "needs_token": "security" in route,
        "parameters": [_parameter(document, given) for given in route.get("parameters", [])],
        "bodies": _examples(document, bodies),
        "answers": [
            (status, parts(answer["description"])[0], list(_media(answer))) for status, answer in answers.items()
        ],
        "examples": _examples(document, success),
    }


def _parameter(document: Mapping[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
    schema = given["schema"]
    is_required = given.get("required", False)
    return {
        "name": given["name"],
        "where": given["in"],
        "type": _kind(document, schema),
        "default": "needed" if is_required else json.dumps(schema["default"]) if "default" in schema else "",
        "about": parts(given.get("description", schema.get("description", "")))[0],
    }


def _kind(document: Mapping[str, Any], schema: Mapping[str, Any]) -> str:
    """What a value may be, in words."""
    schema = _resolved(document, schema)
    if "anyOf" in schema:
        kinds = [_kind(document, each) for each in schema["anyOf"] if each.get("type") != "null"]
        return " or ".join(kinds)
    if "enum" in schema:
        return " or ".join(map(str, schema["enum"]))
    kind = str(schema.get("type", "anything"))
    bounds = {"minimum": "at least {}", "maximum": "at most {}", "maxLength": "at most {} characters"}
    told = [words.format(schema[name]) for name, words in bounds.items() if name in schema]
    return ", ".join([kind, *told])


def _media(answer: Mapping[str, Any]) -> Mapping[str, Any]:
    found: Mapping[str, Any] = answer.get("content", {})
    return found


def _examples(document: Mapping[str, Any], content: Mapping[str, Any]) -> list[tuple[str, str]]:
    """An example of each kind of *content* that has one: what it is of, and its text."""
    found = []
    for media, given in content.items():
        named = [("", given["example"])] if "example" in given else []
        named += [(f", {name}", one["value"]) for name, one in given.get("examples", {}).items()]
        if not named and media.endswith("/json") and given.get("schema"):
            named = [("", _example(document, given["schema"]))]
        found += [(media + name, _text(value)) for name, value in named]
    return found


def _example(document: Mapping[str, Any], schema: Mapping[str, Any]) -> Any:
    """A value as *schema* describes it, of the examples in it."""
    schema = _resolved(document, schema)
    given = schema.get("examples") or [schema[name] for name in ("default", "const") if name in schema]
    if given:
        return given[0]
    if "anyOf" in schema:
        return _example(document, schema["anyOf"][0])
    if "items" in schema:
        return [_example(document, schema["items"])]
    if "properties" in schema:
        return {name: _example(document, each) for name, each in schema["properties"].items()}
    plain = {"string": "…", "integer": 1, "number": 1.5, "boolean": True, "object": {}}.get(schema.get("type", ""))
    return schema.get("enum", [plain])[0]


def _resolved(document: Mapping[str, Any], schema: Mapping[str, Any]) -> Mapping[str, Any]:
    if "$ref" not in schema:
        return schema
    found: Mapping[str, Any] = document["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
    return found


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, indent=2)
