"""A matrix is inverted in place, and other threads run meanwhile."""

import sys
import threading
import time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from offline.training.factorization.lapack import invert

_HELD = 20
"""Turns that another thread may get even where the lock is held: between one routine and the next."""


def definite(size, seed=0):
    rows = np.random.default_rng(seed).normal(size=(size, size)).astype(np.float32)
    return rows @ rows.T + size * np.eye(size, dtype=np.float32)


@given(st.integers(1, 20), st.integers(0, 100))
def test_the_lower_triangle_becomes_that_of_the_inverse(size, seed):
    matrix = definite(size, seed)
    wanted = np.tril(np.linalg.inv(matrix.astype(np.float64)))
    assert invert(matrix)
    assert np.tril(matrix) == pytest.approx(wanted, abs=1e-5)


def test_a_matrix_that_is_not_positive_definite_is_told():
    assert not invert(-np.eye(3, dtype=np.float32))


def test_another_thread_runs_while_a_matrix_is_inverted():
    matrix = definite(1_500)
    turns, over = [], threading.Event()

    def count():
        while not over.is_set():
            turns.append(time.monotonic())
            time.sleep(0)

    # Where the lock were held, the other thread would have to wait for the whole call.
    before, counting = sys.getswitchinterval(), threading.Thread(target=count)
    sys.setswitchinterval(1e-6)
    counting.start()
    try:
        began = time.monotonic()
        assert invert(matrix)
        ended = time.monotonic()
    finally:
        over.set()
        counting.join()
        sys.setswitchinterval(before)
    assert sum(began < turn < ended for turn in turns) > _HELD
