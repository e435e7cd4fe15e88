"""JSON Schemas for OpenAPI, derived from the types that are encoded: whole, without references, and closed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

import msgspec

_PREFIX: Final = "#/"


def schema_of(struct: type[msgspec.Struct]) -> dict[str, Any]:
    """Returns the schema of a struct's JSON. Its objects have no other members than their structs have fields."""
    _, definitions = msgspec.json.schema_components([struct], ref_template=_PREFIX + "{name}")
    whole: dict[str, Any] = _without_references(definitions[struct.__name__], definitions)
    return whole


def closed(title: str, properties: Mapping[str, Any], required: Iterable[str]) -> dict[str, Any]:
    """Returns the schema of an object with these properties and no others."""
    return {
        "title": title,
        "type": "object",
        "properties": dict(properties),
        "required": list(required),
        "additionalProperties": False,
    }


def _without_references(schema: Any, definitions: Mapping[str, Any]) -> Any:
    if isinstance(schema, list):
        return [_without_references(member, definitions) for member in schema]
    if not isinstance(schema, dict):
        return schema
    if (reference := schema.get("$ref")) is not None:
        return _without_references(definitions[reference.removeprefix(_PREFIX)], definitions)
    whole = {name: _without_references(member, definitions) for name, member in schema.items()}
    return {"additionalProperties": False, **whole} if "properties" in whole else whole
