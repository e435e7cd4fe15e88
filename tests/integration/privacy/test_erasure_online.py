"""An online API that runs while a person is erased: what it holds in memory follows, without a restart."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fastapi.testclient import TestClient

from deploy.config import CommandSettings
from deploy.embedded.app import create_app, nearline
from deploy.wiring.dependencies import open_dependencies
from models.als import Als
from models.structures.lists import USERS, ScoredList
from schemas.offline.manifest import DataWindow, Manifest
from serving.config import Settings
from serving.service.service import ServingService
from tests.e2e.systems import eventually

USER, OTHER = "ann-of-the-hill", "bob-of-the-lake"
ITEMS = tuple(f"i{number}" for number in range(4))
SECONDS = 30.0


class Site:
    """The embedded site with a model that knows both users."""

    def __init__(self, client: TestClient) -> None:
        self.client = client

    @property
    def service(self) -> ServingService:
        return self.client.app.state.service  # type: ignore[attr-defined, no-any-return]

    def send(self, **event: Any) -> None:
        assert self.client.post("/v1/events", json=event).status_code == 202

    def sources(self, user_id: str) -> set[str]:
        answer = self.client.get(f"/v1/users/{user_id}/recommendations").json()
        return {reason["source"] for item in answer["items"] for reason in item["reasons"]}

    def popularity(self, item_id: str) -> float:
        catalogue, aggregates = self.service.state.catalogue, self.service.state.aggregates
        position = catalogue.position(item_id)
        return 0.0 if position is None else float(aggregates.count(np.array([position], np.int32))[0])

    def known_users(self) -> tuple[str, ...]:
        als = self.service.state.models.als
        return () if als is None else als.user_ids

    def erase(self, user_id: str) -> str:
        return str(self.client.delete(f"/v1/users/{user_id}").json()["erasure_id"])

    def is_done(self, erasure_id: str, *names: str) -> bool:
        places = self.client.get(f"/v1/erasures/{erasure_id}").json()["places"]
        return all(place["state"] == "done" for place in places if place["place"] in names)


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    folder = tmp_path / "data"
    with nearline(CommandSettings(data=folder)) as running:
        publish(folder)
        with TestClient(create_app(running, Settings(data=folder))) as client:
            opened = Site(client)
            eventually(lambda: running.missing() is None, SECONDS, "the site is ready")
            yield opened


def publish(folder: Path) -> None:
    random, now = np.random.default_rng(7), datetime.now(UTC)
    als = Als((USER, OTHER), ITEMS, random.normal(size=(2, 3)), random.normal(size=(4, 3)), 0.1, 1.0)
    manifest = Manifest(
        version="v1",
        created_at=now,
        algorithm="als",
        engine="single",
        parameters={},
        window=DataWindow(interactions=4, users=2, items=4, last_at=now),
        offsets={},
        values=("als",),
        lists={USERS: 2},
    )
    with open_dependencies(CommandSettings(data=folder)) as opened:
        rows = ((user, ScoredList(ITEMS[2:], (0.9, 0.5)).save()) for user in (USER, OTHER))
        opened.models.write(manifest, {"als": als.save()}, {USERS: rows})
        opened.models.activate("v1", None)


def test_the_served_model_and_its_lists_forget_the_person_before_the_receipt_says_so(site):
    site.send(type="view", user_id=USER, item_id="i0")
    eventually(lambda: site.known_users() == (USER, OTHER), SECONDS, "both users are known")
    assert "precomputed" in site.sources(USER)
    assert "precomputed" in site.sources(OTHER)
    erasure_id = site.erase(USER)
    eventually(lambda: site.is_done(erasure_id, "lists", "caches"), SECONDS, "lists and caches are done")
    assert site.known_users() == (OTHER,)
    assert "precomputed" not in site.sources(USER)
    assert "precomputed" in site.sources(OTHER)


def test_a_running_api_reads_counters_anew_that_were_folded_again_without_the_person(site):
    site.send(type="like", user_id=OTHER, item_id="i1")
    eventually(lambda: site.popularity("i1") > 0, SECONDS, "the views count")
    one = site.popularity("i1")
    for user_id in (USER, "third"):
        site.send(type="like", user_id=user_id, item_id="i1")
    eventually(lambda: site.popularity("i1") == pytest.approx(3 * one), SECONDS, "three views count")
    erasure_id = site.erase(USER)
    eventually(lambda: site.is_done(erasure_id, "counters"), SECONDS, "the counters are done")
    eventually(lambda: site.popularity("i1") == pytest.approx(2 * one), SECONDS, "two views count")
