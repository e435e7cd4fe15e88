from __future__ import annotations

import pytest

from schemas.catalogue import decode_upsert

ODD_IDS = ["a/b", "a//b/", "å ö", "50% off", "?x=1#y", "..%2F", "recommendations"]


@pytest.mark.parametrize("id_", ODD_IDS)
async def test_any_id_can_be_put_patched_and_deleted(client, records, id_):
    from urllib.parse import quote

    path = f"/v1/items/{quote(id_, safe='')}"
    put = await client.put(path, json={"title": "T"})
    patch = await client.patch(
        path, content=b'{"title":null}', headers={"content-type": "application/merge-patch+json"}
    )
    deleted = await client.delete(path)
    upserts = [decode_upsert(record.value) for record in records("items")]
    assert [answer.status_code for answer in (put, patch, deleted)] == [202] * 3
    assert put.json()["item_id"] == id_
    assert [(upsert.id, upsert.op) for upsert in upserts] == [(id_, "put"), (id_, "patch"), (id_, "delete")]
    assert upserts[1].fields == {"title": None}


async def test_a_receipt_tells_where_the_change_stands(client, records):
    receipt = (await client.put("/v1/items/i", json={"title": "T"})).json()
    (record,) = records("items")
    assert receipt == {"item_id": "i", "offset": f"{record.partition}:{record.offset}"}


@pytest.mark.parametrize(
    ("method", "path", "content", "status", "field"),
    [
        ("PUT", "/v1/items/i", b'{"price": -1}', 400, "price"),
        ("PUT", "/v1/items/i", b'{"price": NaN}', 400, "price"),
        ("PATCH", "/v1/items/i", b'{"titel": "x"}', 400, "titel"),
        ("PATCH", "/v1/items/i", b"null", 400, None),
        ("PUT", "/v1/items/i", b"", 400, None),
        ("PUT", "/v1/items/i", b"[]", 400, None),
        ("PUT", "/v1/items/%00", b"{}", 400, "item_id"),
        ("PUT", "/v1/items/" + "x" * 129, b"{}", 400, "item_id"),
        ("DELETE", "/v1/items/%0A", b"", 400, "item_id"),
        ("PUT", "/v1/items/", b"{}", 400, "item_id"),
        ("PUT", "/v1/users/u", b'{"attributes": 5}', 400, "attributes"),
        ("PUT", "/v1/users/u", b'{"age": 5}', 400, "age"),
        ("PATCH", "/v1/users/u", b'{"attributes": {"a": Infinity}}', 400, "attributes.a"),
        ("DELETE", "/v1/users/%7F", b"", 400, "user_id"),
    ],
)
async def test_what_is_wrong_is_named_and_nothing_is_written(client, records, method, path, content, status, field):
    answer = await client.request(method, path, content=content, headers={"content-type": "application/json"})
    assert (answer.status_code, answer.json().get("field")) == (status, field)
    assert answer.headers["content-type"] == "application/problem+json"
    assert not records("items")
    assert not records("users")


async def test_a_merge_patch_is_not_a_put(client):
    headers = {"content-type": "application/merge-patch+json"}
    assert (await client.put("/v1/items/i", content=b"{}", headers=headers)).status_code == 415


async def test_many_items_are_put_at_once_each_with_its_own_result(client, records):
    lines = b'{"item_id":"a","title":"A"}\n{"item_id":"b","price":"x"}\n{"title":"C"}\n'
    answer = await client.post("/v1/items", content=lines, headers={"content-type": "application/x-ndjson"})
    assert answer.status_code == 207
    a, b, c = answer.json()["results"]
    assert (a["item_id"], a["status"]) == ("a", "accepted")
    assert (b["item_id"], b["error"]["field"], b["error"]["index"]) == ("b", "price", 1)
    assert (c["item_id"], c["error"]["field"]) == (None, "item_id")
    assert [record.key for record in records("items")] == [b"a"]


async def test_a_users_attributes_reach_the_log_generalized(client, records):
    await client.put(
        "/v1/users/ann%2F7", json={"attributes": {"age": 34, "email": "a@b.c", "zip": "85711", "plan": "gold"}}
    )
    (record,) = records("users")
    assert record.key == b"ann/7"
    assert decode_upsert(record.value).fields == {
        "attributes": {"age_group": "25-34", "postcode_area": "857", "plan": "gold"}
    }
    assert b"a@b.c" not in record.value


async def test_a_log_that_is_away_is_503(client, log):
    from schemas.errors import LogUnavailable

    log.error = LogUnavailable("Kafka does not answer")
    answer = await client.put("/v1/items/i", json={})
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")


@pytest.mark.parametrize("path", ["/v1/items/7/similar", "/v1/users/ann/recommendations", "/v1/users/a/b/rank"])
async def test_a_view_is_not_written_unless_its_slash_is_encoded(client, records, path):
    refused = await client.put(path, json={})
    assert (refused.status_code, "Allow" in refused.headers) == (405, True)
    head, _, view = path.rpartition("/")
    assert (await client.put(f"{head}%2F{view}", json={})).status_code == 202
    assert len(records("items") + records("users")) == 1


async def test_an_unknown_method_is_told_which_ones_there_are(client):
    refused = await client.request("TRACE", "/v1/items/7")
    assert (refused.status_code, refused.headers["Allow"]) == (405, "DELETE, PATCH, PUT")


async def test_ids_with_plain_slashes_are_written_as_before(client, records):
    assert (await client.put("/v1/items/game/7", json={})).status_code == 202
    assert [record.key for record in records("items")] == [b"game/7"]
