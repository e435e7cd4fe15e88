"""An evaluation task: the training part, and a sealed test that is used once with fixed parameters.

The two are separate so that nothing is chosen on the test by accident. Code that chooses (``offline.evaluation.tuning``,
learning curves, the weights of a blend) receives a ``TrainingPart``, which has no access to the test. A ``SealedTest``
has one method, ``examine``, and accepts one set of parameters for each name.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from models.structures.arrays import best_rows
from models.structures.recommender import Recommender
from offline.data.archive import Progress, quiet
from offline.data.dataset import Interactions
from offline.data.metadata import Metadata
from offline.data.splits import HoldOut
from offline.evaluation.ranking_metrics import (
    CELLS,
    RankedAnswers,
    Ranks,
    Scores,
    rank,
    rank_among,
    ranked,
    with_misses,
)
from schemas.errors import ConfigurationInvalid

ROWS: Final = 4_096
"""Maximum number of questions that are scored at a time."""


class PublishedFigures(msgspec.Struct, frozen=True):
    """Figures from a paper for the same split."""

    name: str
    metrics: dict[str, float]


@dataclass(frozen=True)
class TrainingPart:
    """All data for learning and choosing."""

    interactions: Interactions
    metadata: Metadata = field(default_factory=Metadata)


@dataclass(frozen=True)
class Questions:
    """n questions: which items does a person meet next? One person may have several questions.

    Columns are those of the training part.
    """

    interactions: Interactions
    """The histories before the questions."""
    rows: NDArray[np.intp]
    """(n,) of ``interactions``."""
    targets: Sequence[NDArray[np.intp]]
    """Relevant items of each question that are in training, as columns."""
    unknown: Sequence[int]
    """Number of relevant items of each question that are not in training. Each is a miss."""
    among: Sequence[NDArray[np.intp]] | None = None
    """Other candidates of each question, -1 for one that is not in training. None: all items."""
    repeats: bool = False
    """True if an item of the history may be relevant."""
    people: NDArray[np.intp] | None = None
    """(n,) the person of each question, if people have several. These are resampled together."""


class Goal(NamedTuple):
    """The metrics and the ranking of a protocol. A validation slice uses the same."""

    headline: tuple[str, ...] = ("NDCG@10", "HR@10", "Recall@10")
    """The main metrics. The first one decides which of two models is better."""
    cutoffs: tuple[int, ...] = (10,)
    sampled: int = 0
    """Number of sampled items that compete with the relevant one. 0: all items."""
    repeats: bool = False
    """True if an item of the history may be relevant."""


class ModelAnswers(NamedTuple):
    """The answers of a model to n questions: the ranks of the relevant items, and its best k items."""

    ranked: RankedAnswers
    tops: NDArray[np.intp] | None
    """(n, k) columns, padded with -1. None if only a sample was ranked."""


class SealedTest:
    """A test part. Raises ConfigurationInvalid if a name comes a second time with other parameters."""

    def __init__(self, questions: Questions) -> None:
        self.__questions = questions
        self._examined: dict[str, str] = {}

    def examine(
        self, name: str, parameters: Any, model: Recommender, count: int = 10, progress: Progress = quiet
    ) -> ModelAnswers:
        """Returns the answers of the model that was trained with these parameters. ``count`` is the length k of its lists.

        The name is bound to the parameters, so that nobody can choose parameters on the test.
        """
        fixed = json.dumps(msgspec.to_builtins(parameters), sort_keys=True, default=str)
        if self._examined.setdefault(name, fixed) != fixed:
            raise ConfigurationInvalid(
                f"the test was asked of '{name}' with other parameters already: choose parameters on a validation"
                " slice (`freshet evaluate tune`), then compare once"
            )
        return answer(self.__questions, model, count, progress)

    @property
    def size(self) -> int:
        """Number of questions."""
        return int(self.__questions.rows.size)

    def describe(self) -> QuestionSummary:
        """Returns the users, histories and relevant items, for segments. It contains nothing about a model."""
        return _described(self.__questions)


class QuestionSummary(NamedTuple):
    """Users, history lengths and relevant items of n questions with T relevant items."""

    user_ids: tuple[str, ...]
    """(n,)."""
    histories: NDArray[np.intp]
    """(n,) number of items in each history."""
    people: NDArray[np.intp]
    """(n,) the person of each question."""
    columns: NDArray[np.intp]
    """(T,) column of each relevant item, -1 if it is not in training. The order is that of ``RankedAnswers``."""
    rows: NDArray[np.intp]
    """(n,) rows of ``interactions``."""
    interactions: Interactions


@dataclass(frozen=True)
class Task:
    """A data set split by a protocol: the training part and the sealed test."""

    dataset: str
    protocol: str
    part: TrainingPart
    test: SealedTest
    goal: Goal = field(default_factory=Goal)
    published: Sequence[PublishedFigures] = ()
    notes: Mapping[str, str] = field(default_factory=dict)
    """Notes on the split for the reader, by subject."""
    chosen: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """Algorithms compared by default, with the parameters that differ from their defaults (``docs/tuning.md``)."""

    @property
    def training(self) -> Interactions:
        """The interactions of the training part."""
        return self.part.interactions


def questions_of(held: HoldOut, training: Interactions) -> Questions:
    """Returns one question for each held-out person, with their training history."""
    rows = held.rows.tolist()
    return Questions(training, held.rows, [held.known[row] for row in rows], [held.unknown.get(row, 0) for row in rows])


def answer(questions: Questions, model: Recommender, count: int = 10, progress: Progress = quiet) -> ModelAnswers:
    """Answers all questions with a model. Raises ConfigurationInvalid if the model has other items than the questions."""
    if model.item_ids != questions.interactions.item_ids:
        raise ConfigurationInvalid("the model is not over the items of the training part, so it cannot be compared")
    ranks_by_question, tops = list[Ranks](), list[NDArray[np.intp]]()
    for start, scores in _scored(questions, model):
        for number, line in enumerate(scores, start=start):
            ranks_by_question.append(_ranks(questions, number, line))
        if questions.among is None:
            tops.append(_tops(scores, count))
        progress("asking", len(ranks_by_question), questions.rows.size)
    return ModelAnswers(ranked(ranks_by_question), np.concatenate(tops) if tops else None)


def _scored(questions: Questions, model: Recommender) -> Iterator[tuple[int, Scores]]:
    """Yields the number of the first question of a block and the scores of the block. Excluded items are -inf."""
    step = min(ROWS, max(1, CELLS // max(1, len(model.item_ids))))
    for start in range(0, questions.rows.size, step):
        histories = questions.interactions.histories(questions.rows[start : start + step])
        scores = model.score_histories(histories)
        scores[np.isnan(scores)] = -np.inf
        if questions.among is None and not questions.repeats:
            people = np.repeat(np.arange(scores.shape[0]), np.diff(histories.indptr))
            scores[people, histories.items] = -np.inf
        yield start, scores


def _ranks(questions: Questions, number: int, scores: Scores) -> Ranks:
    targets, unknown = questions.targets[number], questions.unknown[number]
    if questions.among is None:
        return with_misses(rank(scores, targets), unknown)
    # The extra last score, at index -1, is that of unknown items: below all others.
    others = np.append(scores, np.float32(-np.inf))[questions.among[number]]
    return with_misses(np.array([rank_among(float(scores[target]), others) for target in targets.tolist()]), unknown)


def _tops(scores: Scores, count: int) -> NDArray[np.intp]:
    best = best_rows(scores, count)
    width = best.positions.shape[1]
    tops = np.full((scores.shape[0], count), -1, dtype=np.intp)
    tops[:, :width] = np.where(np.arange(width) < best.lengths[:, None], best.positions, -1)
    return tops


def _described(questions: Questions) -> QuestionSummary:
    n = questions.rows.size
    right = [
        np.concatenate([targets, np.full(unknown, -1, dtype=np.intp)])
        for targets, unknown in zip(questions.targets, questions.unknown, strict=True)
    ]
    return QuestionSummary(
        user_ids=tuple(questions.interactions.user_ids[row] for row in questions.rows.tolist()),
        histories=np.diff(questions.interactions.matrix.indptr)[questions.rows].astype(np.intp),
        people=np.arange(n) if questions.people is None else questions.people,
        columns=np.concatenate([*right, np.empty(0, dtype=np.intp)]),
        rows=questions.rows,
        interactions=questions.interactions,
    )
