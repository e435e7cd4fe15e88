from dataclasses import replace

import numpy as np
import pytest

from offline.data.splits import inner
from schemas.errors import NothingToTrain


def test_an_inner_slice_holds_out_the_newest_where_times_are_known(interactions_of):
    known = interactions_of([[1, 1, 1], [1, 1, 1], [0, 1, 0]])
    timed = replace(known, times=np.array([3.0, 9.0, 4.0, 5.0, 5.0, 5.0, 1.0]))
    training, held = inner(timed, users=10, needed=3)
    assert {training.user_ids[row]: held.known[row].tolist() for row in held.rows} == {"u00": [1], "u01": [2]}
    assert training.times.tolist() == [3.0, 4.0, 5.0, 5.0, 1.0]
    assert training.window.interactions == training.matrix.nnz == 5


def test_without_times_an_inner_slice_is_random_by_its_seed(two_tastes):
    def held_items(seed):
        training, held = inner(two_tastes, users=10, seed=seed)
        assert training.matrix.nnz == two_tastes.matrix.nnz - 10
        return {training.user_ids[row]: held.known[row].tolist() for row in held.rows}

    assert held_items(1) == held_items(1)
    assert len(held_items(1)) == 10
    assert held_items(1) != held_items(2)


def test_what_is_held_out_is_not_in_the_inner_training_part(two_tastes):
    training, held = inner(two_tastes, users=40)
    dense = training.matrix.toarray()
    assert all(dense[row, column] == 0 for row in held.rows.tolist() for column in held.known[row])


def test_an_item_that_only_the_slice_has_is_unknown_to_the_inner_training_part(interactions_of):
    timed = replace(interactions_of([[1, 1, 1], [1, 1, 0]]), times=np.array([1.0, 2.0, 3.0, 1.0, 2.0]))
    training, held = inner(timed, needed=3)
    assert training.item_ids == ("i00", "i01")
    assert held.unknown == {0: 1}


def test_where_nobody_has_enough_there_is_no_inner_slice(interactions_of):
    with pytest.raises(NothingToTrain, match="nobody has 5 items"):
        inner(interactions_of([[1, 1], [1, 0]]))


def test_a_share_of_each_ones_items_is_held_out_rounded_up_the_newest_where_times_are_known(
    interactions_of, two_tastes
):
    _, held = inner(two_tastes, users=10, share=0.25)
    assert [held.known[row].size for row in held.rows.tolist()] == [3] * 10
    timed = replace(interactions_of([[1, 1, 1], [1, 1, 1]]), times=np.array([3.0, 9.0, 4.0, 6.0, 7.0, 8.0]))
    training, held = inner(timed, needed=3, share=0.4)
    assert {training.user_ids[row]: held.known[row].size + held.unknown[row] for row in held.rows} == {
        "u00": 2,
        "u01": 2,
    }
    assert training.times.tolist() == [3.0, 6.0]
