"""``freshet import`` as a user runs it: filters, weights, and what it says of them."""

from __future__ import annotations

from pathlib import Path

import pytest
from fastapi.testclient import TestClient
from typer.testing import CliRunner

from deploy.commands.cli import app
from deploy.config import CommandSettings
from deploy.embedded.app import create_app, nearline
from deploy.wiring.dependencies import open_dependencies
from deploy.wiring.online import serving_settings
from deploy.wiring.rating_scale import with_noted_scale
from deploy.wiring.training import noted_weights
from serving.config import Settings as ServingSettings

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


def settings_in(data):
    return CommandSettings(stack="embedded", data=data)


def rated(path, *ratings):
    path.write_text(
        "\n".join(["user,item,stars", *(f"p{n},i{n % 4},{stars}" for n, stars in enumerate(ratings))]) + "\n"
    )
    return path


def test_the_first_import_of_ratings_notes_their_scale(tmp_path):
    data, stars = tmp_path / "data", "user=user,item=item,value=stars"
    assert run("auto", rated(tmp_path / "a.csv", 3, 8, 10, 0, 7), "--map", stars, "--data", data).exit_code == 0
    later = run("auto", rated(tmp_path / "b.csv", 1, 2, 11), "--map", stars, "--data", data)
    assert "not on the scale of this site, 0..10" in later.output
    with open_dependencies(settings_in(data)) as parts:
        assert with_noted_scale(settings_in(data), parts.documents).rating_scale == "0..10"
        assert (
            with_noted_scale(
                settings_in(data).model_copy(update={"rating_scale": "1..5"}), parts.documents
            ).rating_scale
            == "1..5"
        )


def test_online_answers_and_training_use_the_noted_scale(tmp_path):
    data = tmp_path / "data"
    run("auto", rated(tmp_path / "a.csv", 3, 8, 10), "--map", "user=user,item=item,value=stars", "--data", data)
    assert serving_settings(settings_in(data)).ranking_config().rating_scale == (0.0, 10.0)
    with nearline(settings_in(data)) as running, TestClient(create_app(running, ServingSettings(data=data))) as client:
        event = {"type": "rating", "user_id": "ann", "item_id": "i1"}
        assert client.post("/v1/events", json={**event, "value": 7}).status_code == 202
        refused = client.post("/v1/events", json={**event, "value": 11})
        assert (refused.status_code, refused.json()["field"]) == (400, "value")
