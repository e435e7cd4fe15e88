"""What an algorithm learns from, and a test that is sealed: asked once for fixed parameters, never looked into.

The two are apart so that nothing can be chosen on a test by accident. Whatever chooses (``offline.evaluation.tuning``,
learning curves, a blend's weights) is handed a ``TrainingPart``, which has no way to the test. A ``SealedTest``
answers one question only, ``examine``, and answers it for one set of parameters a name.
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
"""People that are asked for at a time, at most."""


class PublishedFigures(msgspec.Struct, frozen=True):
    """Figures that others have printed for the same split."""

    name: str
    metrics: dict[str, float]


@dataclass(frozen=True)
class TrainingPart:
    """All that may be learned and chosen from."""

    interactions: Interactions
    metadata: Metadata = field(default_factory=Metadata)


@dataclass(frozen=True)
class Questions:
    """What each of n people comes to next; several questions may be one person's.

    Columns are those of the training part.
    """

    asked: Interactions
    """Histories that are known when the question is asked."""
    rows: NDArray[np.intp]
    """(n,) of ``asked``."""
    targets: Sequence[NDArray[np.intp]]
    """Right items of each question that training knows, as columns."""
    unknown: Sequence[int]
    """How many right items of each question training has never met; each is a miss."""
    among: Sequence[NDArray[np.intp]] | None = None
    """Other candidates of each question, -1 for one that training has never met; None: all items."""
    repeats: bool = False
    """Whether what is in the history may be the right answer."""
    people: NDArray[np.intp] | None = None
    """(n,) whose question each is, where people have several; they are resampled together."""


class Goal(NamedTuple):
    """What is asked for by a protocol, so that a validation slice can ask for the like."""

    headline: tuple[str, ...] = ("NDCG@10", "HR@10", "Recall@10")
    """The metrics to look at first; the first one decides which of two is better."""
    cutoffs: tuple[int, ...] = (10,)
    sampled: int = 0
    """Among how many other items the right one stands; 0: among all."""
    repeats: bool = False
    """Whether what is in the history may be the right answer."""


class ModelAnswers(NamedTuple):
    """What a model made of n questions: the right items' ranks, and its best k items for each."""

    ranked: RankedAnswers
    tops: NDArray[np.intp] | None
    """(n, k) columns, -1 where there are no more; None where only a sample was ranked."""


class SealedTest:
    """A test part. Raises ConfigurationInvalid where one name comes a second time with other parameters."""

    def __init__(self, questions: Questions) -> None:
        self.__questions = questions
        self._examined: dict[str, str] = {}

    def examine(
        self, name: str, parameters: Any, model: Recommender, count: int = 10, progress: Progress = quiet
    ) -> ModelAnswers:
        """What the model, trained with these parameters, answers; ``count`` is k of its lists.

        The name stands for the parameters from now on: the better of two could otherwise be picked here.
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
        """How many questions there are."""
        return int(self.__questions.rows.size)

    def describe(self) -> QuestionSummary:
        """Who is asked and after what, for segments; it says nothing of any model."""
        return _described(self.__questions)


class QuestionSummary(NamedTuple):
    """Of n questions with T right items: who asks, how much is known of them, and which items are right."""

    user_ids: tuple[str, ...]
    """(n,)."""
    histories: NDArray[np.intp]
    """(n,) items in each history."""
    people: NDArray[np.intp]
    """(n,) which questions are one person's."""
    columns: NDArray[np.intp]
    """(T,) each right item's column, -1 where training has never met it; in the order of ``RankedAnswers``."""
    rows: NDArray[np.intp]
    """(n,) rows of ``asked``."""
    asked: Interactions


@dataclass(frozen=True)
class Task:
    """A data set by a protocol: the training part and the sealed test."""

    dataset: str
    protocol: str
    part: TrainingPart
    test: SealedTest
    goal: Goal = field(default_factory=Goal)
    published: Sequence[PublishedFigures] = ()
    notes: Mapping[str, str] = field(default_factory=dict)
    """What a reader should know of the split, by subject."""
    chosen: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """Algorithms compared where none are named, by name, with what differs from their defaults (``docs/tuning.md``)."""

    @property
    def training(self) -> Interactions:
        """The interactions of the training part."""
        return self.part.interactions


def questions_of(held: HoldOut, training: Interactions) -> Questions:
    """Of each person held out one question, after all that training knows of them."""
    rows = held.rows.tolist()
    return Questions(training, held.rows, [held.known[row] for row in rows], [held.unknown.get(row, 0) for row in rows])


def answer(questions: Questions, model: Recommender, count: int = 10, progress: Progress = quiet) -> ModelAnswers:
    """Asks a model all the questions. Raises ConfigurationInvalid where it is over other items than they are."""
    if model.item_ids != questions.asked.item_ids:
        raise ConfigurationInvalid("the model is not over the items of the training part, so it cannot be compared")
    found, tops = list[Ranks](), list[NDArray[np.intp]]()
    for start, scores in _scored(questions, model):
        for number, line in enumerate(scores, start=start):
            found.append(_ranks(questions, number, line))
        if questions.among is None:
            tops.append(_tops(scores, count))
        progress("asking", len(found), questions.rows.size)
    return ModelAnswers(ranked(found), np.concatenate(tops) if tops else None)


def _scored(questions: Questions, model: Recommender) -> Iterator[tuple[int, Scores]]:
    """Scores of some people at a time, what cannot be the answer at -inf, and the first one's number."""
    step = min(ROWS, max(1, CELLS // max(1, len(model.item_ids))))
    for start in range(0, questions.rows.size, step):
        histories = questions.asked.histories(questions.rows[start : start + step])
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
    # One place more than there are items: unknown ones are below all.
    others = np.append(scores, np.float32(-np.inf))[questions.among[number]]
    return with_misses(np.array([rank_among(float(scores[target]), others) for target in targets.tolist()]), unknown)


def _tops(scores: Scores, count: int) -> NDArray[np.intp]:
    found = best_rows(scores, count)
    width = found.positions.shape[1]
    tops = np.full((scores.shape[0], count), -1, dtype=np.intp)
    tops[:, :width] = np.where(np.arange(width) < found.lengths[:, None], found.positions, -1)
    return tops


def _described(questions: Questions) -> QuestionSummary:
    n = questions.rows.size
    right = [
        np.concatenate([targets, np.full(unknown, -1, dtype=np.intp)])
        for targets, unknown in zip(questions.targets, questions.unknown, strict=True)
    ]
    return QuestionSummary(
        user_ids=tuple(questions.asked.user_ids[row] for row in questions.rows.tolist()),
        histories=np.diff(questions.asked.matrix.indptr)[questions.rows].astype(np.intp),
        people=np.arange(n) if questions.people is None else questions.people,
        columns=np.concatenate([*right, np.empty(0, dtype=np.intp)]),
        rows=questions.rows,
        asked=questions.asked,
    )
