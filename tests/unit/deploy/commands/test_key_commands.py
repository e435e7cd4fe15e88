"""``freshet keys`` for keys that need the token of a user."""

from __future__ import annotations

import json

import pytest
from typer.testing import CliRunner

from deploy.commands.cli import app
from schemas.errors import ConfigurationInvalid


@pytest.fixture
def freshet(tmp_path):
    def run(*words: str) -> str:
        result = CliRunner().invoke(app, ["keys", *words, "--data", str(tmp_path)])
        assert result.exit_code == 0, result.output
        return result.stdout

    return run


def test_a_key_that_needs_the_token_of_a_user_is_listed_as_one_and_rotates_to_one(freshet):
    freshet("create", "--scope", "events:write", "--name", "page", "--needs-user-token")
    freshet("create", "--scope", "events:write", "--name", "server")
    freshet("rotate", "page", "--grace-hours", "0")
    listed = [json.loads(line) for line in freshet("list", "--json").splitlines()]
    assert [(key["name"], key["needs_user_token"]) for key in listed if key["state"] == "live"] == [
        ("page", True),
        ("server", False),
    ]


def test_a_cluster_without_a_secret_makes_no_key_whose_tokens_nobody_could_check(tmp_path, monkeypatch):
    monkeypatch.delenv("FRESHET_ACCESS_SECRET", raising=False)
    words = ["keys", "create", "--scope", "events:write", "--needs-user-token", "--stack", "cluster"]
    error = CliRunner().invoke(app, [*words, "--data", str(tmp_path)]).exception
    assert isinstance(error, ConfigurationInvalid)
    assert "FRESHET_ACCESS_SECRET" in str(error)
