from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from nearline.confirmation import LOOKS, Confirmation


@given(st.lists(st.tuples(st.sampled_from("ab"), st.floats(0.0, 5.0)), min_size=1, max_size=40))
def test_a_finding_is_confirmed_exactly_after_enough_looks_over_enough_time(looks):
    confirmation, now, run = Confirmation(), 0.0, []
    for finding, pause in looks:
        now += pause
        run = [*run, (finding, now)] if run and run[-1][0] == finding else [(finding, now)]
        enough = len(run) >= LOOKS and now - run[0][1] >= 10.0
        assert confirmation.confirms(finding, now, 10.0) == enough


def test_a_contradiction_starts_over():
    confirmation = Confirmation()
    assert [confirmation.confirms("x", float(now), 2.0) for now in range(2)] == [False, False]
    confirmation.reset()
    assert [confirmation.confirms("x", float(now), 2.0) for now in range(2, 5)] == [False, False, True]


def test_a_clock_that_was_set_back_starts_over():
    confirmation = Confirmation()
    assert [confirmation.confirms("x", now, 2.0) for now in (100.0, 101.0, 50.0, 51.0, 52.0)] == [False] * 4 + [True]
