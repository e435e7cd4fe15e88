from __future__ import annotations

import pytest

from schemas.errors import ConfigurationInvalid
from schemas.values.weights import WeightStep, describe, parse_weights


def test_weights_are_numbers_or_steps_and_read_as_they_are_written():
    weights = parse_weights("view=1, purchase=5,search=0,rating=3:1/4.5:3")
    assert weights == {
        "view": 1.0,
        "purchase": 5.0,
        "search": 0.0,
        "rating": (WeightStep(3.0, 1.0), WeightStep(4.5, 3.0)),
    }
    assert parse_weights(describe(weights)) == weights


@pytest.mark.parametrize("text", ["view", "view=", "view=much", "view=nan", "rating=4:1/3:2", "rating=4:/5:1"])
def test_weights_of_another_form_are_explained(text):
    with pytest.raises(ConfigurationInvalid, match=r"is no weight of a type: write --weights view=1,purchase=5"):
        parse_weights(text)
