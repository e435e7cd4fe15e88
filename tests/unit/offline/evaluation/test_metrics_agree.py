"""Our metrics agree with an independent library (trec_eval), and with their definitions."""

import numpy as np
import pytest
import pytrec_eval
from hypothesis import given, settings
from hypothesis import strategies as st

from offline.evaluation.ranking_metrics import per_question, rank, ranked

CUTOFFS = (5, 10, 20)
MEASURES = {"NDCG": "ndcg_cut", "Recall": "recall", "MAP": "map_cut", "HR": "success"}


@st.composite
def rankings(draw):
    """Scores of some items, no two alike, and which of the items are right, for a few questions."""
    items = draw(st.integers(3, 60))
    count = draw(st.integers(1, 5))
    asked = []
    for _ in range(count):
        scores = draw(st.permutations(range(items)))
        right = draw(st.lists(st.integers(0, items - 1), min_size=1, max_size=items, unique=True))
        asked.append((np.array(scores, dtype=np.float32), np.array(right)))
    return asked


@settings(max_examples=60)
@given(rankings())
def test_metrics_agree_with_trec_eval_to_nine_digits(asked):
    found = per_question(ranked(rank(scores, right) for scores, right in asked), CUTOFFS)
    right = {f"q{number}": {f"d{item}": 1 for item in items.tolist()} for number, (_, items) in enumerate(asked)}
    run = {
        f"q{number}": {f"d{item}": float(score) for item, score in enumerate(scores.tolist())}
        for number, (scores, _) in enumerate(asked)
    }
    wanted = {f"{name}.{','.join(map(str, CUTOFFS))}" for name in MEASURES.values()} | {"recip_rank"}
    theirs = pytrec_eval.RelevanceEvaluator(right, wanted).evaluate(run)
    for number, (_, items) in enumerate(asked):
        expected = theirs[f"q{number}"]
        for k in CUTOFFS:
            for name, their_name in MEASURES.items():
                # trec_eval divides average precision by all right items, ours by those that can be among the first k.
                scale = items.size / min(items.size, k) if name == "MAP" else 1.0
                assert found[f"{name}@{k}"][number] == pytest.approx(expected[f"{their_name}_{k}"] * scale, abs=1e-9)
            within = expected["recip_rank"] if expected["recip_rank"] >= 1 / k - 1e-12 else 0.0
            assert found[f"MRR@{k}"][number] == pytest.approx(within, abs=1e-9)


@given(st.lists(st.lists(st.integers(1, 40), min_size=1, max_size=6, unique=True), min_size=1, max_size=5))
def test_every_metric_lies_between_nothing_and_one(ranks):
    found = per_question(ranked(np.array(each, dtype=np.float64) for each in ranks), CUTOFFS)
    assert all(((values >= 0) & (values <= 1)).all() for values in found.values())


def test_right_items_that_tie_are_as_good_as_perfect_at_most():
    found = per_question(ranked([rank(np.ones(3, dtype=np.float32), np.arange(3))]), (10,))
    assert found["NDCG@10"][0] <= 1
    assert found["MAP@10"][0] <= 1


def test_a_part_of_the_right_items_is_measured_alone():
    whole = ranked([np.array([1.0, 12.0]), np.array([3.0]), np.array([np.inf])])
    part = whole.only(np.array([False, True, True, False]))
    assert part.questions == 2
    assert per_question(part)["HR@10"].tolist() == [0, 1]
