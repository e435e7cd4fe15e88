"""External models: published by the command and by HTTP, and served like our own."""

from __future__ import annotations

import asyncio
import signal
import socket
import subprocess
import sys
from contextlib import closing

import httpx
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import stamina

from adapters.sqlite.models import SqliteModelStore
from deploy.embedded.app import create_app, nearline
from models.popularity import Popularity
from models.structures.lists import USERS, ScoredList
from serving.config import Settings

TOKEN = "a token of some length"


def free_port():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return taken.getsockname()[1]


@pytest.fixture
def items(shop_copy):
    """The shop's most popular items."""
    with closing(SqliteModelStore(shop_copy.folder)) as store:
        return Popularity.load(store.value(store.active(), "popularity")).top(40).item_ids


@pytest.fixture
def likeness(items):
    """Neighbours that nobody would learn: each item's is the one ten places after it."""
    pairs = [(items[place], items[place + 10]) for place in range(30)]
    return [{"item_id": item, "neighbour_id": other, "score": 0.9} for item, other in pairs]


def served(folder, requests):
    """The answers of the embedded system to requests, in their order."""

    async def answers(app):
        transport = httpx.ASGITransport(app)
        async with app.router.lifespan_context(app), httpx.AsyncClient(transport=transport, base_url="http://x") as ask:
            return [await ask.request(**request) for request in requests]

    settings = Settings(stack="embedded", data=folder, model_seconds=0.05, store_seconds=5.0)
    with nearline(settings) as running:
        return asyncio.run(answers(create_app(running, settings)))


def test_lists_of_a_parquet_file_are_what_a_person_is_shown(shop_copy, shopper, items, freshet, tmp_path):
    file = tmp_path / "lists.parquet"
    rows = [{"user_id": shopper, "item_id": item, "score": 40.0 - place} for place, item in enumerate(items)]
    pq.write_table(pa.Table.from_pylist(rows), file)
    done = freshet("models", "publish", file, "--kind", "lists", "--data", shop_copy.folder)
    assert done.exit_code == 0, done.output
    assert "lists of 40 rows" in done.output
    with closing(SqliteModelStore(shop_copy.folder)) as store:
        active = store.active()
        assert tuple(ScoredList.load(store.entry(active, USERS, shopper)).item_ids) == tuple(items)
    answer = shop_copy.answer(shopper)
    assert answer.model_version == active
    sources = {reason.source for item in answer.items for reason in item.reasons}
    assert "precomputed" in sources


def test_a_file_with_a_wrong_row_is_refused_and_nothing_is_published(shop_copy, freshet, tmp_path):
    file = tmp_path / "neighbours.parquet"
    pq.write_table(pa.table({"item_id": ["a", "b"], "neighbour_id": ["b", "b"], "score": [1.0, 1.0]}), file)
    with closing(SqliteModelStore(shop_copy.folder)) as store:
        before = store.versions()
        done = freshet("models", "publish", file, "--kind", "neighbours", "--data", shop_copy.folder)
        assert str(done.exception) == "row 1: neighbour_id is the item itself, but 'b'"
        assert store.versions() == before


def test_neighbours_sent_by_http_are_served_as_similar_items_and_can_be_explained(
    shop_copy, items, likeness, freshet, monkeypatch
):
    monkeypatch.setenv("FRESHET_MODELS_TOKEN", TOKEN)
    sent = {"method": "POST", "url": "/v1/models/neighbours", "json": likeness}
    asked = {"method": "GET", "url": f"/v1/items/{items[3]}/similar", "params": {"count": 5}}
    authorized = {"headers": {"Authorization": f"Bearer {TOKEN}"}}
    [refused, wrong, invalid, published] = served(
        shop_copy.folder,
        [
            sent,
            sent | {"headers": {"Authorization": "Bearer another"}},
            sent | {"json": [*likeness, {**likeness[0]}]} | authorized,
            sent | authorized,
        ],
    )
    assert [refused.status_code, wrong.status_code] == [401, 401]
    assert (invalid.status_code, invalid.json()["field"], invalid.json()["index"]) == (400, "neighbour_id", 30)
    assert published.status_code == 201, published.text
    assert (published.json()["kind"], published.json()["rows"]) == ("neighbours", 30)

    [similar] = served(shop_copy.folder, [asked])
    assert similar.json()["model_version"] == published.json()["version"]
    found = {item["item_id"]: item["reasons"] for item in similar.json()["items"]}
    assert "similar" in {reason["source"] for reason in found[items[13]]}
    explained = freshet("explain", similar.json()["recommendation_id"], "--data", shop_copy.folder)
    assert explained.exit_code == 0, explained.output
    assert items[13] in explained.output


def test_without_a_token_there_is_no_such_route(shop_copy, likeness):
    [answer] = served(
        shop_copy.folder,
        [{"method": "POST", "url": "/v1/models/neighbours", "json": likeness, "headers": {"Authorization": "Bearer "}}],
    )
    assert answer.status_code in (404, 405)


def test_the_door_is_a_process_of_its_own_where_tiers_are_processes(shop_copy, likeness, monkeypatch):
    port = free_port()
    monkeypatch.setenv("FRESHET_DATA", str(shop_copy.folder))
    monkeypatch.setenv("FRESHET_MODELS_PORT", str(port))
    command = [sys.executable, "-m", "offline.main", "receive"]
    shut = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (shut.returncode, shut.stderr.startswith("FRESHET_MODELS_TOKEN is empty")) == (1, True)

    monkeypatch.setenv("FRESHET_MODELS_TOKEN", TOKEN)
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        url = f"http://127.0.0.1:{port}"
        for attempt in stamina.retry_context(on=httpx.TransportError, timeout=60, wait_max=0.2, attempts=None):
            with attempt:
                assert httpx.get(f"{url}/health/live").json() == {"status": "live"}
        authorized = {"Authorization": f"Bearer {TOKEN}"}
        done = httpx.post(f"{url}/v1/models/neighbours", json=likeness, headers=authorized, timeout=60)
        unknown = httpx.post(f"{url}/v1/models/songs", json=likeness, headers=authorized)
        counted = httpx.get(f"{url}/metrics").text
    finally:
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0
    assert done.status_code == 201, done.text
    assert (unknown.status_code, unknown.json()["field"]) == (404, "kind")
    assert "freshet_model_trained_timestamp_seconds" in counted
    with closing(SqliteModelStore(shop_copy.folder)) as store:
        assert store.active() == done.json()["version"]
