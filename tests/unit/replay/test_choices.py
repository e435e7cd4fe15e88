"""Which moments the blend learns from, and among which candidates."""

from __future__ import annotations

import numpy as np
import pytest

from replay.evaluate import _choice
from serving.ranking.blend import CandidateSet

SOURCES = ("loud", "quiet")
LOUD = 150


@pytest.fixture
def candidates():
    """``loud`` says much of items 0 to 149, most of the first; ``quiet`` says little, of item 150 alone."""
    return CandidateSet(
        items=np.arange(LOUD + 1, dtype=np.int32),
        names=SOURCES,
        lengths=np.array([LOUD, 1], np.intp),
        columns=np.arange(LOUD + 1, dtype=np.int32),
        scores=np.append(np.linspace(1.0, 0.5, LOUD), 0.1).astype(np.float32),
        seeds=(-1, -1),
    )


def test_what_one_source_alone_puts_first_is_learned_from_however_much_another_says_of_others(candidates):
    found = _choice(candidates, LOUD, SOURCES, 3, "ann")
    assert found.interactions == 3
    assert found.scores.shape == (21, 2)
    assert found.scores[found.chosen].tolist() == pytest.approx([0.0, 0.1])


def test_what_no_source_puts_among_its_best_teaches_nothing(candidates):
    assert _choice(candidates, 19, SOURCES, 3, "ann") is not None
    assert _choice(candidates, 20, SOURCES, 3, "ann") is None
    assert _choice(candidates, 4_000, SOURCES, 3, "ann") is None
    assert _choice(candidates, None, SOURCES, 3, "ann") is None
