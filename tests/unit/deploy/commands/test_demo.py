"""The demo serves what it has where no model could be trained."""

from __future__ import annotations

import pytest

from deploy.commands import run
from deploy.commands.common import settings_for
from schemas.errors import ConfigurationInvalid, SparkFailed


@pytest.fixture
def train_first(monkeypatch, tmp_path):
    """Trains the first model of a demo, where training raises an error or None."""

    def train_first(error: Exception | None) -> bool:
        def train_in(*_, **__):
            if error is not None:
                raise error

        monkeypatch.setattr(run, "archive_by_spark", lambda *_: None)
        monkeypatch.setattr(run, "train_in", train_in)
        return run._train_first(None, settings_for(tmp_path, "cluster"), "spark")

    return train_first


def test_a_failure_of_spark_is_told_in_a_sentence_and_the_demo_goes_on(train_first, capsys):
    assert train_first(SparkFailed("Spark failed at training als")) is False
    assert capsys.readouterr().err.strip().endswith("There is no model yet: Spark failed at training als.")


def test_a_training_that_succeeds_makes_a_model(train_first):
    assert train_first(None) is True


def test_any_other_failure_ends_the_demo(train_first):
    with pytest.raises(ConfigurationInvalid):
        train_first(ConfigurationInvalid("wrong"))
