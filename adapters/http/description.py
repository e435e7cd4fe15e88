"""The OpenAPI document of an application: FastAPI's, with the rules of access, named schemas, and what generators of clients need."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any, Final

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from fastapi.routing import APIRoute
from starlette.routing import BaseRoute

from schemas.access.scopes import AccessRule
from schemas.http.access.described import components, describe
from schemas.http.access.rules import rule_of_route
from schemas.http.described import DESCRIPTION, LICENCE, TAGS

_NAME: Final = re.compile(r"[A-Z][A-Za-z]+")
"""The name of a type, as schemas that are derived from types carry it in their title."""
_AS_DECLARED: Final = {"example", "examples"}
_REFERENCE: Final = "#/components/schemas/"


def openapi_document(app: FastAPI, routes: Sequence[BaseRoute], *, is_open: bool) -> dict[str, Any]:
    """Returns the document of an application, with the rule of each route as the check of access applies it.

    FastAPI's own 422 is not in it: what it refuses is a problem (400), as ``invalid_as_problem`` answers.
    """
    rules = _rules(routes)
    document = get_openapi(
        title=app.title,
        version=app.version,
        description=DESCRIPTION,
        license_info=LICENCE,
        servers=[{"url": "/", "description": "The origin that serves this document"}],
        routes=app.routes,
    )
    _give_examples(document, routes)
    for _, _, operation in _operations_of(document):
        if "HTTPValidationError" in str(operation["responses"].get("422")):
            del operation["responses"]["422"]
    of_document = document.setdefault("components", {})
    for name in ("HTTPValidationError", "ValidationError"):
        of_document.get("schemas", {}).pop(name, None)
    of_document |= components()
    for path, method, operation in _operations_of(document):
        describe(operation, method, rules[path, method], is_open=is_open)
    used = {tag for _, _, operation in _operations_of(document) for tag in operation["tags"]}
    document["tags"] = [{"name": name, "description": meaning} for name, meaning in TAGS.items() if name in used]
    return with_named_schemas(document)


def with_named_schemas(document: dict[str, Any]) -> dict[str, Any]:
    """Returns the document with each object that has a type's name as a component, so that generated clients have this type once."""
    schemas: dict[str, Any] = {}
    named: dict[str, Any] = _referring(document, schemas)
    own = {name: _members(schema, schemas) for name, schema in document["components"].get("schemas", {}).items()}
    named["components"]["schemas"] = dict(sorted((schemas | own).items()))
    return named


def _referring(schema: Any, schemas: dict[str, Any]) -> Any:
    """The same with references in the place of named objects, which are added to ``schemas``. Of two with one name the first is named."""
    if isinstance(schema, list):
        return [_referring(member, schemas) for member in schema]
    if not isinstance(schema, dict):
        return schema
    whole = _members(schema, schemas)
    name = schema.get("title")
    if not isinstance(name, str) or not _NAME.fullmatch(name) or "properties" not in schema:
        return whole
    return {"$ref": _REFERENCE + name} if schemas.setdefault(name, whole) == whole else whole


def _members(schema: dict[str, Any], schemas: dict[str, Any]) -> dict[str, Any]:
    # FastAPI leaves out defaults that are null, so those of other parts are left out too.
    said = {name: member for name, member in schema.items() if (name, member) != ("default", None)}
    return {name: member if name in _AS_DECLARED else _referring(member, schemas) for name, member in said.items()}


def _give_examples(document: dict[str, Any], routes: Sequence[BaseRoute]) -> None:
    """Gives the examples as the routes declare them: FastAPI leaves out their nulls."""
    for route in routes:
        if not isinstance(route, APIRoute) or not route.include_in_schema:
            continue
        for method in route.methods or ():
            operation = document["paths"][route.path_format][method.lower()]
            for status, declared in route.responses.items():
                _copy_examples(declared, operation["responses"][str(status)])
            if "requestBody" in operation:
                _copy_examples((route.openapi_extra or {}).get("requestBody", {}), operation["requestBody"])


def _copy_examples(declared: dict[str, Any], described: dict[str, Any]) -> None:
    for media_type, content in declared.get("content", {}).items():
        described["content"][media_type] |= {name: content[name] for name in ("example", "examples") if name in content}


def _operations_of(document: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """The path, the method and the description of each operation."""
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            yield path, method.upper(), operation


def _rules(routes: Sequence[BaseRoute]) -> dict[tuple[str, str], AccessRule]:
    """The rule of each route by its path and method."""
    described = (route for route in routes if isinstance(route, APIRoute))
    return {(route.path_format, method): rule_of_route(route) for route in described for method in route.methods or ()}
