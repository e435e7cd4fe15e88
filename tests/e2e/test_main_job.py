"""The product's main job, on both stacks: an event changes the next answer."""

from __future__ import annotations

import time
from typing import Any

import pytest

from tests.e2e.systems import System, call, eventually, freshet, recommendations, send, wait_until_ready

IDLE = "414"
LIKED = "260"
SETTLED_SECONDS = 3.0
"""Longer than aggregates need to be flushed and to reach every API process."""


def _items(answer: dict[str, Any]) -> list[str]:
    return [item["item_id"] for item in answer["items"]]


def _model_answers(system: System, version: str | None = None) -> str:
    def active() -> Any:
        answer = recommendations(system, IDLE)
        return (
            answer["model_version"] if answer["model_version"] and version in {None, answer["model_version"]} else None
        )

    return str(eventually(active, 5, "the API serves the model"))


def test_a_like_moves_another_item_up_and_leaves_an_idle_user_alone(movies: System) -> None:
    _model_answers(movies)
    user = "a reader"
    seen = send(movies, type="view", user_id=user, item_id="1")
    before = recommendations(movies, user, count=50, after=seen)
    idle_before = _items(recommendations(movies, IDLE))

    token = send(movies, type="like", user_id=user, item_id=LIKED)
    after = recommendations(movies, user, count=50, after=token)

    assert after["signals_offset"] == token
    assert after["degraded"] == []
    assert LIKED not in _items(after)
    places = {item: place for place, item in enumerate(_items(before))}
    risen = [
        item
        for place, item in enumerate(after["items"])
        if place < places.get(item["item_id"], 10_000)
        and any(reason.get("item_id") == LIKED for reason in item["reasons"])
    ]
    assert risen, "no item moved up because of the liked one"
    time.sleep(SETTLED_SECONDS)
    assert _items(recommendations(movies, IDLE)) == idle_before


def test_nothing_is_lost_over_a_restart_of_everything(movies: System) -> None:
    version = _model_answers(movies)
    user = "somebody/else"
    token = send(movies, type="like", user_id=user, item_id=LIKED)
    recommendations(movies, user, after=token)
    time.sleep(SETTLED_SECONDS)
    before = recommendations(movies, user)

    movies.stop()
    movies.start()
    wait_until_ready(movies)

    assert _model_answers(movies) == version
    after = recommendations(movies, user)
    assert after["signals_offset"] == token
    assert _items(after) == _items(before)
    assert "equal" in freshet(movies, "signals", "verify")


def test_a_rollback_brings_the_old_version_back(movies: System) -> None:
    first = _model_answers(movies)
    assert "is active" in freshet(movies, "train", "--force")
    second = eventually(lambda: _other(movies, first), 5, "the API serves the second model")
    assert second != first

    freshet(movies, "models", "rollback")

    assert _model_answers(movies, first) == first


def test_a_training_without_new_interactions_is_left_out(movies: System) -> None:
    freshet(movies, "train")
    assert "Not trained: nothing has happened" in " ".join(freshet(movies, "train").split())


@pytest.mark.parametrize("system", [pytest.param("cluster", marks=pytest.mark.stack)], indirect=True)
def test_spark_archives_trains_and_publishes_on_the_cluster(movies: System) -> None:
    before = _model_answers(movies)
    assert "als by spark" in " ".join(freshet(movies, "train", "--engine", "spark", "--force", seconds=600).split())
    assert eventually(lambda: _other(movies, before), 5, "the API serves Spark's model")
    # Cassandra has just taken a version in: the first reads of it may be later than their deadline.
    assert eventually(lambda: recommendations(movies, IDLE)["degraded"] == [], 5, "answers are whole again")


def test_an_item_put_is_seen_within_a_second_and_hidden_when_it_says_so(movies: System) -> None:
    status, receipt = call(
        f"{movies.collector}/v1/items/new%2Fone", {"title": "A New One", "categories": ["Drama"]}, "PUT"
    )
    assert status == 202, receipt
    url = f"{movies.api}/v1/items/new%2Fone"
    eventually(lambda: call(url)[0] == 200, 2, "the item is seen")
    assert call(url)[1]["title"] == "A New One"
    call(f"{movies.collector}/v1/items/new%2Fone", {"hidden": True}, "PATCH")
    eventually(lambda: call(url)[1].get("hidden"), 2, "the item is hidden")


def _other(system: System, version: str) -> str | None:
    found = recommendations(system, IDLE)["model_version"]
    return None if found == version else str(found)
