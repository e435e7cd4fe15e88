"""The OpenAPI document has what generators of clients need."""

from __future__ import annotations

import re

import pytest

from adapters.http.description import with_named_schemas
from tests.unit.architecture.applications import applications


@pytest.fixture(scope="module")
def documents(tmp_path_factory):
    with applications(tmp_path_factory.mktemp("site")) as made:
        yield [app.openapi() for app in made.values()]


def operations(document):
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            yield f"{method} {path}", operation


def unnamed(schema, where=""):
    """Places of objects that have the name of a type, but are not a component."""
    if isinstance(schema, list):
        for member in schema:
            yield from unnamed(member, where)
    if isinstance(schema, dict):
        title = schema.get("title")
        if "properties" in schema and isinstance(title, str) and re.fullmatch(r"[A-Z][A-Za-z]+", title):
            yield f"{where}: {title}"
        for name, member in schema.items():
            if name not in {"example", "examples"}:
                yield from unnamed(member, f"{where}/{name}")


def test_operation_ids_are_words_of_ours_and_come_once(documents):
    for document in documents:
        ids = [operation["operationId"] for _, operation in operations(document)]
        assert len(ids) == len(set(ids))
        assert all(re.fullmatch(r"[a-z]+(_[a-z]+)+", id_) and "v1" not in id_ for id_ in ids), ids


def test_an_operation_has_the_same_id_in_every_process(documents):
    ids: dict[str, set[str]] = {}
    for document in documents:
        for name, operation in operations(document):
            ids.setdefault(name, set()).add(operation["operationId"])
    assert ids["get /v1/users/{user_id}/recommendations"] == {"recommend_for_user"}
    assert all(len(of_operation) == 1 for of_operation in ids.values())


def test_each_type_is_a_component_and_has_one_meaning(documents):
    for document in documents:
        assert list(unnamed(document["paths"])) == []
        assert list(unnamed(document["components"].get("responses", {}))) == []
        for name, schema in document["components"]["schemas"].items():
            assert list(unnamed(schema["properties"], name)) == []


def test_each_tag_and_the_document_are_described(documents):
    for document in documents:
        described = {tag["name"] for tag in document["tags"]}
        assert {tag for _, operation in operations(document) for tag in operation["tags"]} == described
        assert document["info"]["description"]
        assert document["info"]["license"]["identifier"] == "Apache-2.0"


def test_examples_keep_their_nulls(documents):
    document = next(document for document in documents if "/v1/events" in document["paths"])
    content = document["paths"]["/v1/users/{user_id}"]["patch"]["requestBody"]["content"]["application/json"]
    assert content["examples"]["a move"]["value"]["attributes"]["postcode"] is None


def test_two_types_of_one_name_are_not_mixed():
    one, other = ({"title": "Same", "properties": {name: {"type": "string"}}} for name in "ab")
    named = with_named_schemas({"paths": {"/a": one, "/b": other}, "components": {}})
    assert named["paths"] == {"/a": {"$ref": "#/components/schemas/Same"}, "/b": other}
