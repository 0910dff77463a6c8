"""JSON Schemas that a contract names: whether one is sound, and its validator. Nothing that it refers to is fetched."""

from typing import Any

from sojourn.errors import SojournError


def validator(schema: dict[str, Any]) -> Any:
    """What judges records by a sound *schema* (draft 7 where it names no other)."""
    import jsonschema  # 0.15 s to import, needed by few pipelines
    import referencing

    kind = jsonschema.validators.validator_for(schema, default=jsonschema.Draft7Validator)
    return kind(schema, registry=referencing.Registry())  # an own registry: no reference is fetched


def breaches(document: dict[str, Any], schema: Any) -> list[Any]:
    """Where *document* breaks what `validator` made, in the order of the places."""
    try:
        return sorted(schema.iter_errors(document), key=lambda breach: str(breach.json_path))
    except RecursionError as error:
        raise SojournError(
            "bad_schema", "the pipeline's JSON Schema refers to itself without end; nothing was published"
        ) from error


def fault(schema: dict[str, Any]) -> str | None:
    """What is wrong with *schema* itself, in a few words, or None."""
    import jsonschema
    import referencing.exceptions
    import referencing.jsonschema

    if not isinstance(schema.get("$schema", ""), str):
        return "$schema is not a text"
    kind = jsonschema.validators.validator_for(schema, default=jsonschema.Draft7Validator)
    try:
        kind.check_schema(schema)
    except jsonschema.SchemaError as error:
        return f"{error.json_path}: {error.message}"
    whole = referencing.Resource.from_contents(schema, default_specification=referencing.jsonschema.DRAFT7)
    registry = referencing.Registry().with_resource(whole.id() or "", whole)
    try:
        return _dangling(whole, registry.resolver_with_root(whole))
    except (referencing.exceptions.Unresolvable, ValueError, TypeError, AttributeError, RecursionError) as error:
        return f"its references cannot be followed ({error})"  # into values that are no schemas, say


def _dangling(part: Any, resolver: Any) -> str | None:
    """The first reference at or below *part* that leads nowhere."""
    import referencing.exceptions

    target = part.contents.get("$ref") if isinstance(part.contents, dict) else None
    if isinstance(target, str):
        try:
            resolver.lookup(target)
        except referencing.exceptions.Unresolvable:
            return f"it holds no {target!r}, to which it refers"
    below = (_dangling(sub, resolver.in_subresource(sub)) for sub in part.subresources())
    return next((found for found in below if found is not None), None)
