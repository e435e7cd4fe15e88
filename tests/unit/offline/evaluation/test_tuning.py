from dataclasses import dataclass, replace

import numpy as np
import pytest

from offline.data.splits import inner
from offline.evaluation import run_algorithm
from offline.evaluation.compare import Plan, compare_on
from offline.evaluation.run_algorithm import curve, parameters_of, require_memory
from offline.evaluation.task import Goal, SealedTest, Task, TrainingPart, questions_of
from offline.evaluation.tuning import tune, validation
from offline.training import popularity, registry
from offline.training.algorithm import Algorithm, ChoiceRange, FloatRange, IntegerRange
from offline.training.content import embeddings
from schemas.errors import ConfigurationInvalid, NothingToTrain


@dataclass(frozen=True, kw_only=True)
class Upside:
    """How popularity is turned: towards 1 it stands, towards -1 on its head."""

    turn: float = 1.0
    steps: int = 1
    shape: str = "plain"


class Turned:
    kind = "turned"

    def __init__(self, item_ids, scores):
        self.item_ids, self._scores = item_ids, scores

    def score_histories(self, histories):
        return np.tile(self._scores, (len(histories.user_ids), 1))


def _train(interactions, parameters, _):
    if parameters.shape == "broken":
        raise NothingToTrain("this shape cannot be trained")
    return Turned(interactions.item_ids, popularity.train(interactions).score() * np.float32(parameters.turn))


SPACE = {
    "turn": FloatRange(-1.0, 1.0, log=False),
    "steps": IntegerRange(1, 4),
    "shape": ChoiceRange(("plain", "broken")),
}
TURNED = Algorithm(name="turned", about="for tests", parameters=Upside, train=_train, space=SPACE, kind="turned")


@pytest.fixture
def part(two_tastes):
    return TrainingPart(two_tastes)


def test_a_search_begins_with_the_defaults_and_finds_something_better(part):
    found = tune(part, TURNED, Goal(), 12)
    assert found.trials[0].parameters == {"turn": 1.0, "steps": 1, "shape": "plain"}
    assert found.best.value > found.trials[0].value
    assert found.best.metrics["NDCG@10"] == found.best.value
    assert "all items they have not had" in found.slice


def test_a_set_of_parameters_that_fails_is_told_and_not_the_end(part):
    found = tune(part, TURNED, Goal(), 12)
    failed = [each for each in found.trials if each.failed]
    assert failed
    assert all(each.value is None and each.failed == "this shape cannot be trained" for each in failed)


def test_a_search_that_was_broken_off_goes_on_as_if_it_had_not_been(part, tmp_path):
    tune(part, TURNED, Goal(), 4, tmp_path / "study.sqlite")
    resumed = tune(part, TURNED, Goal(), 8, tmp_path / "study.sqlite")
    assert [each.parameters for each in resumed.trials] == [
        each.parameters for each in tune(part, TURNED, Goal(), 8).trials
    ]


def test_a_search_that_was_killed_while_it_tried_the_defaults_tries_them_again(part, tmp_path):
    def killed(*_):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        tune(part, replace(TURNED, train=killed), Goal(), 2, tmp_path / "study.sqlite")
    [first, *_] = tune(part, TURNED, Goal(), 2, tmp_path / "study.sqlite").trials
    [defaults] = tune(part, TURNED, Goal(), 1).trials
    assert first.parameters == defaults.parameters


def test_a_study_of_other_data_is_not_gone_on_with(part, two_tastes, tmp_path):
    tune(part, TURNED, Goal(), 1, tmp_path / "study.sqlite")
    smaller = TrainingPart(inner(two_tastes)[0])
    with pytest.raises(ConfigurationInvalid, match="give this one a file of its own"):
        tune(smaller, TURNED, Goal(), 2, tmp_path / "study.sqlite")


def test_an_algorithm_that_names_nothing_to_search_is_refused(part):
    with pytest.raises(ConfigurationInvalid, match="content-embeddings has no parameters worth searching"):
        tune(part, embeddings.ALGORITHM, Goal(), 1)


def test_a_sampled_protocol_is_searched_among_items_that_nobody_has_had(part):
    asked = validation(part, Goal(sampled=7)).questions
    for row, right, others in zip(asked.rows.tolist(), asked.targets, asked.among, strict=True):
        had = asked.interactions.matrix.indices[
            asked.interactions.matrix.indptr[row] : asked.interactions.matrix.indptr[row + 1]
        ]
        assert len(set(others.tolist())) == 7
        assert not set(others.tolist()) & {*had.tolist(), *right.tolist()}


def test_parameters_are_read_by_name_and_type():
    assert parameters_of(TURNED, {"turn": 1}).turn == 1
    with pytest.raises(ConfigurationInvalid, match="turned has no parameter 'twist'; it has turn, steps, shape"):
        parameters_of(TURNED, {"twist": 1})
    with pytest.raises(ConfigurationInvalid, match="parameters of turned"):
        parameters_of(TURNED, {"steps": "many"})


def test_what_would_not_fit_into_memory_is_said_beforehand(part, monkeypatch):
    greedy = Algorithm(
        name="greedy", about="", parameters=Upside, train=_train, needs_mib=lambda *_: 2e9, kind="turned"
    )
    monkeypatch.setattr(run_algorithm, "available_mib", lambda: 100.0)
    with pytest.raises(ConfigurationInvalid, match="about 2,000,000,000 MiB, and 100 MiB are free"):
        require_memory(greedy, Upside(), part)


def test_a_learning_curve_asks_the_same_people_with_more_and_more_data(part):
    using = registry.algorithm("neighbours")
    points = curve(using, using.parameters(), part)
    assert [point.share for point in points] == [0.1, 0.25, 0.5, 1.0]
    assert points[-1].metrics["NDCG@10"] > points[0].metrics["NDCG@10"]


def _missing(*_):
    raise ModuleNotFoundError("No module named 'lightgbm'")


@pytest.fixture
def task(two_tastes):
    training, held = inner(two_tastes)
    return Task("made", "inner", TrainingPart(training), SealedTest(questions_of(held, training)))


def test_an_algorithm_that_fails_is_a_row_with_its_reason(task, monkeypatch):
    broken = Algorithm(name="broken", about="", parameters=Upside, train=_missing, kind="turned")
    known = {**registry.algorithms(), "broken": broken}
    monkeypatch.setattr("offline.evaluation.compare.algorithm", known.__getitem__)
    report = compare_on(task, Plan(names=["broken", "neighbours", "popularity"]))
    assert [row.failed for row in report.rows] == ["No module named 'lightgbm'", None, None]
    assert report.rows[0].metrics == {}
    assert [(each.name, each.other) for each in report.differences] == [("neighbours", "popularity")]


def test_parameters_of_a_plan_are_used_and_reported(task):
    plan = Plan(names=["neighbours"], parameters={"neighbours": {"width": 3}})
    [row] = compare_on(task, plan).rows
    assert row.parameters["width"] == 3
    low, high = row.intervals["NDCG@10"]
    assert low <= row.metrics["NDCG@10"] <= high


def test_the_same_task_cannot_be_asked_for_one_parameter_after_another(task):
    compare_on(task, Plan(names=["neighbours"], parameters={"neighbours": {"width": 3}}))
    [row] = compare_on(task, Plan(names=["neighbours"], parameters={"neighbours": {"width": 30}})).rows
    assert "choose parameters on a validation slice" in row.failed


def test_nothing_chosen_is_a_quick_comparison_and_all_is_everything(task):
    quick = [row.name for row in compare_on(task, Plan()).rows]
    assert quick[:3] == ["popularity", "neighbours", "als"]
    from offline.evaluation.compare import wanted

    assert {each.name for each in wanted(Plan(names=["all"]))} == set(registry.algorithms())


def test_where_a_plan_names_nothing_the_tasks_own_algorithms_are_compared(task):
    own = replace(task, chosen={"neighbours": {"width": 3}, "popularity": {}})
    rows = compare_on(own, Plan()).rows
    assert [row.name for row in rows] == ["neighbours", "popularity"]
    assert rows[0].parameters["width"] == 3


def test_parameters_of_a_plan_go_before_those_of_the_task(task):
    own = replace(task, chosen={"neighbours": {"width": 3}})
    [row] = compare_on(own, Plan(parameters={"neighbours": {"width": 4}})).rows
    assert row.parameters["width"] == 4
