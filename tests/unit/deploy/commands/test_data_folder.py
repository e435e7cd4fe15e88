"""The data folder of a command: the option, else the environment, else the default."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from deploy.commands import run
from deploy.commands.cli import app
from deploy.config import CommandSettings


@pytest.fixture
def folder_checked(monkeypatch):
    """The folder that ``freshet doctor`` is about, by its arguments."""

    def checked(*arguments: str) -> Path:
        folders: list[Path] = []

        def examined(settings: CommandSettings):
            folders.append(settings.data)
            return iter(())

        monkeypatch.setattr("deploy.commands.doctor.examined", examined)
        assert CliRunner().invoke(app, ["doctor", *arguments]).exit_code == 0
        return folders[0]

    return checked


def test_the_environment_names_the_data_folder_of_a_command(folder_checked, monkeypatch):
    monkeypatch.setenv("FRESHET_DATA", "data/shop")
    assert folder_checked() == Path("data/shop")


def test_the_option_overrides_the_environment(folder_checked, monkeypatch):
    monkeypatch.setenv("FRESHET_DATA", "data/shop")
    assert folder_checked("--data", "data/other") == Path("data/other")


def test_without_either_a_command_uses_the_default_of_every_process(folder_checked, monkeypatch):
    monkeypatch.delenv("FRESHET_DATA", raising=False)
    assert folder_checked() == CommandSettings().data


def test_the_demo_of_the_sample_store_is_in_the_folder_of_the_environment(monkeypatch):
    monkeypatch.setenv("FRESHET_DATA", "data/shop")
    assert run._folder(None) == Path("data/shop")
    assert run._folder(Path("sets/ml-100k")) == Path("data/ml-100k")
