"""A mistyped folder or data set is named, and nothing is made for it."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

from deploy.commands.cli import app
from schemas.errors import ConfigurationInvalid


@pytest.mark.parametrize(
    "command", ["signals verify", "models list", "models show x", "deadletters list", "recommend someone"]
)
def test_reading_where_nothing_is_says_so_and_makes_nothing(tmp_path: Path, command: str) -> None:
    folder = tmp_path / "typo"

    result = CliRunner().invoke(app, [*command.split(), "--data", str(folder)])

    assert isinstance(result.exception, ConfigurationInvalid)
    assert "there is no Freshet data" in str(result.exception)
    assert not folder.exists()


@pytest.mark.parametrize("wanted", [["games", "somewhere"], ["auto", "not-there"], ["movies"]])
def test_an_import_that_cannot_be_makes_no_folder(tmp_path: Path, wanted: list[str]) -> None:
    folder = tmp_path / "new"

    result = CliRunner().invoke(app, ["import", *wanted, "--data", str(folder)])

    assert result.exit_code != 0
    assert not folder.exists()
