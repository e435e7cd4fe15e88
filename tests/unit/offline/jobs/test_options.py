from __future__ import annotations

from offline.config import OfflineSettings
from offline.interactions import TRAINING_WEIGHTS
from offline.jobs.options import options_of


def test_weights_of_types_stand_beside_the_defaults_in_training():
    weights = options_of(OfflineSettings(weights="view=0,listen=2")).interactions(1.0).weights
    assert (weights["view"], weights["listen"]) == (0.0, 2.0)
    assert weights["like"] == TRAINING_WEIGHTS["like"]


def test_steps_of_ratings_follow_the_scale():
    scaled = options_of(OfflineSettings(rating_scale="0..10")).interactions(1.0).weights["rating"]
    assert [tuple(step) for step in scaled] == [(6.0, 1.0), (8.0, 3.0), (10.0, 5.0)]
    assert options_of(OfflineSettings()).interactions(1.0).weights["rating"] == TRAINING_WEIGHTS["rating"]
