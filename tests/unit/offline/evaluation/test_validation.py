import numpy as np
import pyarrow as pa
import pytest

from offline.data.archive import quiet
from offline.data.drift import gap
from offline.evaluation.validation import measure
from offline.training.factorization import ials
from offline.training.parameters import IalsParameters

PEOPLE = 2_000


def learn(interactions):
    return ials.train(interactions, IalsParameters(factors=8, iterations=6))


@pytest.fixture
def happened():
    """Sixty people of two tastes in twenty items each; a third have seven of them, the others twelve."""
    random = np.random.default_rng(5)
    rows = [
        (f"u:{user:02}", f"i{item + 20 * (user % 2):02}", float(place))
        for user in range(60)
        for place, item in enumerate(random.choice(20, 7 if user % 3 == 0 else 12, replace=False).tolist())
    ]
    users, items, at = (list(column) for column in zip(*rows, strict=True))
    size = len(rows)
    return pa.table(
        {"user": users, "item": items, "weight": [1.0] * size, "first_at": at, "at": at, "events": [1] * size}
    )


def test_a_version_is_measured_as_a_whole_by_segment_and_beside_popularity(happened):
    found = measure(happened, learn, PEOPLE, quiet)
    assert found["NDCG@10"] > found["popularity NDCG@10"] > 0
    assert {"NDCG@10[new]", "NDCG@10[occasional]", "popularity NDCG@10[new]"} <= set(found)
    assert "NDCG@10[long-term]" not in found
    whole = (20 * found["HR@10[new]"] + 40 * found["HR@10[occasional]"]) / 60
    assert found["HR@10"] == pytest.approx(whole)
    assert found["popularity coverage@10"] < found["coverage@10"] <= 1


def test_what_was_learned_is_remembered_better_than_what_was_held_out(happened):
    found = measure(happened, learn, PEOPLE, quiet)
    assert gap(found["training NDCG@10"], found["NDCG@10"]) > 0


def test_nothing_is_measured_where_nobody_has_enough_or_nobody_is_wanted(happened):
    assert measure(happened.slice(0, 3), learn, PEOPLE, quiet) == {}
    assert measure(happened, learn, 0, quiet) == {}
