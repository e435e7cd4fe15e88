"""The read API over HTTP: paths, parameters, problems, what is said of it."""

from collections.abc import AsyncIterator

import httpx
import pytest

from adapters.http.application import HotPath, build_application
from schemas.catalogue import Item, Profile, encode_view
from schemas.http.problems import ProblemError
from schemas.keys import Signal
from serving.http.routes import build_router, recommendations_are_asked, recommendations_endpoint
from serving.service.item_views import item_view
from serving.state.catalogue import described

JSON = {"content-type": "application/json"}


@pytest.fixture(params=["by the router", "by the short cut"])
async def client(shop, say, request) -> AsyncIterator[httpx.AsyncClient]:
    shop.models.publish()
    shop.know("ann", say("view", 3), say("like", 7))
    service = shop.serve(similar_users=True)
    await service.start()

    async def missing() -> list[str]:
        return service.missing()

    hot_paths = [HotPath(recommendations_are_asked, recommendations_endpoint(service))]
    app = build_application(
        "Online API",
        [build_router(service)],
        missing,
        hot_paths=hot_paths if request.param == "by the short cut" else [],
        docs=True,
    )
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://shop") as client:
        yield client
    await service.stop()


async def test_recommendations_are_an_answer(client):
    answer = (await client.get("/v1/users/ann/recommendations?count=4&context.device=phone")).json()
    assert len(answer["items"]) == 4
    assert {"item_id", "score", "reasons", "item"} == answer["items"][0].keys()
    assert answer["items"][0]["item"]["title"].startswith("Game")
    assert answer["signals_offset"].endswith(":1")
    assert answer["generated_at"] == "2026-11-23T10:00:00Z"
    assert answer["degraded"] == []


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("count=0", "count"),
        ("count=501", "count"),
        ("count=many", "count"),
        ("after=soon", "after"),
        ("diversity=2", "diversity"),
        ("diversity=nan", "diversity"),
        ("cursor=%21", "cursor"),
        ("cursor=abc", "cursor"),
        ("seed=-1", "seed"),
        ("filter=price<", "filter"),
        ("filter=" + "x" * 2_001, "filter"),
        ("context=phone", "context"),
        ("nonsense=1", "nonsense"),
        ("pin=item-1", "pin"),
        ("pin=item-1:0", "pin"),
        ("pin=:3", "pin"),
        ("boost=2", "boost"),
        ("boost=0:price<3", "boost"),
        ("boost=-1:price<3", "boost"),
        ("boost=2:price<", "boost"),
        ("include=", "include"),
        ("anonymous_id=", "anonymous_id"),
        ("anonymous_id=a%00b", "anonymous_id"),
        ("anonymous_id=undefined", "anonymous_id"),
        ("session_id=0", "session_id"),
        ("exclude=%20x", "exclude"),
        ("exclude=" + "x" * 129, "exclude"),
    ],
)
async def test_a_bad_parameter_is_a_problem_that_names_it(client, query, field):
    found = await client.get(f"/v1/users/ann/recommendations?{query}")
    assert found.status_code == 400
    assert found.headers["content-type"] == "application/problem+json"
    assert found.json()["field"] == field
    assert found.json()["detail"]


@pytest.mark.parametrize(
    ("body", "field", "index"),
    [
        (b"{", None, None),
        (b"\xff", None, None),
        (b"[]", None, None),
        (b"{}", "events", None),
        (b'{"events": [1]}', "events", 0),
        (b'{"events": [{"type": "view", "item_id": "a"}, {"type": "view", "item_id": 5}]}', "events.item_id", 1),
        (b'{"events": [], "count": 0}', "count", None),
        (b'{"events": [], "nonsense": 0}', "nonsense", None),
    ],
)
async def test_a_bad_body_is_a_problem_that_names_field_and_index(client, body, field, index):
    found = await client.post("/v1/sessions/recommendations", content=body, headers=JSON)
    assert found.status_code == 400
    assert (found.json().get("field"), found.json().get("index")) == (field, index)


@pytest.mark.parametrize(
    "content_type", [None, "text/plain", "application/x-www-form-urlencoded", "multipart/form-data"]
)
async def test_a_body_that_a_form_of_any_page_could_send_is_refused(client, content_type):
    headers = {"content-type": content_type} if content_type else {}
    for path in ("/v1/sessions/recommendations", "/v1/users/ann/scores", "/v1/users/ann/rank"):
        found = await client.post(path, content=b"{}", headers=headers)
        assert (found.status_code, found.json()["type"]) == (415, "urn:freshet:problem:content-type")


async def test_a_body_that_is_too_large_is_refused(client):
    found = await client.post("/v1/users/ann/scores", content=b" " * 1_100_000, headers=JSON)
    assert found.status_code == 413


async def test_ids_may_hold_slashes_and_our_own_words(client, shop, describe):
    odd = ["a/b", "x/similar", "ü/ö y", "recommendations", "similar"]
    for number, each in enumerate(odd):
        shop.say(describe(0, item_id=each, title=each), offset=number + 1)
        shop.signals.put(Signal.PROFILES, each, encode_view(Profile(user_id=each, attributes={"is": each})), each)
    await _lag_reason(client, odd)
    for each in odd:
        encoded = httpx.URL("http://shop").copy_with(path="/").join(_encoded(each))
        item = await client.get(f"/v1/items/{_encoded(each)}")
        assert item.json()["item_id"] == each, encoded
        assert (await client.get(f"/v1/items/{_encoded(each)}/similar")).json()["items"]
        assert (await client.get(f"/v1/users/{_encoded(each)}")).json()["attributes"] == {"is": each}
        assert (await client.get(f"/v1/users/{_encoded(each)}/recommendations")).json()["items"]
    user = "x/recommendations"
    shop.signals.put(Signal.PROFILES, user, encode_view(Profile(user_id=user)), user)
    assert (await client.get(f"/v1/users/{_encoded(user)}")).json()["user_id"] == user
    assert (await client.get("/v1/items/a/b")).json()["item_id"] == "a/b"


async def test_an_id_that_is_too_long_or_empty_is_refused(client):
    assert (await client.get(f"/v1/users/{'x' * 129}/recommendations")).json()["field"] == "user_id"
    assert (await client.get("/v1/users//recommendations")).json()["field"] == "user_id"
    assert (await client.get("/v1/users/a%00b/recommendations")).status_code == 400


async def test_a_parameter_that_there_is_not_names_the_nearest_one(client):
    for path in ("/v1/users/ann/recommendations", "/v1/popular", "/v1/items/item-1/similar"):
        found = await client.get(f"{path}?cuont=3")
        assert (found.status_code, found.json()["field"]) == (400, "cuont")
        assert "did you mean 'count'" in found.json()["detail"]
    assert (await client.get("/v1/users/ann?count=3")).status_code == 400
    assert (await client.get("/v1/items/item-1?count=3")).status_code == 400
    posted = await client.post("/v1/users/ann/scores?count=3", json={"item_ids": ["item-1"]})
    assert posted.json()["detail"] == "There is no parameter 'count'; this address takes none"


async def test_every_list_can_be_filtered(client):
    for path in (
        "/v1/users/ann/recommendations",
        "/v1/popular",
        "/v1/trending",
        "/v1/latest",
        "/v1/items/item-1/similar",
    ):
        request = {"filter": "categories has $wanted and not title contains 'game 1'", "context.wanted": "Story"}
        items = (await client.get(path, params=request | {"count": "50"})).json()["items"]
        assert {item["item_id"] for item in items} == {f"item-{n}" for n in (5, 23, 29, 35, 41, 47, 53, 59)}
    body = {"events": [{"type": "view", "item_id": "item-3"}], "filter": "item_id in ['item-8', 'item-9', 'ITEM-10']"}
    items = (await client.post("/v1/sessions/recommendations", json=body)).json()["items"]
    assert {item["item_id"] for item in items} == {"item-8", "item-9"}


async def test_a_filter_that_cannot_be_read_says_where(client):
    found = (await client.get("/v1/popular", params={"filter": "price < 3 and (title = )"})).json()
    assert (found["status"], found["field"], found["column"]) == (400, "filter", 24)
    assert found["detail"].startswith("filter: column 24: ')' cannot stand here; expected one of: ")


async def test_a_filter_reads_the_users_attributes(client, shop):
    shop.signals.put(
        Signal.PROFILES, "ann", encode_view(Profile(user_id="ann", attributes={"likes": ["Racing"]})), "ann"
    )
    request = {"filter": "categories has any $user.likes", "count": "5"}
    items = (await client.get("/v1/users/ann/recommendations", params=request)).json()["items"]
    assert {item["item"]["categories"][0] for item in items} == {"racing"}
    assert (await client.get("/v1/users/bob/recommendations", params=request)).json()["items"] == []


async def test_a_request_can_allow_pin_and_boost(client):
    request = [("include", f"item-{n}") for n in range(10, 20)] + [("pin", "item-50:2"), ("count", "5")]
    request += [("boost", '3:categories has "sports"')]
    items = (await client.get("/v1/users/ann/recommendations", params=request)).json()["items"]
    assert items[1]["item_id"] == "item-50"
    assert {item["item_id"] for item in items} - {"item-50"} <= {f"item-{n}" for n in range(10, 20)}
    told = {
        reason["source"] for item in items if item["item"]["categories"] == ["sports"] for reason in item["reasons"]
    }
    assert "boost" in told


async def test_a_list_is_ranked_as_it_was_brought_what_was_seen_included(client):
    brought = ["item-2", "item-7", "item-13", "item-3", "none such"]
    answer = (await client.post("/v1/users/ann/rank", json={"item_ids": brought})).json()
    assert {item["item_id"] for item in answer["items"]} == {*brought} - {"none such"}
    assert answer["items"][0]["item_id"] in {"item-7", "item-13"}
    scores = [item["score"] for item in answer["items"]]
    assert scores == sorted(scores, reverse=True)
    filtered = await client.post("/v1/users/ann/rank", json={"item_ids": brought, "filter": "categories = 'racing'"})
    assert {item["item_id"] for item in filtered.json()["items"]} == {"item-7", "item-13"}
    for wrong in ({}, {"item_ids": []}, {"item_ids": ["a"], "filter": "("}):
        assert (await client.post("/v1/users/ann/rank", json=wrong)).status_code == 400


async def test_the_route_of_a_user_and_an_item_explains_how_the_item_suits(client):
    because = (await client.get("/v1/users/ann/because?item_id=item-13")).json()
    assert because["because"][0]["item_id"] == "item-7"
    assert because["signals_offset"].endswith(":1")
    suits = (await client.get("/v1/users/ann/compatibility?item_id=item-13")).json()
    assert suits["percentile"] > 0.7
    assert {"source", "share", "item_id"} == suits["reasons"][0].keys()
    for path in ("because", "compatibility"):
        assert (await client.get(f"/v1/users/ann/{path}")).json()["field"] == "item_id"
        missing = await client.get(f"/v1/users/ann/{path}?item_id=none")
        assert (missing.status_code, missing.json()["field"]) == (404, "item_id")


async def test_similar_users_are_returned_by_id_or_not_at_all(client, shop):
    assert (await client.get("/v1/users/bob/similar")).json()["users"] == []
    assert (await client.get("/v1/users/ann/similar?count=3")).json()["users"][0].keys() == {"user_id", "score"}
    private = shop.serve()
    with pytest.raises(ProblemError, match="does not tell"):
        await private.explanations.similar_users("ann", 3)


async def test_the_together_route_lists_covisited_items(client, shop, say):
    answer = (await client.get("/v1/items/item-3/together?count=2")).json()
    assert len(answer["items"]) == 2
    assert (await client.get("/v1/items/none/together")).status_code == 404
    assert (await client.get("/v1/items/item-3/together?type=bought&count=2")).status_code == 200
    assert (await client.get("/v1/items/item-3/together?type=sold")).status_code == 400


def test_an_item_has_its_address_and_image_in_its_view_and_in_answers():
    addresses = {"url": "https://shop.example/lamp", "image_url": "https://shop.example/lamp.jpg"}
    item = Item(item_id="lamp", **addresses)
    assert addresses.items() <= item_view(item).items()
    assert described(item) == addresses


async def test_item_lists_answer(client):
    for shelf in ("popular", "trending", "latest"):
        answer = (await client.get(f"/v1/{shelf}?count=3&category=Racing")).json()
        assert len(answer["items"]) == 3
        assert answer["items"][0]["item"]["categories"] == ["racing"]
        assert answer["recommendation_id"]


async def test_the_catalogue_can_be_searched_and_paged(client):
    found = (await client.get("/v1/items?query=racing&limit=4")).json()
    assert {each["categories"][0] for each in found["items"]} == {"racing"}
    following = (await client.get(f"/v1/items?query=racing&limit=4&cursor={found['next_cursor']}")).json()
    assert not {i["item_id"] for i in found["items"]} & {i["item_id"] for i in following["items"]}
    everything = (await client.get("/v1/items?limit=500")).json()
    assert len(everything["items"]) == 60
    assert everything["next_cursor"] is None
    assert (await client.get("/v1/items?cursor=x")).json()["field"] == "cursor"
    assert (await client.get("/v1/items?query=zzz")).json()["items"] == []


async def test_what_is_not_there_is_a_404_that_names_it(client):
    item, user = await client.get("/v1/items/none"), await client.get("/v1/users/none")
    assert (item.status_code, item.json()["field"]) == (404, "item_id")
    assert (user.status_code, user.json()["field"]) == (404, "user_id")


async def test_a_user_shows_attributes_and_counts(client, shop):
    shop.signals.put(Signal.PROFILES, "ann", encode_view(Profile(user_id="ann", attributes={"country": "SE"})), "ann")
    user = (await client.get("/v1/users/ann")).json()
    assert user["attributes"] == {"country": "SE"}
    assert user["counters"] == {"view": 1, "like": 1}


async def test_scores_come_in_the_order_of_the_ids(client):
    found = await client.post("/v1/users/ann/scores", json={"item_ids": ["item-1", "item-13"]})
    assert [each["item_id"] for each in found.json()["scores"]] == ["item-1", "item-13"]
    empty = await client.post("/v1/users/ann/scores", json={"item_ids": []})
    assert empty.json()["field"] == "item_ids"


async def test_health_and_metrics_answer(client):
    assert (await client.get("/health/live")).json() == {"status": "live"}
    ready = await client.get("/health/ready")
    assert (ready.status_code, ready.json()["missing"]) == (200, [])
    text = (await client.get("/metrics")).text
    assert "freshet_requests_total" in text
    assert "freshet_model_age_seconds" in text


async def test_what_is_not_ready_says_why_with_503(client, shop):
    shop.now += 60
    shop.signals.mode = "raise"
    ready = await client.get("/health/ready")
    assert ready.status_code == 503
    assert "catalogue" in ready.json()["missing"][0]


async def test_the_openapi_document_shows_parameters_and_examples(client):
    document = (await client.get("/openapi.json")).json()
    operation = document["paths"]["/v1/users/{user_id}/recommendations"]["get"]
    named = {parameter["name"] for parameter in operation["parameters"]}
    assert {"user_id", "count", "after", "exclude", "category", "context.<name>", "seed"} <= named
    example = operation["responses"]["200"]["content"]["application/json"]["example"]
    assert example["items"][0]["reasons"]


def _encoded(text: str) -> str:
    from urllib.parse import quote

    return quote(text, safe="")


async def _lag_reason(client, wanted):
    import asyncio

    for _ in range(200):
        found = (await client.get("/v1/items?limit=500")).json()["items"]
        if {*wanted} <= {each["item_id"] for each in found}:
            return
        await asyncio.sleep(0.02)
    pytest.fail("the catalogue did not catch up")


async def test_a_whole_number_may_be_written_with_a_point(client):
    body = {"events": [{"type": "view", "item_id": "item-1"}]}
    whole = await client.post("/v1/sessions/recommendations", json={**body, "count": 3.0})
    assert (whole.status_code, len(whole.json()["items"])) == (200, 3)
    broken = await client.post("/v1/sessions/recommendations", json={**body, "count": 3.5})
    assert (broken.status_code, broken.json()["field"]) == (400, "count")
