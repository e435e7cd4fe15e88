"""Behaviour stays as it was recorded: stored bytes of signals, a training, and answers of every route."""

from __future__ import annotations

import pytest

from tests.golden import recording, subject

STEP = 9
"""Each so many-th recorded call is asked again; ``python -m tests.golden compare`` asks all of them."""


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """The recorded site made anew: its folder, and what is compared of its making."""
    folder = tmp_path_factory.mktemp("golden")
    return folder, recording.prepare(folder)


@pytest.fixture(scope="module")
def recorded():
    return recording.read()


def test_sixty_thousand_events_fold_into_the_recorded_bytes(site, recorded):
    assert recording.differences(recorded["signals"], site[1]["signals"]) == []


def test_a_training_gives_the_recorded_metrics_and_lists(site, recorded):
    assert recording.differences(recorded["training"], site[1]["training"]) == []


def test_every_route_gives_the_recorded_answers(site, recorded):
    calls, expected = recording.every(recorded, STEP)
    actual = subject.answers_of_folder(site[0], calls)
    differing = [
        f"{call.method} {call.path}: {difference}"
        for call, left, right in zip(calls, expected, actual, strict=True)
        for difference in recording.differences(left, right)
    ]
    assert differing == []


def test_a_score_that_moves_is_a_difference():
    assert recording.differences({"score": 1.0}, {"score": 1.001}) == [".score: 1.0 is 1.001"]
