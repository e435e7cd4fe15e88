"""What ``freshet config show`` prints, and what it never does."""

from __future__ import annotations

import json

import pytest
from pydantic import SecretStr
from typer.testing import CliRunner

from deploy.commands import configuration
from deploy.commands.cli import app
from schemas.configuration.secrets import is_secret

SECRET = "geheim-7413-geheim-7413-geheim-7413"


def shown(*options: str) -> str:
    result = CliRunner().invoke(app, ["config", "show", *options])
    assert result.exit_code == 0, result.output
    return result.output


def secret_variables() -> list[str]:
    fields = {name: field for reader in configuration._READERS for name, field in reader.model_fields.items()}
    return sorted(f"FRESHET_{name.upper()}" for name, field in fields.items() if is_secret(field))


def test_there_are_secrets_to_hide():
    assert {"FRESHET_KAFKA_PASSWORD", "FRESHET_REDIS", "FRESHET_WEBHOOK_SECRET"} <= set(secret_variables())


@pytest.mark.parametrize("variable", secret_variables())
@pytest.mark.parametrize("options", [(), ("--json",), ("--changed",)])
def test_no_secret_is_shown(monkeypatch, variable, options):
    fields = {name: field for reader in configuration._READERS for name, field in reader.model_fields.items()}
    field = fields[variable.removeprefix("FRESHET_").lower()]
    in_url = "SecretStr" not in str(field.annotation) and field.annotation is not SecretStr
    monkeypatch.setenv(variable, f"redis://ann:{SECRET}@host:1/0" if in_url else SECRET)
    said = shown(*options)
    assert SECRET not in said
    assert "***" in said


def test_a_setting_that_was_set_is_told_from_a_default(monkeypatch):
    monkeypatch.setenv("FRESHET_PREFIX", "shop")
    lines = shown().splitlines()
    assert "FRESHET_PREFIX=shop  (set)" in lines
    assert "FRESHET_PARTITIONS=8" in lines
    assert json.loads(shown("--changed", "--json"))["FRESHET_PREFIX"] == "shop"
