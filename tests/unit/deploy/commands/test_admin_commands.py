"""``freshet admin`` and ``freshet audit`` on an embedded site."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest
from typer.testing import CliRunner

from deploy.access.changes import current_access
from deploy.commands.cli import app
from deploy.commands.common import open_for
from ingest.access import append_audit
from schemas.access.accounts import Role
from schemas.access.audit import AuditRecord
from schemas.catalogue import Upsert, encode_upsert
from schemas.log import topics
from schemas.log.records import LogEntry

PASSWORD = "a long enough one"


@pytest.fixture
def freshet(tmp_path):
    def run(*words: str, typed: str = "", fails: bool = False) -> str:
        result = CliRunner().invoke(app, [*words, "--data", str(tmp_path)], input=typed, env={"COLUMNS": "200"})
        assert bool(result.exit_code) == fails, result.output
        return str(result.exception) if fails else result.output

    run.folder = tmp_path
    return run


def accounts_of(freshet):
    with open_for(freshet.folder, None) as dependencies:
        return current_access(dependencies.reader).accounts


def test_an_account_is_made_changed_and_disabled(freshet):
    freshet("admin", "create", "Anna", typed=f"{PASSWORD}\n{PASSWORD}\n")
    freshet("admin", "create", "bert", "--role", "viewer", "--email", "bert@shop.example")
    freshet("admin", "role", "bert", "editor")
    assert {name: account.role for name, account in accounts_of(freshet).items()} == {
        "anna": Role.ADMIN,
        "bert": Role.EDITOR,
    }
    began = accounts_of(freshet)["bert"].sessions_from
    freshet("admin", "password", "bert", "--password-stdin", typed="another long one\n")
    assert accounts_of(freshet)["bert"].sessions_from > began
    freshet("admin", "disable", "bert")
    assert not accounts_of(freshet)["bert"].is_enabled
    listed = freshet("admin", "list")
    assert "bert@shop.example" in listed
    assert "disabled" in listed
    freshet("admin", "enable", "bert")
    assert accounts_of(freshet)["bert"].is_enabled


def test_no_password_and_no_hash_of_one_is_shown_or_audited(freshet):
    shown = freshet("admin", "create", "anna", "--password-stdin", typed=f"{PASSWORD}\n")
    shown += freshet("admin", "list") + freshet("audit", "list", "--json")
    assert PASSWORD not in shown
    assert "argon2" not in shown


@pytest.mark.parametrize(
    "words",
    [
        ("admin", "create", "anna", "--password-stdin"),
        ("admin", "role", "nobody", "viewer"),
        ("admin", "role", "anna", "viewer"),
        ("admin", "disable", "anna"),
    ],
)
def test_a_second_account_of_a_name_an_unknown_one_and_the_last_admin_are_refused(freshet, words):
    freshet("admin", "create", "anna", "--password-stdin", typed=f"{PASSWORD}\n")
    sentence = freshet(*words, typed=f"{PASSWORD}\n", fails=True)
    assert "anna" in sentence or "nobody" in sentence
    assert list(accounts_of(freshet)) == ["anna"]
    assert accounts_of(freshet)["anna"].role is Role.ADMIN


def test_each_change_of_an_account_is_audited_with_before_and_after(freshet):
    freshet("admin", "create", "anna", "--password-stdin", typed=f"{PASSWORD}\n")
    freshet("admin", "create", "bert", "--role", "viewer", "--email", "bert@shop.example")
    freshet("admin", "role", "bert", "editor")
    newest = json.loads(freshet("audit", "list", "--json", "--limit", "1"))
    assert (newest["action"], newest["target"], newest["actor_kind"]) == ("admin role", "account bert", "command")
    shown = json.loads(freshet("audit", "show", newest["token"]))
    assert (shown["before"]["role"], shown["after"]["role"]) == ("viewer", "editor")
    assert "admin role" in freshet("audit", "list")


def test_what_an_item_was_before_a_change_is_read_from_the_log(freshet):
    now = datetime.now(UTC)
    changes = [
        Upsert(id="1", op="put", fields={"title": "Zelda", "price": 10.0}, received_at=now),
        Upsert(id="2", op="put", fields={"title": "Mario"}, received_at=now),
        Upsert(id="1", op="patch", fields={"price": 20.0}, received_at=now),
        Upsert(id="1", op="patch", fields={"price": 30.0}, received_at=now),
    ]
    with open_for(freshet.folder, None) as dependencies:
        entries = [LogEntry(upsert.id.encode(), encode_upsert(upsert)) for upsert in changes]
        tokens = dependencies.writer.append(topics.ITEMS, entries).result(10)
        for token in (tokens[0], tokens[2]):
            record = AuditRecord(
                at=now.timestamp() + token.offset,
                actor_kind="key",
                actor="k",
                action="PUT",
                target="item 1",
                offset=str(token),
            )
            append_audit(dependencies.writer, record)
    second, first = map(json.loads, freshet("audit", "list", "--json", "--actor", "k").splitlines())
    assert json.loads(freshet("audit", "show", first["token"]))["before"] is None
    before = json.loads(freshet("audit", "show", second["token"]))["before"]
    assert (before["title"], before["price"]) == ("Zelda", 10.0)


def test_an_unknown_audit_record_is_refused_with_where_to_look(freshet):
    freshet("admin", "create", "anna", "--password-stdin", typed=f"{PASSWORD}\n")
    assert "freshet audit list" in freshet("audit", "show", "0:99", fails=True)
