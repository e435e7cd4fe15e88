"""The command and the package say the same version, and the packages are marked as typed."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest
from typer.testing import CliRunner

from deploy.commands.cli import app

ROOT = Path(__file__).resolve().parents[4]
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
PACKAGES = PYPROJECT["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]


def test_the_command_prints_the_version_of_the_project():
    result = CliRunner().invoke(app, ["--version"])
    assert result.exit_code == 0
    assert result.stdout == f"freshet {PYPROJECT['project']['version']}\n"


def test_without_a_command_the_help_is_printed_with_all_commands():
    result = CliRunner().invoke(app, [])
    assert "--version" in result.output
    assert all(command in result.output for command in ("up", "import", "train", "recommend", "doctor"))


def test_the_changelog_has_a_section_for_the_version_of_the_project():
    changelog = (ROOT / "CHANGELOG.md").read_text()
    assert f"\n## [{PYPROJECT['project']['version']}] - " in changelog


@pytest.mark.parametrize("package", PACKAGES)
def test_each_package_of_the_wheel_is_marked_as_typed(package):
    assert (ROOT / package / "py.typed").is_file()
