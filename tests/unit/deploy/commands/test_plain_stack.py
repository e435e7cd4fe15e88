"""The commands that start servers of their own say at once which settings do not fit them."""

from __future__ import annotations

import pytest
from typer.testing import CliRunner

from deploy.commands import run
from deploy.commands import stack as stack_commands
from deploy.commands.cli import app
from schemas.errors import ConfigurationInvalid

SECURED = {
    "FRESHET_KAFKA_SECURITY_PROTOCOL": "SSL",
    "FRESHET_REDIS_PASSWORD": "some",
    "FRESHET_CASSANDRA_TLS": "true",
    "FRESHET_TLS_CERTIFICATE": "/etc/freshet.pem",
}


@pytest.fixture(autouse=True)
def _no_servers(monkeypatch):
    def started(*_, **__):
        raise AssertionError("servers were started")

    monkeypatch.setattr(run.stack, "start", started)
    monkeypatch.setattr(stack_commands.stack, "start", started)


@pytest.mark.parametrize("variable", SECURED)
def test_the_demo_of_a_cluster_names_the_variable_before_it_starts_anything(monkeypatch, variable):
    monkeypatch.setenv(variable, SECURED[variable])
    error = CliRunner().invoke(app, ["cluster-demo"]).exception
    assert isinstance(error, ConfigurationInvalid)
    assert f"unset {variable}" in str(error)


def test_the_servers_may_be_started_where_only_our_own_processes_encrypt(monkeypatch):
    monkeypatch.setenv("FRESHET_TLS_CERTIFICATE", SECURED["FRESHET_TLS_CERTIFICATE"])
    assert isinstance(CliRunner().invoke(app, ["stack", "start"]).exception, AssertionError)
    monkeypatch.setenv("FRESHET_KAFKA_SECURITY_PROTOCOL", "SASL_SSL")
    assert isinstance(CliRunner().invoke(app, ["stack", "start"]).exception, ConfigurationInvalid)
