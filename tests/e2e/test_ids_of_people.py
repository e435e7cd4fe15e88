"""A site with a pepper that keeps events without consent, and lets searches expire: what it holds of people, on both stacks."""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterator

import pytest

from deploy.config import CommandSettings
from deploy.wiring.dependencies import open_dependencies
from schemas.keys import UNLINKED_SESSION, Signal
from schemas.log import topics
from schemas.values.pseudonyms import Pseudonyms
from tests.e2e.systems import ClusterSystem, System, call, eventually, freshet, recommendations, running, send

PEPPER = "a pepper of this test, and of nothing else"
MARK = uuid.uuid4().hex
ANN, BOB = f"ann-{MARK}", f"bob-{MARK}"
YES = {"consent": "granted"}
A_SECOND = 1 / 86_400
SECONDS = 60.0


@pytest.fixture(scope="module")
def site(system: System) -> Iterator[System]:
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("FRESHET_ID_PEPPER", PEPPER)
        environment.setenv("FRESHET_CONSENT", "anonymous")
        environment.setenv("FRESHET_RETENTION_DAYS_BY_TYPE", f"search={A_SECOND:.9f}")
        with running(system):
            for number in range(4):
                status, _ = call(f"{system.collector}/v1/items/i{number}", {"title": f"Item {number}"}, "PUT")
                assert status == 202
            yield system


def stored(site: System) -> Iterator[bytes]:
    """Every record of the log, and every value of the signals with its key."""
    settings = site.settings if isinstance(site, ClusterSystem) else CommandSettings(data=site.folder)
    with open_dependencies(settings) as opened:
        for reader in (opened.reader, *opened.answers):
            for topic, partition in reader.ends():
                for record in reader.read(topic, partition, 0, 10_000):
                    yield record.key + f" {topic} ".encode() + (record.value or b"")
        for partition in range(opened.reader.partitions(topics.EVENTS)):
            for signal in Signal:
                for key, value in opened.signals.scan(partition, signal):
                    yield key.encode() + b" " + value


def test_a_person_is_found_by_the_id_and_kept_under_a_pseudonym(site):
    send(site, type="search", user_id=ANN, query="shoes", context=YES)
    after = send(site, type="like", user_id=ANN, item_id="i1", context=YES)
    assert call(f"{site.collector}/v1/users/{ANN}", {"attributes": {"country": "SE"}}, "PUT")[1]["user_id"] == ANN
    answer = recommendations(site, ANN, after=after, anonymous_id=f"guest-{MARK}")
    assert "i1" not in [item["item_id"] for item in answer["items"]]
    view = eventually(lambda: call(f"{site.api}/v1/users/{ANN}")[1], SECONDS, "the user is known")
    assert (view["user_id"], view["counters"]) == (ANN, {"like": 1, "search": 1})
    pseudonym = Pseudonyms(PEPPER.encode()).of(ANN).encode()
    answers = f" {topics.ANSWERS} ".encode()
    eventually(lambda: any(answers in text and pseudonym in text for text in stored(site)), SECONDS, "it is recorded")


def test_an_event_without_consent_is_kept_and_belongs_to_nobody(site):
    send(site, type="view", user_id=BOB, session_id=BOB, item_id="i2")
    eventually(
        lambda: any(text.startswith(UNLINKED_SESSION.encode()) for text in stored(site)), SECONDS, "it is on the log"
    )
    assert call(f"{site.api}/v1/users/{BOB}")[0] == 404
    popular = eventually(lambda: call(f"{site.api}/v1/popular")[1]["items"], SECONDS, "something is popular")
    eventually(lambda: "i2" in [i["item_id"] for i in call(f"{site.api}/v1/popular")[1]["items"]], SECONDS, "it counts")
    assert popular


def test_nothing_that_is_kept_holds_an_id_as_it_was_sent(site):
    texts = list(stored(site))
    assert len(texts) > 10
    assert [text for text in texts if MARK.encode() in text] == []
    files = [file for file in site.folder.rglob("*") if file.is_file()]
    assert [str(file) for file in files if MARK.encode() in file.read_bytes()] == []


def test_searches_expire_where_the_log_lets_them_and_the_signals_stay_equal(site):
    freshet(site, "archive")
    time.sleep(1.1)
    shown = " ".join(freshet(site, "retention").split())
    assert ("Removed records: 2 search" in shown) == (site.stack == "embedded"), shown
    # Kafka holds the event still, and a rebuild would read it there.
    assert ("Removed records: none" in shown) == (site.stack == "cluster"), shown
    assert any(b'"search"' in text for text in stored(site)) == (site.stack == "cluster")
    freshet(site, "signals", "verify")
