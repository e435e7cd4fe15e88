from __future__ import annotations

from offline.config import OfflineSettings
from offline.interactions import TRAINING_WEIGHTS
from offline.jobs.options import options_of


def test_weights_of_types_stand_beside_the_defaults_in_training():
    weights = options_of(OfflineSettings(weights="view=0,listen=2")).interactions(1.0).weights
    assert (weights["view"], weights["listen"]) == (0.0, 2.0)
    assert weights["like"] == TRAINING_WEIGHTS["like"]
