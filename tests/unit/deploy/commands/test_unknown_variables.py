"""A variable that nothing reads is warned about, with the name that it most likely should have."""

from __future__ import annotations

import sys

import pytest
import stamina
import structlog
from structlog.testing import capture_logs

from deploy.commands import cli
from deploy.config import CommandSettings
from deploy.wiring.variables import (
    declared_variables,
    unknown_variables,
    unused_servers,
    warn_of_variables_without_effect,
)
from ingest.config import IngestSettings
from nearline.config import NearlineConfig
from offline.config import OfflineSettings
from serving.config import Settings as ServingSettings


@pytest.fixture(autouse=True)
def logging_as_before():
    """The command logs to the standard error of its test, which ends with the test."""
    yield
    structlog.reset_defaults()
    stamina.instrumentation.set_on_retry_hooks(None)


def test_the_variables_are_the_fields_of_all_settings():
    tiers = (CommandSettings, IngestSettings, NearlineConfig, OfflineSettings, ServingSettings)
    fields = {field for tier in tiers for field in tier.model_fields}
    assert declared_variables() == {f"FRESHET_{field.upper()}" for field in fields}


def test_a_mistyped_variable_is_named_with_the_nearest_one():
    assert unknown_variables(["FRESHET_SATCK", "HOME"]) == [
        "nothing reads FRESHET_SATCK: is it meant to be FRESHET_STACK?"
    ]


def test_a_variable_like_no_other_is_named_alone():
    assert unknown_variables(["FRESHET_QWERTY_UIOP"]) == ["nothing reads FRESHET_QWERTY_UIOP"]


@pytest.mark.parametrize(
    "name",
    [
        "FRESHET_DATA",
        "FRESHET_CASES",
        "FRESHET_DATASETS",
        "FRESHET_REQUIRE_STACK",
        "FRESHET_STACK_JARS",
        "FRESHET_BENCH_MINUTES",
    ],
)
def test_what_settings_tests_benchmarks_and_the_local_stack_read_is_known(name):
    assert unknown_variables([name]) == []


def test_a_process_warns_once_for_each(monkeypatch):
    monkeypatch.setenv("FRESHET_SATCK", "cluster")
    with capture_logs() as logs:
        warn_of_variables_without_effect("embedded")
    assert [record["log_level"] for record in logs] == ["warning"]
    assert "FRESHET_STACK?" in logs[0]["message"]


def test_servers_that_the_embedded_stack_does_not_use_are_named():
    [sentence] = unused_servers({"FRESHET_KAFKA": "broker:9092", "FRESHET_REDIS": "redis://store"}, "embedded")
    assert "FRESHET_KAFKA, FRESHET_REDIS" in sentence
    assert "FRESHET_STACK=cluster" in sentence


@pytest.mark.parametrize(
    ("environment", "stack"),
    [
        ({"FRESHET_KAFKA": "broker:9092"}, "cluster"),
        ({"FRESHET_KAFKA": "broker:9092", "FRESHET_STACK": "embedded"}, "embedded"),
        ({"FRESHET_DATA": "data/shop"}, "embedded"),
    ],
)
def test_nothing_is_said_where_the_stack_was_chosen_or_no_server_is_named(environment, stack):
    assert unused_servers(environment, stack) == []


def test_a_command_warns_on_standard_error(monkeypatch, capsys):
    monkeypatch.setenv("FRESHET_SATCK", "cluster")
    monkeypatch.setattr(sys, "argv", ["freshet", "--version"])
    with pytest.raises(SystemExit, match="0"):
        cli.main()
    printed = capsys.readouterr()
    assert "is it meant to be FRESHET_STACK?" in printed.err.replace("\n", " ")
    assert "SATCK" not in printed.out
