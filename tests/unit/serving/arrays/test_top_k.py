from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from serving.arrays import kernels
from serving.arrays.top_k import top_k
from serving.ranking import context

SCORES = st.lists(st.sampled_from([0.0, 0.25, 0.5, 0.5 + 1e-9, 1.0, -np.inf, np.nan]), max_size=40)


@given(SCORES, st.integers(0, 45), st.randoms())
def test_the_same_items_come_first_whatever_the_order_they_were_met_in(scores, count, random):
    ids = list(range(len(scores)))
    shuffled = random.sample(ids, len(ids))
    ties = np.array([each * 2_654_435_761 % 2**32 for each in ids], np.uint32)

    direct = top_k(np.array(scores, float), count, ties)
    met = top_k(np.array([scores[i] for i in shuffled], float), count, ties[shuffled])

    assert [shuffled[i] for i in met.tolist()] == direct.tolist()


@given(SCORES, st.integers(0, 45))
def test_the_strongest_are_those_that_a_whole_sort_puts_first(scores, count):
    ties = np.arange(len(scores), dtype=np.uint32)
    finite = [i for i, score in enumerate(scores) if np.isfinite(score)]
    whole = sorted(finite, key=lambda i: (-round(scores[i], 6), i))
    assert top_k(np.array(scores, float), count, ties).tolist() == whole[:count]


@pytest.mark.parametrize("candidate_limit", [1, 200, 7_000, 30_000])
@pytest.mark.parametrize("positive", [0, 50, 5_000, 12_000])
@pytest.mark.parametrize("above", [-np.inf, 0.0])
def test_of_many_scores_the_best_allowed_are_those_of_a_look_at_all(candidate_limit, positive, above):
    random = np.random.default_rng(7)
    scores = np.zeros(12_000, np.float32)
    scores[random.permutation(12_000)[:positive]] = random.choice([0.25, 0.5, 0.75], positive)
    items, ties = random.permutation(12_000).astype(np.int32), random.integers(0, 2**32, 12_000, np.uint32)
    world = SimpleNamespace(
        allowed=random.random(12_000) < 0.6,
        candidate_limit=candidate_limit,
        catalogue=SimpleNamespace(column=lambda _: ties),
    )
    found = context.best_allowed(world, items, scores, above)
    assert found.tolist() == kernels.best_allowed(scores, items, world.allowed, ties, candidate_limit, above).tolist()
