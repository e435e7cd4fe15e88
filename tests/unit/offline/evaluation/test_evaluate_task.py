from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.popularity import Popularity
from offline.data.dataset import Interactions
from offline.data.splits import inner
from offline.evaluation import task, tuning
from offline.evaluation.task import Questions, SealedTest, answer, questions_of
from offline.training import popularity
from schemas.errors import ConfigurationInvalid


class Fixed:
    """Gives everyone the same scores."""

    def __init__(self, item_ids, scores):
        self.item_ids, self._scores = item_ids, np.array(scores, dtype=np.float32)

    def score_histories(self, histories):
        return np.tile(self._scores, (len(histories.user_ids), 1))


@pytest.fixture
def asked(interactions_of):
    return interactions_of([[1, 0, 0, 0], [0, 1, 1, 0]])


def columns(*each):
    return [np.array(one, dtype=np.intp) for one in each]


def test_what_was_seen_is_no_candidate_unless_repeats_count(asked):
    model = Fixed(asked.item_ids, [4, 3, 2, 1])
    questions = Questions(asked, np.array([0, 1]), columns([1], [3]), [0, 0])
    assert answer(questions, model).ranked.rank.tolist() == [1, 2]
    assert answer(questions, model).tops[:, :3].tolist() == [[1, 2, 3], [0, 3, -1]]
    assert answer(replace(questions, repeats=True), model).ranked.rank.tolist() == [2, 4]


def test_among_others_only_they_are_candidates_and_an_unknown_one_is_below_all(asked):
    questions = Questions(asked, np.array([0]), columns([1]), [1], columns([2, 3, -1]))
    found = answer(questions, Fixed(asked.item_ids, [9, 2, 2, 3]))
    assert found.ranked.rank.tolist() == [2.5, np.inf]
    assert found.tops is None


def test_what_is_not_a_number_is_a_miss(asked):
    questions = Questions(asked, np.array([0]), columns([1]), [0])
    assert answer(questions, Fixed(asked.item_ids, [1, np.nan, 1, 1])).ranked.rank.tolist() == [np.inf]


def test_blocks_of_any_size_give_the_same_answers(asked, monkeypatch):
    questions = Questions(asked, np.array([0, 1, 0]), columns([1], [3], [2, 3]), [0, 0, 1])
    model = Fixed(asked.item_ids, [4, 3, 2, 1])
    whole = answer(questions, model)
    monkeypatch.setattr(task, "ROWS", 1)
    apart = answer(questions, model)
    np.testing.assert_array_equal(whole.ranked.rank, apart.ranked.rank)
    np.testing.assert_array_equal(whole.ranked.question, apart.ranked.question)
    np.testing.assert_array_equal(whole.tops, apart.tops)


def test_a_model_over_other_items_cannot_be_compared(asked):
    questions = Questions(asked, np.array([0]), columns([1]), [0])
    with pytest.raises(ConfigurationInvalid, match="not over the items"):
        answer(questions, Fixed(("other",), [1]))


def test_a_test_answers_one_set_of_parameters_a_name(asked):
    test = SealedTest(Questions(asked, np.array([0]), columns([1]), [0]))
    model = popularity.train(asked)
    first = test.examine("als", {"factors": 64}, model)
    again = test.examine("als", {"factors": 64}, model)
    assert first.ranked.rank.tolist() == again.ranked.rank.tolist()
    with pytest.raises(ConfigurationInvalid, match="choose parameters on a validation slice"):
        test.examine("als", {"factors": 128}, model)
    assert isinstance(model, Popularity)


def test_a_sealed_test_does_not_hand_out_its_questions(asked):
    test = SealedTest(Questions(asked, np.array([0]), columns([1]), [0]))
    assert not [
        name for name, value in vars(test).items() if isinstance(value, Questions) and not name.startswith("_S")
    ]
    assert not hasattr(test, "questions")


def test_whatever_chooses_cannot_name_a_test():
    assert not {"SealedTest", "Task", "load", "split"} & set(vars(tuning))


@given(st.integers(0, 5))
def test_each_of_an_inner_slice_is_one_question(seed):
    random = np.random.default_rng(seed)
    dense = (random.random((20, 15)) < 0.6).astype(np.float32)
    whole = _made(dense)
    training, held = inner(whole, seed=seed)
    questions = questions_of(held, training)
    found = answer(questions, popularity.train(training))
    assert found.ranked.questions == held.rows.size
    assert found.ranked.rank.size == sum(each.size for each in questions.targets) + sum(questions.unknown)


def _made(dense):
    import scipy.sparse as sp

    from schemas.offline.manifest import DataWindow

    users, items = dense.shape
    ids = tuple(f"u{row:02}" for row in range(users)), tuple(f"i{column:02}" for column in range(items))
    return Interactions(*ids, sp.csr_matrix(dense), DataWindow(interactions=0, users=users, items=items), {})
