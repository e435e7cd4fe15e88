"""A person asks to be erased: what is left on the embedded stack, and what everybody else keeps."""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from tests.e2e.systems import EmbeddedSystem, System, call, eventually, freshet, recommendations, running, send

MARK = uuid.uuid4().hex
"""Stands in everything that the person sends, and nowhere else."""
USER, GUEST, SESSION = f"user/{MARK}", f"guest-{MARK}", f"visit-{MARK}"
SECONDS = 60.0


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    folder = tmp_path_factory.mktemp("erasure") / "data"
    folder.mkdir()
    with running(EmbeddedSystem(folder)) as system:
        for number in range(40):
            send(system, type="view", user_id=f"other-{number % 5}", item_id=f"i{number % 7}")
        yield system


def path(user_id: str) -> str:
    return f"/v1/users/{quote(user_id, safe='')}"


def live(site: System, user_id: str = USER, guest: str = GUEST) -> None:
    """Everything that a person may leave behind, with the mark in every field that takes text."""
    send(site, type="view", session_id=SESSION, item_id="i1")
    send(site, type="view", anonymous_id=guest, session_id=SESSION, item_id="i2")
    send(site, type="identify", user_id=user_id, anonymous_id=guest)
    for item in ("i1", "i3", "i4"):
        noted = {"note": MARK, MARK: 1}
        last = send(site, type="click", user_id=user_id, item_id=item, session_id=SESSION, properties=noted)
    send(site, type="search", user_id=user_id, query=f"shoes {MARK}", context={"page": MARK})
    assert call(site.collector + path(user_id), {"attributes": {"motto": MARK}}, "PUT")[0] == 202
    recommendations(site, user_id, after=last)


def erase(site: System, user_id: str = USER) -> dict[str, Any]:
    status, receipt = call(site.collector + path(user_id), method="DELETE")
    assert status == 202, receipt
    return receipt


def receipt_of(site: System, erasure_id: str, base: str | None = None) -> dict[str, Any]:
    status, receipt = call(f"{base or site.api}/v1/erasures/{erasure_id}")
    assert status == 200, receipt
    return receipt


def states(receipt: dict[str, Any]) -> dict[str, str]:
    return {place["place"]: place["state"] for place in receipt["places"]}


def wait_for(site: System, erasure_id: str, *places: str) -> dict[str, Any]:
    """The receipt, once these places, or all of them, are done or expire by themselves."""

    deadline = time.monotonic() + SECONDS
    while True:
        receipt = receipt_of(site, erasure_id)
        waiting = [place for place in receipt["places"] if place["state"] not in {"done", "expires"}]
        if not [place for place in waiting if not places or place["place"] in places]:
            return receipt
        assert time.monotonic() < deadline, waiting
        time.sleep(0.1)


def bytes_with_mark(folder: Path) -> list[str]:
    return [str(file) for file in folder.rglob("*") if file.is_file() and MARK.encode() in file.read_bytes()]


def test_an_erasure_reaches_every_place_and_leaves_nothing(site):
    live(site)
    freshet(site, "archive")
    receipt = erase(site)
    assert receipt["user_id"] == USER
    assert set(states(receipt).values()) == {"pending"}
    assert MARK not in str(receipt_of(site, receipt["erasure_id"]))

    done = wait_for(site, receipt["erasure_id"])
    assert call(site.api + path(USER))[0] == 404
    assert (done["complete_by"] is None) == any(place["at"] is None for place in done["places"])
    assert all(place["at"] for place in done["places"] if place["state"] == "done")
    assert done["signature"] != receipt["signature"]
    assert set(states(done).values()) == {"done"}
    assert bytes_with_mark(site.folder) == []


def test_signals_stay_equal_to_a_fold_of_what_is_left(site):
    freshet(site, "signals", "verify")


def test_the_person_may_come_back_and_begins_anew(site):
    token = send(site, type="view", user_id=USER, item_id="i6")
    recommendations(site, USER, after=token)
    status, view = call(site.api + path(USER))
    assert (status, view["counters"], view["attributes"]) == (200, {"view": 1}, {})


def test_a_forget_that_is_sent_as_an_event_is_the_same_erasure(site):
    live(site, "person-2", "guest-2")
    event_id = f"forget-{uuid.uuid4().hex}"
    send(site, type="forget", user_id="person-2", event_id=event_id)
    eventually(lambda: call(f"{site.api}/v1/erasures/{event_id}")[0] == 200, SECONDS, "the forget has a receipt")
    wait_for(site, event_id)
    assert call(site.api + path("person-2"))[0] == 404
    assert call(site.api + path("guest-2"))[0] == 404


def test_an_unknown_erasure_is_404_on_both_apis(site):
    for base in (site.api, site.collector):
        status, problem = call(f"{base}/v1/erasures/{uuid.uuid4()}")
        assert (status, problem["field"]) == (404, "erasure_id")
