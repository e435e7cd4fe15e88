"""A site with a pepper, embedded: no store holds an id as it was sent, and callers see ids as they gave them."""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from fastapi.testclient import TestClient
from typer.testing import CliRunner

from deploy.commands.cli import app as commands
from deploy.config import CommandSettings
from deploy.embedded.app import create_app, nearline
from deploy.wiring.dependencies import open_dependencies
from deploy.wiring.pseudonyms import check_pepper
from schemas.access import keys
from schemas.access.audit import AuditRecord, user_label
from schemas.access.scopes import Scope
from schemas.access.view import AccessView
from schemas.errors import ConfigurationInvalid
from schemas.http.access.guard import Access, Guard
from schemas.values.pseudonyms import Pseudonyms
from serving.config import Settings
from tests.e2e.systems import eventually

MARK = uuid.uuid4().hex
"""Stands in every id of the person, and in nothing else."""
USER, GUEST, SESSION = f"ann/{MARK}", f"guest-{MARK}", f"visit-{MARK}"
ADMIN = keys.make_key(b"a" * keys.ENTROPY_BYTES, [Scope.ADMIN], 0.0)
VIEW = AccessView(log_id="log", keys={ADMIN.record.id: ADMIN.record}, had_keys=True)
PEPPER = "pepper-" * 5
SECONDS = 20.0


class Site:
    def __init__(self, client: TestClient, folder: Path, audited: list[AuditRecord]) -> None:
        self.client, self.folder, self.audited = client, folder, audited

    def send(self, **event: Any) -> str:
        answer = self.client.post("/v1/events", json=event)
        assert answer.status_code == 202, answer.text
        return str(answer.json()["results"][0]["offset"])

    def get(self, address: str, **parameters: Any) -> Any:
        answer = self.client.get(address, params=parameters)
        assert answer.status_code == 200, answer.text
        return answer.json()


def path(user_id: str = USER) -> str:
    return f"/v1/users/{quote(user_id, safe='')}"


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    folder = tmp_path_factory.mktemp("pseudonyms") / "data"
    pepper = tmp_path_factory.mktemp("secret") / "pepper"
    pepper.write_text(PEPPER + "\n")
    audited: list[AuditRecord] = []

    async def audit(record: AuditRecord) -> None:
        audited.append(record)

    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("FRESHET_ID_PEPPER_FILE", str(pepper))
        settings = CommandSettings(data=folder)
        with nearline(settings) as running:
            with open_dependencies(settings) as dependencies:
                check_pepper(settings.pseudonyms, dependencies)
            with TestClient(
                create_app(
                    running, Settings(data=folder, page=True), Access(Guard(lambda: VIEW, time.time), audit=audit)
                )
            ) as client:
                client.headers["Authorization"] = f"Bearer {ADMIN.text}"
                items = [{"item_id": f"i{number}", "title": f"Item {number}"} for number in range(9)]
                assert client.post("/v1/items", json=items).status_code == 202
                eventually(lambda: client.get("/v1/items/i8").status_code == 200, SECONDS, "the catalogue is read")
                for number in range(20):
                    client.post(
                        "/v1/events", json={"type": "view", "user_id": f"u{number % 4}", "item_id": f"i{number % 7}"}
                    )
                yield Site(client, folder, audited)


@pytest.fixture(scope="module")
def lived(site: Site) -> Site:
    """The person has used everything that takes an id."""
    site.send(type="view", session_id=SESSION, item_id="i1")
    site.send(type="view", anonymous_id=GUEST, session_id=SESSION, item_id="i2")
    site.send(type="identify", user_id=USER, anonymous_id=GUEST)
    after = site.send(type="like", user_id=USER, item_id="i3", session_id=SESSION, event_id="e1")
    assert site.client.put(path(), json={"attributes": {"country": "SE"}}).json()["user_id"] == USER
    assert site.client.patch(path(), json={"attributes": {"city": "Lund"}}).status_code == 202
    site.get(path() + "/recommendations", after=after, anonymous_id=GUEST, session_id=SESSION)
    site.get("/v1/items/i1/similar", user_id=USER)
    body = {
        "events": [{"type": "view", "user_id": USER, "session_id": SESSION, "item_id": "i1"}],
        "anonymous_id": GUEST,
    }
    assert site.client.post("/v1/sessions/recommendations", json=body).status_code == 200
    rank = site.client.post(path() + "/rank", json={"item_ids": ["i1", "i4"], "session_id": SESSION})
    assert rank.status_code == 200
    assert site.client.get("/shop/shelves", params={"user": USER}).status_code == 200
    return site


def test_a_read_finds_what_was_written_and_shows_the_id_as_it_was_given(lived):
    view = lived.get(path())
    assert (view["user_id"], view["counters"], view["attributes"]) == (
        USER,
        {"identify": 1, "like": 1, "view": 1},
        {"country": "SE", "city": "Lund"},
    )
    scores = lived.client.post(path() + "/scores", json={"item_ids": ["i1", "i3"]})
    assert scores.json()["user_id"] == USER
    shown = [item["item_id"] for item in lived.get(path() + "/recommendations", count=50)["items"]]
    assert "i3" not in shown
    assert "i2" not in shown, "the linked guest has seen it"


def test_an_unknown_user_is_named_as_the_caller_did(lived):
    answer = lived.client.get("/v1/users/nobody-of-us")
    assert answer.status_code == 404
    assert Pseudonyms(PEPPER.encode()).of("nobody-of-us") not in answer.text


def test_the_page_knows_its_shopper(lived):
    page = lived.client.get("/", params={"user": USER}).text
    assert USER in page
    assert "i3" in page, "the shelf of liked items"


def test_no_store_holds_an_id_as_it_was_sent(lived):
    runner = CliRunner()
    assert runner.invoke(commands, ["archive", "--data", str(lived.folder)]).exit_code == 0
    trained = runner.invoke(commands, ["train", "--data", str(lived.folder)])
    assert trained.exit_code == 0, trained.output
    pseudonym = Pseudonyms(PEPPER.encode()).of(USER).encode()
    answers = lived.folder / "answers.sqlite"
    eventually(lambda: pseudonym in answers.read_bytes() + _beside(answers), SECONDS, "the answer is recorded")
    files = [file for file in lived.folder.rglob("*") if file.is_file()]
    assert [str(file) for file in files if MARK.encode() in file.read_bytes()] == []
    assert len(files) > 4
    assert MARK not in str(lived.audited)
    assert user_label(pseudonym.decode()) in [record.target for record in lived.audited]


def _beside(file: Path) -> bytes:
    wal = file.with_name(file.name + "-wal")
    return wal.read_bytes() if wal.exists() else b""


def test_a_command_takes_the_id_as_it_is(lived):
    shown = CliRunner().invoke(commands, ["recommend", USER, "--data", str(lived.folder)])
    assert shown.exit_code == 0, shown.output
    assert "signals at none" not in shown.output


def test_an_import_keeps_pseudonyms_and_no_refused_rows(lived, tmp_path):
    rows = tmp_path / "rows.csv"
    rows.write_text(f"user,item,type\n{USER},i5,view\n{USER},i6,no_such_type\n")
    mapping = "user=user,item=item,type=type"
    done = CliRunner().invoke(commands, ["import", "auto", str(rows), "--data", str(lived.folder), "--map", mapping])
    assert done.exit_code == 0, done.output
    eventually(lambda: lived.get(path())["counters"].get("view") == 2, SECONDS, "the views count")
    refused = [file.read_text() for file in (lived.folder / "refused").glob("*.jsonl")]
    assert len(refused) == 1
    assert MARK not in refused[0]


def test_an_erasure_finds_the_person(lived):
    receipt = lived.client.delete(path()).json()
    assert receipt["user_id"] == USER
    eventually(lambda: lived.client.get(path()).status_code == 404, SECONDS, "the user is forgotten")


@pytest.mark.parametrize(
    ("pepper", "sentence"), [("", "set FRESHET_ID_PEPPER_FILE"), ("x" * 32, "not the pepper of this site")]
)
def test_another_pepper_or_none_is_refused(lived, monkeypatch, pepper, sentence):
    monkeypatch.delenv("FRESHET_ID_PEPPER_FILE")
    monkeypatch.setenv("FRESHET_ID_PEPPER", pepper)
    refused = CliRunner().invoke(commands, ["recommend", USER, "--data", str(lived.folder)])
    assert refused.exit_code != 0
    assert isinstance(refused.exception, ConfigurationInvalid)
    assert sentence in str(refused.exception)


def test_a_site_that_keeps_ids_already_takes_no_pepper(tmp_path, monkeypatch):
    rows = tmp_path / "rows.csv"
    rows.write_text("user,item,type\nann,i5,view\n")
    arguments = [
        "import",
        "auto",
        str(rows),
        "--data",
        str(tmp_path / "data"),
        "--map",
        "user=user,item=item,type=type",
    ]
    monkeypatch.delenv("FRESHET_ID_PEPPER_FILE", raising=False)
    assert CliRunner().invoke(commands, arguments).exit_code == 0
    monkeypatch.setenv("FRESHET_ID_PEPPER", PEPPER)
    refused = CliRunner().invoke(commands, arguments)
    assert isinstance(refused.exception, ConfigurationInvalid)
    assert "already" in str(refused.exception)


def test_a_site_that_lost_its_check_is_recognised_by_its_log(tmp_path, monkeypatch):
    monkeypatch.delenv("FRESHET_ID_PEPPER_FILE", raising=False)
    monkeypatch.setenv("FRESHET_ID_PEPPER", PEPPER)
    rows, folder = tmp_path / "rows.csv", tmp_path / "data"
    rows.write_text("user,item,type\nann,i5,view\nbob,i5,view\n")
    arguments = ["import", "auto", str(rows), "--data", str(folder), "--map", "user=user,item=item,type=type"]
    assert CliRunner().invoke(commands, arguments).exit_code == 0
    for file in folder.glob("jobs.sqlite*"):
        file.unlink()
    again = CliRunner().invoke(commands, arguments)
    assert again.exit_code == 0, again.output
