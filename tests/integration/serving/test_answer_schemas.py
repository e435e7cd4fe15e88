"""Each answer is as its schema in OpenAPI says: no field is missing, and none is there that the schema does not name."""

from datetime import UTC, datetime

import jsonschema
import numpy as np
import pytest

from adapters.sqlite.jobs import SqliteDocuments
from ingest.config import IngestSettings
from ingest.main import create_app as create_collector
from models.ratings import Ratings
from offline.main import create_app as create_receiver
from offline.publishing.external_models import ExternalModelOptions
from offline.publishing.upload_api import UploadApi
from schemas.offline.statistics import RATINGS, RankedItem, RatingPrior, Statistics, document_of, encode_statistics

CALLS = [
    ("/v1/users/{user_id}/recommendations", "/v1/users/user-1/recommendations?count=3"),
    ("/v1/users/{user_id}/recommendations", "/v1/users/nobody/recommendations?count=3"),
    ("/v1/users/{user_id}/because", "/v1/users/user-1/because?item_id=game%2F9"),
    ("/v1/users/{user_id}/compatibility", "/v1/users/user-1/compatibility?item_id=game%2F9"),
    ("/v1/users/{user_id}/similar", "/v1/users/user-1/similar?count=3"),
    ("/v1/users/{user_id}", "/v1/users/user-1"),
    ("/v1/items/{item_id}/similar", "/v1/items/game%2F9/similar"),
    ("/v1/items/{item_id}/together", "/v1/items/game%2F9/together"),
    ("/v1/items/{item_id}", "/v1/items/game%2F9"),
    ("/v1/items/{item_id}", "/v1/items/everything"),
    ("/v1/items", "/v1/items?limit=3"),
    ("/v1/popular", "/v1/popular"),
    ("/v1/trending", "/v1/trending"),
    ("/v1/latest", "/v1/latest?count=3"),
    ("/v1/statistics/{kind}", "/v1/statistics/best-rated"),
    ("/health/live", "/health/live"),
    ("/health/ready", "/health/ready"),
]
BODIES = [
    ("/v1/users/{user_id}/scores", "/v1/users/user-1/scores", {"item_ids": ["game/9", "unknown"]}),
    ("/v1/users/{user_id}/rank", "/v1/users/user-1/rank", {"item_ids": ["game/9", "game/3"]}),
    (
        "/v1/sessions/recommendations",
        "/v1/sessions/recommendations",
        {"events": [{"type": "view", "item_id": "game/9"}]},
    ),
]
EVERYTHING = {
    "title": "Everything",
    "description": "It has every field",
    "categories": ["group 1"],
    "tags": ["whole"],
    "price": 3.5,
    "url": "https://shop.example/everything",
    "image_url": "https://shop.example/everything.jpg",
    "published_at": "2026-01-01T00:00:00Z",
    "available_from": "2026-01-01T00:00:00Z",
    "available_until": "2099-01-01T00:00:00Z",
    "attributes": {"depth": {"of": ["things", 3]}},
}


@pytest.fixture
def embedded(embedded):
    """The shop with a whole item, ratings and a published table."""
    embedded.put_item("everything", **EVERYTHING)
    embedded.event("rating", "user-1", "game/9", value=4.0)
    embedded.fold()
    documents = SqliteDocuments(embedded.folder)
    table = Statistics(
        kind="best-rated",
        period="month",
        as_of=datetime(2026, 1, 1, tzinfo=UTC),
        categories={"": [RankedItem("game/3", "A title", {"average": 4.5, "ratings": 20.0})]},
        priors={"": RatingPrior(3.5, 10.0)},
    )
    documents.write(document_of("best-rated", "month"), encode_statistics(table))
    documents.write(RATINGS, Ratings(("game/9",), np.array([0.9], np.float32), 3.5, 5.0, 1.0, 5.0).save())
    documents.close()
    return embedded


async def schema_of(client, path, method):
    document = (await client.get("/openapi.json")).json()
    schema = document["paths"][path][method]["responses"]["200"]["content"]["application/json"]["schema"]
    return resolved(schema, document)


def resolved(schema, document):
    """The schema, with the components that its references name."""
    if "$ref" in schema:
        schema = document["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
    return {**schema, "components": document["components"]}


def check(answer, schema):
    jsonschema.Draft202012Validator(schema, format_checker=jsonschema.FormatChecker()).validate(answer)


@pytest.mark.parametrize(("path", "address"), CALLS)
async def test_an_answer_is_as_its_schema_says(client, path, address):
    answer = await client.get(address)
    assert answer.status_code == 200, answer.text
    check(answer.json(), await schema_of(client, path, "get"))


@pytest.mark.parametrize(("path", "address", "body"), BODIES)
async def test_the_answer_to_a_body_is_as_its_schema_says(client, path, address, body):
    answer = await client.post(address, json=body)
    assert answer.status_code == 200, answer.text
    check(answer.json(), await schema_of(client, path, "post"))


@pytest.mark.parametrize(("path", "address"), CALLS)
async def test_a_renamed_member_or_one_more_is_against_the_schema(client, path, address):
    answer, schema = (await client.get(address)).json(), await schema_of(client, path, "get")
    name = min(schema["required"])
    with pytest.raises(jsonschema.ValidationError):
        check({f"{key}_" if key == name else key: value for key, value in answer.items()}, schema)
    with pytest.raises(jsonschema.ValidationError):
        check({**answer, "one_more": 1}, schema)


def documents():
    log = type("NoLog", (), {})()
    yield create_collector(IngestSettings(), log, log).openapi()
    yield create_receiver(UploadApi("x", None, ExternalModelOptions(user_list=1, item_list=1))).openapi()


def operations(document):
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            yield f"{method} {path}", operation


def open_objects(schema, where=""):
    """Places in a schema at which an object names its members, but may have others."""
    if isinstance(schema, dict):
        if "properties" in schema and "additionalProperties" not in schema and schema.get("title") != "Problem":
            yield f"{where}/{schema.get('title')}"
        for name, member in schema.items():
            yield from open_objects(member, f"{where}/{name}")
    if isinstance(schema, list):
        for member in schema:
            yield from open_objects(member, where)


async def test_every_answer_of_every_route_has_a_closed_schema(client):
    for document in ((await client.get("/openapi.json")).json(), *documents()):
        for name, operation in operations(document):
            assert {"400", "500"} <= operation["responses"].keys(), name
            for status, response in operation["responses"].items():
                shared = response.get("$ref", "").rpartition("/")[2]
                described = document["components"]["responses"][shared] if shared else response
                for media_type, content in described["content"].items():
                    schema = content["schema"]
                    reference = schema.get("$ref", "").rpartition("/")[2]
                    schema = document["components"]["schemas"][reference] if reference else schema
                    assert schema.get("type") in {"object", "string"}, (name, status, media_type)
                    assert list(open_objects(schema)) == [], (name, status)


async def test_every_example_is_as_its_schema_says(client):
    checked = 0
    for document in ((await client.get("/openapi.json")).json(), *documents()):
        for _, operation in operations(document):
            bodies = [*operation["responses"].values(), operation.get("requestBody", {})]
            for content in (body["content"].get("application/json", {}) for body in bodies if "content" in body):
                examples = [example["value"] for example in content.get("examples", {}).values()]
                for example in [*examples, *([content["example"]] if "example" in content else [])]:
                    check(example, resolved(content["schema"], document))
                    checked += 1
    assert checked > 30
