"""Predicted ratings by a mean and biases."""

import numpy as np
import pytest

from models.ratings import Ratings
from models.structures.kinds import load_model

MODEL = Ratings(("good", "bad"), np.array([1.0, -1.0], np.float32), mean=3.0, damping=5.0, lowest=1.0, highest=5.0)


def test_a_stranger_is_expected_to_rate_as_everybody_does():
    assert MODEL.predict({}, ["good", "bad", "unknown"]).tolist() == [4.0, 2.0, 3.0]


def test_a_persons_own_deviation_counts_the_more_the_more_was_rated():
    few = MODEL.predict({"bad": 5.0}, ["unknown"])[0]
    many = MODEL.predict({"bad": 5.0, "good": 5.0, "unknown": 5.0}, ["unknown"])[0]
    assert few == pytest.approx(3 + 3 / 6)
    assert many == pytest.approx(3 + (3 + 1 + 2) / 8)


def test_predictions_stay_on_the_scale():
    assert MODEL.predict({"bad": 100.0}, ["good"]).tolist() == [5.0]
    assert MODEL.predict({"bad": -100.0}, ["good"]).tolist() == [1.0]


def test_what_is_saved_is_loaded_again():
    again = load_model(MODEL.save())
    assert again.save() == MODEL.save()
    assert again.predict({"bad": 4.0}, ["good"]).tolist() == MODEL.predict({"bad": 4.0}, ["good"]).tolist()
