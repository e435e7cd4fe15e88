"""Source weights are learned from these events and among these candidates."""

from __future__ import annotations

import numpy as np
import pytest

from replay.source_weight_learner import choice_among
from serving.ranking.blend import CandidateSet

SOURCES = ("loud", "quiet")
LOUD = 150


@pytest.fixture
def candidates():
    """``loud`` scores items 0 to 149 high, the first the highest; ``quiet`` scores item 150 alone, and low."""
    return CandidateSet(
        items=np.arange(LOUD + 1, dtype=np.int32),
        names=SOURCES,
        lengths=np.array([LOUD, 1], np.intp),
        columns=np.arange(LOUD + 1, dtype=np.int32),
        scores=np.append(np.linspace(1.0, 0.5, LOUD), 0.1).astype(np.float32),
        seeds=(-1, -1),
    )


def test_the_only_candidate_of_a_source_is_learned_from_however_high_another_source_scores_its_own(candidates):
    choice = choice_among(candidates, LOUD, SOURCES, 3, "ann")
    assert choice.interactions == 3
    assert choice.scores.shape == (21, 2)
    assert choice.scores[choice.chosen].tolist() == pytest.approx([0.0, 0.1])


def test_an_item_that_is_no_top_candidate_of_any_source_is_not_learned_from(candidates):
    assert choice_among(candidates, 19, SOURCES, 3, "ann") is not None
    assert choice_among(candidates, 20, SOURCES, 3, "ann") is None
    assert choice_among(candidates, 4_000, SOURCES, 3, "ann") is None
    assert choice_among(candidates, None, SOURCES, 3, "ann") is None
