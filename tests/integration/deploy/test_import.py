"""``freshet import`` as a user runs it: filters, weights, and what it says of them."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from deploy.commands.cli import app
from deploy.config import CommandSettings
from deploy.wiring.dependencies import open_dependencies
from deploy.wiring.training import noted_weights

MAP = "user=user,item=item,type=type,time=at"


@pytest.fixture
def views(tmp_path) -> Path:
    lines = [f"p{user},thing{item},view,{1_700_000_000 + 60 * item}" for user in range(6) for item in range(5)]
    path = tmp_path / "views.csv"
    path.write_text(
        "\n".join(["user,item,type,at", *lines, "loner,rare,view,1700000000", "p0,,view,1700000000"]) + "\n"
    )
    return path


def run(*arguments):
    return CliRunner().invoke(app, ["import", *map(str, arguments)])


def test_a_filter_leaves_out_and_malformed_rows_are_named_by_their_line(views, tmp_path):
    done = run("auto", views, "--map", MAP, "--data", tmp_path / "data", "--filter", "k-core=3")
    assert done.exit_code == 0, done.output
    assert "31 events read" in done.output
    whole = run("auto", views, "--map", MAP, "--data", tmp_path / "whole")
    assert "views.csv line 33: item_id" in whole.output


def test_weights_stay_with_the_data(views, tmp_path):
    data = tmp_path / "data"
    assert run("auto", views, "--map", MAP, "--data", data, "--weights", "view=1,purchase=5").exit_code == 0
    assert run("auto", views, "--map", MAP, "--data", data).exit_code == 0
    with open_dependencies(CommandSettings(stack="embedded", data=data)) as parts:
        assert noted_weights(parts) == "view=1,purchase=5"
