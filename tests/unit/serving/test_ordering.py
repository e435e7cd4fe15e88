from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from serving.ordering import strongest

SCORES = st.lists(st.sampled_from([0.0, 0.25, 0.5, 0.5 + 1e-9, 1.0, -np.inf, np.nan]), max_size=40)


@given(SCORES, st.integers(0, 45), st.randoms())
def test_the_same_items_come_first_whatever_the_order_they_were_met_in(scores, count, random):
    ids = list(range(len(scores)))
    shuffled = random.sample(ids, len(ids))
    ties = np.array([each * 2_654_435_761 % 2**32 for each in ids], np.uint32)

    direct = strongest(np.array(scores, float), count, ties)
    met = strongest(np.array([scores[i] for i in shuffled], float), count, ties[shuffled])

    assert [shuffled[i] for i in met.tolist()] == direct.tolist()


@given(SCORES, st.integers(0, 45))
def test_the_strongest_are_those_that_a_whole_sort_puts_first(scores, count):
    ties = np.arange(len(scores), dtype=np.uint32)
    finite = [i for i, score in enumerate(scores) if np.isfinite(score)]
    whole = sorted(finite, key=lambda i: (-round(scores[i], 6), i))
    assert strongest(np.array(scores, float), count, ties).tolist() == whole[:count]
