"""What an export of a user holds, on the embedded stack in one folder, and who may have it."""

from __future__ import annotations

import io
import time
import uuid
import zipfile
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote

import msgspec
import pytest
from fastapi.testclient import TestClient

from deploy.config import CommandSettings
from deploy.embedded.app import create_app, nearline
from deploy.wiring.dependencies import open_dependencies
from models.structures.lists import USERS, ScoredList
from schemas.access import keys
from schemas.access.audit import AuditRecord, user_label
from schemas.access.scopes import Scope
from schemas.access.view import AccessView
from schemas.events import LoggedEvent
from schemas.http.access.guard import Access, Guard
from schemas.log import topics
from schemas.log.codec import encode_event
from schemas.log.records import Record
from schemas.offline.manifest import DataWindow, Manifest
from serving.config import Settings
from tests.e2e.systems import eventually

USER, OTHER = "ann/of us", "bob"
ADMIN = keys.make_key(b"a" * keys.ENTROPY_BYTES, [Scope.ADMIN], 0.0)
READER = keys.make_key(b"r" * keys.ENTROPY_BYTES, [Scope.USERS_READ, Scope.RECOMMENDATIONS_READ], 0.0)
VIEW = AccessView(log_id="log", keys={key.record.id: key.record for key in (ADMIN, READER)}, had_keys=True)
MARKS = {
    name: f"{name}-{uuid.uuid4().hex}"
    for name in (
        *("guest", "session", "silent", "item", "query", "recommendation", "shown", "page", "note", "event"),
        *("motto", "listed", "asked", "early", "archived"),
    )
}
"""A text for each field of the person that takes one; it stands nowhere else."""
FOREIGN = f"foreign-{uuid.uuid4().hex}"
"""Stands in every text of somebody else."""
SECONDS = 20.0


class Site:
    """The embedded site, called by an administrator unless a test says otherwise."""

    def __init__(self, client: TestClient, folder: Path) -> None:
        self.client, self.folder = client, folder
        self.audited: list[AuditRecord] = []

    def send(self, **event: Any) -> None:
        assert self.client.post("/v1/events", json=event, headers=bearer(ADMIN)).status_code == 202

    def export(self, user_id: str = USER, key: keys.NewKey = ADMIN) -> Any:
        return self.client.get(f"/v1/users/{quote(user_id, safe='')}/export", headers=bearer(key))

    def files(self, user_id: str = USER) -> dict[str, str]:
        response = self.export(user_id)
        assert response.status_code == 200, response.text
        assert response.headers["content-type"] == "application/zip"
        with zipfile.ZipFile(io.BytesIO(response.content)) as archive:
            assert archive.testzip() is None
            return {name: archive.read(name).decode() for name in archive.namelist()}


def bearer(key: keys.NewKey) -> dict[str, str]:
    return {"Authorization": f"Bearer {key.text}"}


def lines(files: dict[str, str], name: str) -> list[dict[str, Any]]:
    return [msgspec.json.decode(line) for line in files[name].splitlines()]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    folder = tmp_path_factory.mktemp("export") / "data"
    audited: list[AuditRecord] = []

    async def audit(record: AuditRecord) -> None:
        audited.append(record)

    with nearline(CommandSettings(data=folder)) as running:
        publish_lists(folder)
        app = create_app(running, Settings(data=folder), Access(Guard(lambda: VIEW, time.time), audit=audit))
        with TestClient(app) as client:
            opened = Site(client, folder)
            opened.audited = audited
            live(opened)
            archive_of_an_earlier_log(folder)
            eventually(lambda: running.missing() is None, SECONDS, "the site is ready")
            eventually(lambda: MARKS["asked"] in opened.files()["answers.jsonl"], SECONDS, "the answer is recorded")
            yield opened


def live(site: Site) -> None:
    """What a person may leave behind, in every field, and what somebody else leaves behind beside it."""
    guest, session = MARKS["guest"], MARKS["session"]
    site.send(type="view", session_id=MARKS["silent"], item_id="i1", event_id=MARKS["early"])
    site.send(type="view", anonymous_id=guest, session_id=MARKS["silent"], item_id="i2")
    site.send(type="identify", user_id=USER, anonymous_id=guest)
    noted = {"properties": {"note": MARKS["note"]}, "context": {"page": MARKS["page"]}}
    site.send(
        type="click", user_id=USER, session_id=session, item_id=MARKS["item"], event_id=MARKS["event"][:64], **noted
    )
    site.send(type="like", user_id=USER, item_id="i3", recommendation_id=MARKS["recommendation"], position=0)
    site.send(type="search", user_id=USER, query=MARKS["query"])
    site.send(type="impression", user_id=USER, impression=[MARKS["shown"]])
    foreign = {"properties": {"note": FOREIGN}, "context": {"page": FOREIGN}, "session_id": FOREIGN}
    for number in range(40):
        site.send(type="view", user_id=f"{OTHER}-{number}", item_id="i1", **foreign)
    site.send(type="search", anonymous_id=FOREIGN, query=FOREIGN)
    # Somebody else was signed in on the same device.
    site.send(type="identify", user_id=OTHER, anonymous_id=guest, **foreign)
    for user_id, motto in ((USER, MARKS["motto"]), (OTHER, FOREIGN)):
        address = f"/v1/users/{quote(user_id, safe='')}"
        put = site.client.put(address, json={"attributes": {"motto": motto}}, headers=bearer(ADMIN))
        assert put.status_code == 202
        page = MARKS["asked"] if user_id == USER else FOREIGN
        asked = site.client.get(
            f"{address}/recommendations", params={"context.page": page, "anonymous_id": guest}, headers=bearer(ADMIN)
        )
        assert asked.status_code == 200, asked.text


def publish_lists(folder: Path) -> None:
    now = datetime.now(UTC)
    window = DataWindow(interactions=1, users=2, items=1, last_at=now)
    manifest = Manifest(
        version="v1",
        created_at=now,
        algorithm="als",
        engine="single",
        parameters={},
        window=window,
        offsets={},
        values=(),
        lists={USERS: 2},
    )
    rows = [(USER, MARKS["listed"]), (OTHER, FOREIGN)]
    with open_dependencies(CommandSettings(data=folder)) as opened:
        opened.models.write(manifest, {}, {USERS: ((user, ScoredList((item,), (0.5,)).save()) for user, item in rows)})


def archive_of_an_earlier_log(folder: Path) -> None:
    now = datetime.now(UTC)
    values = [(USER, MARKS["archived"]), (OTHER, FOREIGN)]
    records = [
        Record(topics.EVENTS, 11, offset, 1_700_000_000_000, user.encode(), encode_event(event))
        for offset, (user, text) in enumerate(values)
        for event in [
            LoggedEvent(
                event_id=f"e{offset}", type="view", user_id=user, item_id=text, occurred_at=now, received_at=now
            )
        ]
    ]
    with open_dependencies(CommandSettings(data=folder)) as opened:
        opened.archive.write("a log of before", records)


def test_every_field_of_the_person_is_in_the_export_and_nothing_of_anybody_else(site):
    files = site.files()
    assert set(files) == {
        "README.txt",
        *(f"{name}.jsonl" for name in ("events", "attributes", "signals", "lists", "answers")),
    }
    everything = "".join(files.values())
    assert [name for name, mark in MARKS.items() if mark[:64] not in everything] == []
    assert FOREIGN not in everything
    assert f'"{OTHER}"' not in everything


def test_events_are_in_order_with_those_of_guest_and_session(site):
    events = lines(site.files(), "events.jsonl")
    places = [(line["log_id"], line["partition"], line["offset"]) for line in events]
    assert len(set(places)) == len(events) == 8
    own = [line["event"]["type"] for line in events if line["event"].get("user_id") == USER]
    assert own == ["view", "identify", "click", "like", "search", "impression"], "the archive's come first"
    assert events[0]["log_id"] == "a log of before"
    assert {line["event"]["item_id"] for line in events if "user_id" not in line["event"]} == {"i1", "i2"}


def test_signals_have_names_and_those_of_the_guest_are_among_them(site):
    signals = {
        line["subject"]: line["value"] for line in lines(site.files(), "signals.jsonl") if line["signal"] == "users"
    }
    assert set(signals) == {f"u:{USER}", f"a:{MARKS['guest']}", f"s:{MARKS['silent']}"}
    assert signals[f"u:{USER}"]["links"] == [MARKS["guest"]]
    assert {entry["type"] for entry in signals[f"u:{USER}"]["recent"]} == {"click", "like"}


def test_a_record_of_an_answer_holds_what_it_was_made_from(site):
    (answer,) = [line["answer"] for line in lines(site.files(), "answers.jsonl")]
    assert answer["request"]["context"] == {"page": MARKS["asked"]}
    assert set(answer["inputs"]) >= {f"u:{USER}"}


def test_a_user_of_whom_nothing_is_held_gets_empty_files(site):
    files = site.files("nobody")
    assert {text for name, text in files.items() if name != "README.txt"} == {""}


def test_only_an_administrator_may_export(site):
    assert site.export(key=READER).status_code == 403
    assert site.client.get(f"/v1/users/{OTHER}/export").status_code == 401


def test_an_export_is_in_the_audit_log_without_the_id(site):
    site.export()
    record = site.audited[-1]
    assert (record.actor_kind, record.actor, record.action) == ("key", ADMIN.record.id, "export user")
    assert record.target == user_label(USER)
    assert USER not in str(record)


def test_another_method_at_the_address_is_refused(site):
    assert site.client.delete(f"/v1/users/{OTHER}/export", headers=bearer(ADMIN)).status_code == 405
