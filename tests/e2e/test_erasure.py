"""A person and a guest ask to be erased, on both stacks: what is left of them anywhere, and what everybody else keeps."""

from __future__ import annotations

import io
import json
import time
import urllib.request
import uuid
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote

import pytest

from deploy.wiring.dependencies import open_dependencies
from schemas.log import topics
from schemas.log.records import LogEntry
from tests.e2e.store_scan import files_with, kafka_files_with, records_with, settings_of, values_with
from tests.e2e.systems import (
    ClusterSystem,
    System,
    call,
    eventually,
    freshet,
    recommendations,
    running,
    send,
    wait_for_aggregates,
    wait_until_ready,
)

pytestmark = pytest.mark.timeout(900)
"""One fixture starts a site, trains, and backs up."""
MARK = uuid.uuid4().hex
"""Stands in everything that the two people send, and nowhere else."""
USER, GUEST, SESSION = f"user/{MARK}", f"guest-{MARK}", f"visit-{MARK}"
KEEPER, KEPT_GUEST = "keeper", f"alone-{MARK}"
"""A user who stays, and a guest of this user who is erased alone."""
SECONDS = 180.0
OTHERS, ITEMS = 24, 12
EXPIRING = (topics.EVENTS, topics.USERS, topics.ANSWERS, topics.DEADLETTERS, topics.ERASURES)
"""Topics whose records a cluster's receipt says the end of."""


class Site(NamedTuple):
    """A running Freshet with everything that it may keep switched on."""

    system: System
    folder: Path
    """Holds the data folder, snapshots and exports, and backups in another one."""
    backup: Path
    kafka: Path | None
    redis: Path | None
    """The data folders of a cluster's servers."""

    @property
    def kept(self) -> Path:
        """What Freshet keeps in files."""
        return self.folder / "kept"

    def found(self) -> list[str]:
        """Every place where the mark is found."""
        found = files_with(self.kept, MARK) + files_with(self.system.folder, MARK) + records_with(self.system, MARK)
        if isinstance(self.system, ClusterSystem):
            assert self.kafka is not None
            assert self.redis is not None
            found += values_with(self.system, MARK) + kafka_files_with(self.system, self.kafka, MARK)
            found += files_with(self.redis, MARK)
        return found


@pytest.fixture(scope="module")
def site(system: System, request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    folder = tmp_path_factory.mktemp("erasure")
    kafka = redis = None
    if isinstance(system, ClusterSystem):
        ensure = request.getfixturevalue("ensure_server")
        kafka, redis = (ensure(server).data(server) for server in ("kafka", "redis"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FRESHET_SNAPSHOTS", str(folder / "kept" / "snapshots"))
        patch.setenv("FRESHET_SNAPSHOT_MINUTES", "0.02")
        patch.setenv("FRESHET_EXPORT", str(folder / "kept" / "exports"))
        patch.setenv("FRESHET_HELD_OUT_USERS", "0")
        patch.setenv("FRESHET_WEIGH_EVENTS", "0")
        with running(system):
            opened = Site(system, folder, folder / "backup", kafka, redis)
            everybody_lives(opened)
            yield opened


def path(user_id: str) -> str:
    return f"/v1/users/{quote(user_id, safe='')}"


def everybody_lives(site: Site) -> None:
    system = site.system
    views = [
        {"type": "view", "user_id": f"other-{number}", "item_id": f"i{item}"}
        for number in range(OTHERS)
        for item in range(ITEMS)
        if (number + item) % 3
    ]
    assert call(f"{system.collector}/v1/events", views)[0] == 202
    live(system)
    send(system, type="view", anonymous_id=KEPT_GUEST, item_id="i5")
    send(system, type="identify", user_id=KEEPER, anonymous_id=KEPT_GUEST)
    send(system, type="like", user_id=KEEPER, anonymous_id=KEPT_GUEST, item_id="i6")
    linked = send(system, type="view", user_id=KEEPER, item_id="i7")
    poison(system)
    poison(system, topics.USERS)
    refused_row(site)
    freshet(system, "train", "--force")
    wait_until_ready(system)
    wait_for_aggregates(system.api, OTHERS * ITEMS // 2)
    recommendations(system, KEEPER, after=linked)
    recommendations(system, USER)
    freshet(system, "backup", str(site.backup))


def live(system: System, user_id: str = USER, guest: str = GUEST) -> None:
    """Everything that a person may leave behind, with the mark in every field that takes text."""
    send(system, type="view", session_id=SESSION, item_id="i1")
    send(system, type="view", anonymous_id=guest, session_id=SESSION, item_id="i2")
    send(system, type="identify", user_id=user_id, anonymous_id=guest)
    for item in ("i1", "i3", "i4", "i8"):
        noted = {"note": MARK, MARK: 1}
        last = send(system, type="click", user_id=user_id, item_id=item, session_id=SESSION, properties=noted)
    send(system, type="search", user_id=user_id, query=f"shoes {MARK}", context={"page": MARK})
    last = send(system, type="click", user_id=user_id, item_id="i9", session_id=SESSION)
    assert call(system.collector + path(user_id), {"attributes": {"motto": MARK}}, "PUT")[0] == 202
    recommendations(system, user_id, after=last)


def poison(system: System, topic: str = topics.EVENTS) -> None:
    """Another producer writes a record of the person that cannot be applied."""
    with open_dependencies(settings_of(system)) as opened:
        entry = LogEntry(USER.encode(), f'{{"type": 7, "user_id": "{USER}", "note": "{MARK}"}}'.encode())
        opened.writer.append(topic, [entry]).result(30)


def refused_row(site: Site) -> None:
    rows = site.folder / "visits.csv"
    rows.write_text(f"user,item,time\nother-1,i1,2024-01-01T00:00:00Z\n{USER},i1,never\n")
    freshet(site.system, "import", "auto", str(rows), "--map", "user=user,item=item,time=time")
    rows.unlink()


def erase(site: Site, user_id: str = USER) -> dict[str, Any]:
    status, receipt = call(site.system.collector + path(user_id), method="DELETE")
    assert status == 202, receipt
    return receipt


def receipt_of(site: Site, erasure_id: str) -> dict[str, Any]:
    status, receipt = call(f"{site.system.api}/v1/erasures/{erasure_id}")
    assert status == 200, receipt
    return receipt


def places(receipt: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {place["place"]: place for place in receipt["places"]}


def waits_for(receipt: dict[str, Any], *but: str) -> list[dict[str, Any]]:
    ended = {"done", "expires", "kept"}
    return [place for place in receipt["places"] if place["state"] not in ended and place["place"] not in but]


def wait_for(site: Site, erasure_id: str, *but: str) -> dict[str, Any]:
    """The receipt, once every place but these is done, or ends by itself."""
    deadline = time.monotonic() + SECONDS
    while waiting := waits_for(receipt := receipt_of(site, erasure_id), *but):
        assert time.monotonic() < deadline, waiting
        time.sleep(0.1)
    return receipt


def export_of(site: Site, user_id: str) -> dict[str, list[Any]]:
    with urllib.request.urlopen(f"{site.system.api}{path(user_id)}/export", timeout=60) as response:
        content = io.BytesIO(response.read())
    with zipfile.ZipFile(content) as zipped:
        names = [name for name in zipped.namelist() if name.endswith(".jsonl")]
        return {name: [json.loads(line) for line in zipped.read(name).splitlines()] for name in names}


def expire(site: Site) -> None:
    """On Kafka the retention passes at once, instead of in a month. What comes later is kept."""
    assert isinstance(site.system, ClusterSystem)
    from adapters.kafka.access import Connection
    from adapters.kafka.topics import change_config
    from schemas.configuration.server_access import NO_ACCESS

    settings = site.system.settings
    admin = Connection(settings.kafka, NO_ACCESS).admin
    passed = {"retention.ms": "1", "segment.ms": "1000", "file.delete.delay.ms": "1000"}
    for topic in EXPIRING:
        change_config(admin, topics.topic_name(topic, f"{settings.prefix}."), passed)

    def is_empty() -> bool:
        with open_dependencies(settings_of(site.system)) as opened:
            bounds = [
                opened.reader.bounds(topic, partition)
                for topic in EXPIRING
                for partition in range(opened.reader.partitions(topic))
            ]
        return all(begin == end for begin, end in bounds)

    eventually(is_empty, SECONDS, "Kafka has removed what has expired")
    for topic in EXPIRING:
        change_config(admin, topics.topic_name(topic, f"{settings.prefix}."), {"retention.ms": "-1"})


@pytest.fixture(scope="module")
def before(site: Site) -> list[str]:
    """Where the mark was found, before anybody asked."""
    eventually(lambda: "dead" in str(records_with(site.system, MARK)), SECONDS, "the poison is a dead letter")
    eventually(lambda: files_with(site.kept / "snapshots", MARK), SECONDS, "a snapshot holds the person")
    return site.found()


@pytest.fixture(scope="module")
def exported(site: Site, before: list[str]) -> dict[str, list[Any]]:
    """What the person was given, before the erasure."""
    return export_of(site, USER)


@pytest.fixture(scope="module")
def receipts(site: Site, before: list[str], exported: dict[str, list[Any]]) -> list[dict[str, Any]]:
    """The receipts of both erasures, of the user and of the guest, when all is done that Freshet itself does."""
    asked = [erase(site, USER), erase(site, KEPT_GUEST)]
    assert [receipt["user_id"] for receipt in asked] == [USER, KEPT_GUEST]
    assert all(MARK not in str(receipt_of(site, receipt["erasure_id"])) for receipt in asked)
    for receipt in asked:
        wait_for(site, receipt["erasure_id"], "archive", "remnants", "models")
    freshet(site.system, "train", "--force")
    return [wait_for(site, receipt["erasure_id"]) for receipt in asked]


@pytest.fixture(scope="module")
def expired(site: Site, receipts: list[dict[str, Any]]) -> None:
    """The last date of the receipts has passed: Kafka's retention, and then the schedule's rebuild."""
    if isinstance(site.system, ClusterSystem):
        expire(site)
        freshet(site.system, "rebuild", "signals", "--reason", "the log has removed the records of 2 erased people")


def test_before_the_erasure_the_person_is_in_every_place(site, before):
    seen = "\n".join(before)
    for topic in (topics.EVENTS, topics.USERS, topics.ANSWERS, topics.DEADLETTERS):
        assert f"{topic}/" in seen
    assert {"snapshots", "exports", "archive", "refused"} <= set(seen.replace("/", "\n").splitlines())
    stores = (
        ("signals.sqlite", "models.sqlite") if site.kafka is None else (":users", "cassandra/lists", "models/", ".aof")
    )
    assert [store for store in stores if store not in seen] == []


def test_an_export_holds_what_the_person_has_sent(exported):
    assert {line["event"]["type"] for line in exported["events.jsonl"]} >= {"view", "identify", "click", "search"}
    assert MARK in str(exported["attributes.jsonl"])
    assert f"a:{GUEST}" in {line["subject"] for line in exported["signals.jsonl"]}
    assert exported["lists.jsonl"]
    assert exported["answers.jsonl"]


def test_each_place_of_a_receipt_is_done_or_has_a_date(site, receipts):
    of_user, of_guest = receipts
    for receipt in receipts:
        told = places(receipt)
        expected = "done" if site.kafka is None else "expires"
        for place in ("log", "attributes_log", "decision_records", "dead_letters", "counters"):
            assert told.pop(place)["state"] == expected
        assert told.pop("backups")["state"] == "kept"
        assert {place["state"] for place in told.values()} == {"done"}
        dates = [place["at"] for place in receipt["places"] if place["state"] != "kept"]
        assert None not in dates
        assert receipt["complete_by"] == max(dates)
    assert of_user["signature"] != of_guest["signature"]
    assert of_user["person"] != of_guest["person"]


def test_a_receipt_names_the_backups_that_still_hold_the_person(site, receipts):
    assert str(site.backup) in places(receipts[0])["backups"]["detail"]


def test_nothing_of_the_person_is_found_after_the_last_date(site, expired):
    assert site.found() == []


def test_an_erased_person_gets_an_empty_export(site, expired):
    assert {str(lines) for lines in export_of(site, USER).values()} == {"[]"}
    assert call(site.system.api + path(USER))[0] == 404


def test_a_remaining_user_loses_the_link_to_an_erased_guest_and_nothing_else(site, expired):
    kept = export_of(site, KEEPER)
    (value,) = [line["value"] for line in kept["signals.jsonl"] if line["subject"] == f"u:{KEEPER}"]
    assert value["links"] == []
    assert value["counters"] == {"identify": 1, "like": 1, "view": 1}
    assert [line["event"]["type"] for line in kept["events.jsonl"]] == ["identify", "like", "view", "unlink-guest"]


def test_nothing_comes_back_when_the_signals_are_rebuilt(site, expired):
    freshet(site.system, "rebuild", "signals")
    freshet(site.system, "signals", "verify")
    assert site.found() == []


def test_the_person_may_come_back_and_begins_anew(site, expired):
    token = send(site.system, type="view", user_id=USER, item_id="i6")
    recommendations(site.system, USER, after=token)
    status, view = call(site.system.api + path(USER))
    assert (status, view["counters"], view["attributes"]) == (200, {"view": 1}, {})


def test_a_forget_that_is_sent_as_an_event_is_the_same_erasure(site, expired):
    live(site.system, "person-2", "guest-2")
    event_id = f"forget-{uuid.uuid4().hex}"
    send(site.system, type="forget", user_id="person-2", event_id=event_id)
    eventually(lambda: call(f"{site.system.api}/v1/erasures/{event_id}")[0] == 200, SECONDS, "the forget has a receipt")
    wait_for(site, event_id, "archive", "remnants", "models")
    assert call(site.system.api + path("person-2"))[0] == 404
    assert call(site.system.api + path("guest-2"))[0] == 404


def test_an_unknown_erasure_is_404_on_both_apis(site):
    for base in (site.system.api, site.system.collector):
        status, problem = call(f"{base}/v1/erasures/{uuid.uuid4()}")
        assert (status, problem["field"]) == (404, "erasure_id")
