"""The last full training and a person's choice of a version outlive versions and runs."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta

import pytest

from deploy.commands.offline import models as commands
from deploy.config import CommandSettings
from deploy.wiring.dependencies import open_dependencies
from deploy.wiring.training import train_in
from offline.data.archive import quiet
from offline.jobs.schedule import SchedulePolicy, due, look
from offline.jobs.train import Skipped
from offline.jobs.training_state import FullTraining, chosen_by_hand, last_full, note_full
from schemas.offline.manifest import Manifest


@pytest.fixture
def dependencies(tmp_path, happen):
    """Of a folder with some likes on its log."""
    happen()
    with open_dependencies(CommandSettings(data=tmp_path)) as opened:
        yield opened


@pytest.fixture
def learn(dependencies, monkeypatch):
    """Trains in this process, with few factors."""
    monkeypatch.setenv("FRESHET_FACTORS", "4")
    monkeypatch.setenv("FRESHET_MODELS", "")
    monkeypatch.setenv("FRESHET_WEIGH_EVENTS", "0")
    monkeypatch.setenv("FRESHET_KEEP_VERSIONS", "2")
    monkeypatch.setenv("FRESHET_HELD_OUT_USERS", "0")

    def learn(**options):
        return train_in(dependencies, "single", force=options.pop("force", False), progress=quiet, **options)

    return learn


@pytest.fixture
def state(dependencies):
    def state():
        opened = dependencies
        return look(opened.reader, opened.archive, opened.models, opened.documents, [], time.time())

    return state


def test_the_last_full_training_is_known_after_its_version_and_its_run_have_expired(dependencies, learn, state, happen):
    full = learn()
    for number in range(5):
        happen(people=10, each=2, tag=f"b{number}")
        assert isinstance(learn(incremental=True), Manifest)
    assert full.version not in {manifest.version for manifest in dependencies.models.versions()}
    seen = state()
    assert (seen.full.version, seen.full.trained_at) == (full.version, full.created_at.timestamp())
    assert (seen.full.seen, seen.full.new) == (2_400, 100)
    assert seen.full.seconds > 0
    assert (seen.active.seen, seen.active.new) == (2_500, 0)


def test_a_full_training_that_was_not_noted_is_found_among_the_versions(dependencies, learn, state):
    full = learn()
    older = datetime.now(UTC) - timedelta(days=3)
    note_full(dependencies.documents, FullTraining(version="older", trained_at=older, offsets={}, seconds=9.0))
    assert state().full.version == full.version


def test_an_incremental_training_is_not_noted_as_full(dependencies, learn, happen):
    full = learn()
    happen(people=10, each=2, tag="b")
    learn(incremental=True)
    assert last_full(dependencies.documents).version == full.version


@pytest.mark.parametrize("how", ["rollback", "promote"])
def test_a_version_that_a_person_chose_is_replaced_only_by_a_full_training_or_a_person(
    dependencies, learn, state, happen, tmp_path, how
):
    first = learn()
    happen(people=10, each=2, tag="b")
    learn(force=True)
    if how == "rollback":
        commands.rollback(tmp_path, "embedded")
    else:
        commands.promote(first.version, tmp_path, "embedded")
    assert dependencies.models.active() == chosen_by_hand(dependencies.documents) == first.version
    happen(people=10, each=2, tag="c")

    skipped = learn(incremental=True)
    assert isinstance(skipped, Skipped)
    assert "a person chose the active version" in skipped.reason
    assert dependencies.models.active() == first.version
    assert state().active.by_hand
    assert not [job for job in due(SchedulePolicy(), state()) if job.job == "train-incremental"]

    full = learn()
    assert dependencies.models.active() == full.version
    happen(people=10, each=2, tag="d")
    assert not state().active.by_hand
    assert isinstance(learn(incremental=True), Manifest)


def test_a_full_training_follows_an_incremental_one_that_has_seen_everything(learn, happen):
    learn()
    happen(people=10, each=2, tag="b")
    learn(incremental=True)
    assert isinstance(learn(), Manifest)
    assert isinstance(learn(), Skipped)
