"""The model of predicted ratings learns the biases of users and items."""

import gzip

import numpy as np
import pytest

from offline.training.ratings import train


def test_biases_of_items_and_people_are_told_apart():
    rng = np.random.default_rng(1)
    person_bias, item_bias = rng.normal(0, 0.5, 200), rng.normal(0, 0.7, 50)
    people, items = np.nonzero(rng.random((200, 50)) < 0.6)
    stars = 3 + person_bias[people] + item_bias[items] + rng.normal(0, 0.1, people.size)
    model = train(people, items, stars, [f"i{n}" for n in range(50)])
    assert np.corrcoef(model.item_bias, item_bias)[0, 1] > 0.99
    own = {f"i{n}": 3 + person_bias[7] + item_bias[n] for n in range(0, 50, 2)}
    expected = 3 + person_bias[7] + item_bias[1::2]
    assert np.abs(model.predict(own, [f"i{n}" for n in range(1, 50, 2)]) - expected).mean() < 0.2


def test_one_rating_is_enough_to_train():
    model = train(np.zeros(1, np.int32), np.zeros(1, np.int32), np.array([4.0]), ["a"])
    assert model.predict({}, ["a", "b"]).tolist() == [4.0, 4.0]


def test_on_movielens_the_last_fifth_is_predicted_better_than_by_means(datasets):
    path = datasets / "ml-100k" / "u.data.gz"
    if not path.exists():
        pytest.skip(f"{path} is missing; FRESHET_DATASETS says where data sets are")
    with gzip.open(path) as file:
        rows = np.loadtxt(file, dtype=np.int64)
    rows = rows[np.argsort(rows[:, 3], kind="stable")]
    known, future = np.split(rows, [int(0.8 * len(rows))])
    item_ids = [str(n) for n in range(rows[:, 1].max() + 1)]
    model = train(known[:, 0], known[:, 1], known[:, 2].astype(float), item_ids)
    given: dict[int, dict[str, float]] = {}
    for person, item, stars, _ in known:
        given.setdefault(person, {})[str(item)] = float(stars)
    errors = []
    for place, (person, item, stars, _) in enumerate(future):
        own = given.setdefault(person, {})
        if place % 10 == 0:
            errors.append(model.predict(own, [str(item)])[0] - stars)
        own[str(item)] = float(stars)
    rmse, plain = np.sqrt(np.mean(np.square(errors))), np.sqrt(np.mean((future[::10, 2] - model.mean) ** 2))
    assert rmse < 0.99 < 1.05 < plain
