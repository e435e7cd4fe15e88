"""Events without consent on the embedded site: refused, or kept without ids."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient
from typer.testing import CliRunner

from deploy.commands.cli import app as commands
from deploy.config import CommandSettings
from deploy.embedded.app import create_app, nearline
from serving.config import Settings
from tests.e2e.systems import eventually

MARK = uuid.uuid4().hex
SECONDS = 20.0
YES, NO = {"context": {"consent": "granted"}}, {"context": {"consent": "denied"}}


@contextmanager
def a_site(folder: Path, mode: str) -> Iterator[TestClient]:
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("FRESHET_CONSENT", mode)
        environment.setenv("FRESHET_ADMIT_AFTER", "2")
        with (
            nearline(CommandSettings(data=folder)) as running,
            TestClient(create_app(running, Settings(data=folder, admit_after=2))) as client,
        ):
            yield client


def view(item: str, **fields: Any) -> dict[str, Any]:
    return {"type": "view", "user_id": f"ann-{MARK}", "session_id": f"visit-{MARK}", "item_id": item} | fields


def popular(client: TestClient) -> list[str]:
    return [item["item_id"] for item in client.get("/v1/popular").json()["items"]]


def test_a_refused_event_says_why_and_its_siblings_are_kept(tmp_path):
    with a_site(tmp_path / "data", "refuse") as client:
        answer = client.post("/v1/events", json=[view("i1", **YES), view("i2"), view("i3", **NO)])
        alone = client.post("/v1/events", json=view("i2"))
    assert answer.status_code == 207
    results = answer.json()["results"]
    assert [result["status"] for result in results] == ["accepted", "rejected", "rejected"]
    assert results[1]["error"]["field"] == "context.consent"
    assert "only events with consent" in results[1]["error"]["detail"]
    assert alone.status_code == 400


def test_events_without_ids_count_for_their_items_and_for_nobody(tmp_path):
    folder = tmp_path / "data"
    with a_site(folder, "anonymous") as client:
        client.put("/v1/items/known", json={"title": "Known"})
        sent = [view("known", event_id=f"e{number}-{MARK}"[:64]) for number in range(3)]
        assert (
            client.post("/v1/events", json=[*sent, *sent, view("bare"), view("bare"), view("bare")]).status_code == 202
        )
        linked = client.post("/v1/events", json={"type": "identify", "user_id": "ann", "anonymous_id": "g"})
        assert linked.status_code == 400
        eventually(lambda: popular(client) == ["known"], SECONDS, "the item is popular")
        assert client.get(f"/v1/users/ann-{MARK}").status_code == 404
        rating = client.get("/v1/popular").json()["items"][0]["score"]
    assert rating > 0
    verified = CliRunner().invoke(commands, ["signals", "verify", "--data", str(folder)])
    assert verified.exit_code == 0, verified.output
    assert [str(f) for f in folder.rglob("*") if f.is_file() and MARK.encode() in f.read_bytes()] == []


@pytest.mark.parametrize(("mode", "kept"), [("refuse", 0), ("anonymous", 2), ("off", 2)])
def test_an_import_is_judged_by_the_same_rule(tmp_path, monkeypatch, mode, kept):
    monkeypatch.setenv("FRESHET_CONSENT", mode)
    rows, folder = tmp_path / "rows.csv", tmp_path / "data"
    rows.write_text(f"user,item,type\n{MARK},i5,view\n{MARK},i6,view\n")
    arguments = ["import", "auto", str(rows), "--data", str(folder), "--map", "user=user,item=item,type=type"]
    done = CliRunner().invoke(commands, arguments)
    assert (done.exit_code == 0) == (kept > 0), done.output
    log = b"".join(file.read_bytes() for file in folder.glob("log.sqlite*"))
    assert (MARK.encode() in log) == (mode == "off")
    if not kept:
        assert "no-consent" in done.output
