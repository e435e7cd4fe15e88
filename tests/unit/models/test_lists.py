import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.structures.lists import ScoredList
from schemas.errors import Undecodable

pairs = st.lists(st.tuples(st.text(st.characters(exclude_categories=["Cs"])), st.floats(width=32, allow_nan=False)))


@given(pairs)
def test_a_list_survives_packing(pairs):
    packed = ScoredList(tuple(item for item, _ in pairs), tuple(score for _, score in pairs))
    assert ScoredList.load(packed.save()) == packed


@pytest.mark.parametrize("data", [b"", b"\x92\x90\xc4\x03abc", b"\x80", b"\x92\x90\xc4\x04abcd"])
def test_bytes_that_are_no_list_are_refused_by_name(data):
    with pytest.raises(Undecodable):
        ScoredList.load(data)


def test_the_best_come_first_ties_in_order_and_what_is_masked_is_left_out():
    scores = np.array([1, 3, -np.inf, 3, 2], dtype=np.float32)
    assert list(ScoredList.best("abcde", scores, 4)) == [("b", 3.0), ("d", 3.0), ("e", 2.0), ("a", 1.0)]
    assert ScoredList.best("abcde", scores, 10).item_ids == ("b", "d", "e", "a")


def test_a_list_of_a_hundred_takes_little_room():
    ids = tuple(str(100_000 + i) for i in range(100))
    assert len(ScoredList(ids, tuple(float(i) for i in range(100))).save()) < 1_200
