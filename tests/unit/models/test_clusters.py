import numpy as np


def test_a_fresh_vector_belongs_to_the_nearest_centroid(clusters):
    assert clusters.assign(np.array([0.1, 3.0, 0, 0], dtype=np.float32)) == 1
    assert clusters.assign(np.array([3.0, 0.1, 0, 0], dtype=np.float32)) == 0


def test_a_vector_without_a_direction_belongs_to_none(clusters):
    assert clusters.assign(np.zeros(4, dtype=np.float32)) is None
    assert clusters.fold_in({"unheard of": 1.0}) is None


def test_a_profile_belongs_where_its_factors_do(clusters):
    profile = {"plain": 1.0, "last": 2.0}
    assert clusters.fold_in(profile) == clusters.assign(clusters.factors.fold_in(profile))


def test_a_clusters_popular_items_come_first_and_what_nobody_had_is_left_out(clusters):
    assert list(clusters.top(0, 10)) == [("with/slash", 5.0), ("plain", 3.0)]
    assert clusters.top(1, 1).item_ids == ("last",)


def test_a_stranger_is_shown_what_is_popular_with_everybody(clusters):
    assert clusters.top(None, 2).item_ids == ("last", "with/slash")
    assert clusters.score(None).tolist() == [3, 6, 0, 2, 0, 7]
