"""The calls of the console answer alike on both stacks, with what each can know."""

from __future__ import annotations

import time

import pytest

from deploy.config import CommandSettings
from deploy.wiring.dependencies import open_dependencies
from schemas.log import topics
from schemas.log.records import LogEntry
from tests.e2e.systems import ClusterSystem, System, call, eventually, send

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def live(system: System) -> System:
    """The system, running, with an item and a visitor."""
    system.start()
    call(f"{system.collector}/v1/items/cup", {"title": "Cup"}, "PUT")
    return system


def _read(system: System, path: str) -> dict:
    status, answer = call(f"{system.api}{path}")
    assert status == 200, answer
    return answer


def test_an_event_is_found_with_its_place_and_its_effects(live: System) -> None:
    token = send(live, type="view", user_id="ann", item_id="cup")
    path = f"/v1/events/recent/{token}"
    eventually(lambda: call(f"{live.api}{path}")[0] == 200, 30, "the event is found")
    eventually(
        lambda: all(effect["applied"] for effect in _read(live, path)["effects"]), 60, "every signal has counted it"
    )
    detail = _read(live, path)
    assert detail["event"]["item_id"] == "cup"
    assert [entry["type"] for entry in detail["effects"][0]["entries"]] == ["view"]
    assert _read(live, "/v1/users/ann/signals")["counters"] == {"view": 1}
    assert _read(live, "/v1/events/recent?user_id=ann")["events"][0]["token"] == token


def test_the_figures_of_each_stack_come_in(live: System) -> None:
    began = time.time()
    while time.time() - began < 20:
        send(live, type="view", user_id="bob", item_id="cup")
        newest = _read(live, "/v1/figures")["newest"]
        if newest["events_per_second"]:
            break
    assert newest["events_per_second"] > 0
    eventually(lambda: _read(live, "/v1/figures")["newest"]["lag"] == 0, 60, "everything is counted")
    unmeasured = set(_read(live, "/v1/figures")["unmeasured"])
    assert unmeasured == (
        set() if live.api == live.collector else {"freshness_p50", "freshness_p99", "rejected_per_second"}
    )


def test_a_click_on_a_list_counts_for_its_route(live: System) -> None:
    status, answer = call(f"{live.api}/v1/popular?count=1")
    assert (status, [item["item_id"] for item in answer["items"]]) == (200, ["cup"])
    send(live, type="click", user_id="ann", item_id="cup", recommendation_id=answer["recommendation_id"])

    def counted() -> bool:
        routes = _read(live, "/v1/figures/outcomes")["routes"]
        return any(route["name"] == "popular" and route["clicked"] == 1 for route in routes)

    eventually(counted, 30, "the click is counted")


def test_a_dead_letter_is_listed_mended_and_replayed(live: System) -> None:
    settings = live.settings if isinstance(live, ClusterSystem) else CommandSettings(data=live.folder)
    with open_dependencies(settings) as parts:
        parts.writer.append(topics.EVENTS, [LogEntry(b"mender", b"{")]).result(30)
    eventually(lambda: _read(live, "/v1/dead-letters")["letters"], 60, "the letter is listed")
    [letter] = _read(live, "/v1/dead-letters")["letters"]
    mended = {"mended": '{"type": "view", "user_id": "mender", "item_id": "cup"}'}
    status, replayed = call(f"{live.api}/v1/dead-letters/{letter['token']}/replay", mended, "POST")
    assert (status, replayed["again"]) == (200, False)
    counted = {"view": 1}
    eventually(lambda: _read(live, "/v1/users/mender/signals")["counters"] == counted, 60, "the mended event counts")


def test_models_jobs_keys_and_audit_are_read(live: System) -> None:
    assert _read(live, "/v1/models") == {"active": None, "challenger": None, "versions": []}
    assert _read(live, "/v1/jobs") == {"runs": []}
    assert _read(live, "/v1/keys") == {"keys": []}
    changes = [record["action"] for record in _read(live, "/v1/audit")["records"]]
    assert "PUT /v1/items/{item_id}" in changes
    assert "POST /v1/dead-letters/{token}/replay" in changes
    [replay] = [record for record in _read(live, "/v1/audit")["records"] if "replay" in record["action"]]
    assert replay["after"] == ["mended"], "what a person did does not stand in the audit log"
