"""Behaviour stays as it was recorded: stored bytes of signals, a training, and answers of every route."""

from __future__ import annotations

from typing import Any, NamedTuple

import pytest

from tests.golden import recording, subject

STEP = 9
"""Each so many-th recorded call is asked again; ``python -m tests.golden compare`` asks all of them."""


class Made(NamedTuple):
    """The recorded site made anew, and what is compared of its making."""

    site: subject.Site
    found: dict[str, Any]


pytestmark = pytest.mark.timeout(600)


CHANGED = ("/v1/statistics/best-rated", "/v1/users/a%0Ab")
"""Answers changed on purpose: a person counts once for an item, by the newest rating; a line break in a path is a 400."""


@pytest.fixture(scope="module", params=["embedded", pytest.param("cluster", marks=pytest.mark.stack)])
def made(request, tmp_path_factory, ensure_server):
    folder = tmp_path_factory.mktemp("golden") / "data"
    if request.param == "embedded":
        site = subject.embedded_site(folder)
    else:
        for server in ("kafka", "redis", "cassandra"):
            config = ensure_server(server)
        site = subject.cluster_site(folder, config.environment())
    return Made(site, recording.prepare(site))


@pytest.fixture(scope="module")
def recorded():
    return recording.read()


def test_sixty_thousand_events_fold_into_the_recorded_bytes(made, recorded):
    assert recording.differences(recorded["signals"], made.found["signals"]) == []


def test_a_training_publishes_the_recorded_metrics_values_and_lists(made, recorded):
    assert recording.differences(recorded["training"], made.found["training"]) == []


def test_every_route_gives_the_recorded_answers(made, recorded):
    calls, expected = recording.some(recorded, STEP)
    actual = subject.answers(made.site, calls)
    differing = [
        f"{call.method} {call.path}: {difference}"
        for call, left, right in zip(calls, expected, actual, strict=True)
        if not call.path.startswith(CHANGED)
        for difference in recording.differences(left, right)
    ]
    assert differing == []


@pytest.mark.parametrize(
    ("left", "right"),
    [
        ({"score": 1.0}, {"score": 1.0001}),
        ({"items": [1, 2]}, {"items": [2, 1]}),
        ({"reason": None}, {}),
        ({"degraded": []}, {"degraded": ["lists"]}),
        ({"recommendation_id": "a"}, {"recommendation_id": None}),
    ],
)
def test_what_moves_is_a_difference(left, right):
    assert recording.differences(left, right) != []


def test_what_names_a_run_and_the_last_bits_of_a_float_may_differ():
    recorded = {"score": 1.0, "model_version": "a"}
    assert recording.differences(recorded, {"score": 1.0000001, "model_version": "b"}) == []
