"""Statistics that a job has published, over HTTP and on the page."""

import asyncio
import time
from datetime import UTC, datetime

import numpy as np
import pytest

from adapters.sqlite.jobs import SqliteDocuments
from models.ratings import Ratings
from schemas.offline.statistics import (
    PERIODS,
    RATINGS,
    RankedItem,
    RatingPrior,
    Statistics,
    document_of,
    encode_statistics,
)


@pytest.fixture
def published(embedded):
    documents = SqliteDocuments(embedded.folder)
    items = [
        RankedItem("game/3", "An old title", {"average": 4.5, "ratings": 20.0}),
        RankedItem("game/4", None, {"average": 4.0, "ratings": 9.0}),
        RankedItem("game/never-heard-of", None, {"average": 3.0, "ratings": 1.0}),
    ]
    table = Statistics(
        kind="best-rated",
        period="month",
        as_of=datetime(2026, 1, 1, tzinfo=UTC),
        categories={"": items, "group 3": items[:1]},
        priors={"": RatingPrior(3.5, 10.0)},
    )
    documents.write(document_of("best-rated", "month"), encode_statistics(table))
    documents.write(RATINGS, Ratings(("game/3",), np.array([0.9], np.float32), 3.5, 5.0, 1.0, 5.0).save())
    yield
    documents.close()


async def test_a_table_is_answered_with_the_catalogues_titles_and_its_prior(published, client):
    found = (await client.get("/v1/statistics/best-rated")).json()
    assert [item["item_id"] for item in found["items"]] == ["game/3", "game/4"]
    assert found["items"][0] == {"item_id": "game/3", "title": "Game 3", "average": 4.5, "ratings": 20.0}
    assert found["prior"] == {"mean": 3.5, "ratings": 10.0}
    assert found["as_of"] == "2026-01-01T00:00:00Z"


async def test_a_category_and_a_count_can_be_asked_for(published, client):
    request = {"category": "group 3", "count": 1}
    found = (await client.get("/v1/statistics/best-rated", params=request)).json()
    assert [item["item_id"] for item in found["items"]] == ["game/3"]
    assert (await client.get("/v1/statistics/best-rated", params={"category": "none"})).json()["items"] == []


async def test_an_item_hidden_since_is_left_out(published, client, embedded):
    embedded.put_item("game/3", hidden=True)
    embedded.fold()
    deadline = time.monotonic() + 10
    while (found := await _ids(client)) != ["game/4"]:
        assert time.monotonic() < deadline, found
        await asyncio.sleep(0.02)


async def test_where_ratings_exist_scores_come_with_predicted_ones(published, client):
    request = {"item_ids": ["game/3", "game/4"]}
    scores = (await client.post("/v1/users/nobody/scores", json=request)).json()["scores"]
    assert [score["predicted_rating"] for score in scores] == pytest.approx([4.4, 3.5])
    suits = (await client.get("/v1/users/nobody/compatibility", params={"item_id": "game/3"})).json()
    assert suits["predicted_rating"] == pytest.approx(4.4)


async def _ids(client):
    return [each["item_id"] for each in (await client.get("/v1/statistics/best-rated")).json()["items"]]


@pytest.mark.parametrize(
    ("path", "status", "says"),
    [
        ("/v1/statistics/rising", 404, "freshet statistics"),
        ("/v1/statistics/worst", 404, "best-rated"),
        ("/v1/statistics/best-rated?period=year", 400, "period"),
        ("/v1/statistics/best-rated?count=0", 400, "count"),
    ],
)
async def test_what_there_is_not_is_a_problem_that_says_what_to_do(published, client, path, status, says):
    answer = await client.get(path)
    assert answer.status_code == status
    assert says in answer.text


async def test_the_page_shows_tables_by_period_and_category(published, client):
    page = (await client.get("/statistics", params={"user": "ann"})).text
    assert "Game 3" in page
    assert "10 ratings of 3.50" in page
    assert 'href="/statistics?period=month&amp;category=group%203&amp;user=ann"' in page
    for period in PERIODS:
        assert f"period={period}" in page
    assert "Nothing is published yet" in page  # of the other kinds
    assert "Game 4" not in (await client.get("/statistics", params={"category": "group 3"})).text


async def test_the_page_is_there_before_anything_was_published(client):
    assert (await client.get("/statistics", params={"period": "never"})).status_code == 200
