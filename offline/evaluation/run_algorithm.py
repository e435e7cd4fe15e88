"""One algorithm on one task: trains it, measures the cost, and evaluates it once on the sealed test."""

from __future__ import annotations

import dataclasses
import gc
import time
from collections.abc import Mapping
from typing import Any, Final, NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from models.structures.recommender import Recommender
from offline.data.archive import Progress, quiet
from offline.data.metadata import category_matrix
from offline.data.splits import inner, rebased, thinned
from offline.evaluation.beyond_accuracy import of_categories, of_lists
from offline.evaluation.intervals import intervals
from offline.evaluation.memory import available_mib, held_mib, peak_mib, reset_peak
from offline.evaluation.ranking_metrics import means, per_question
from offline.evaluation.segments import Segment, segment_metrics, segments
from offline.evaluation.task import ModelAnswers, Task, TrainingPart, answer, questions_of
from offline.training.algorithm import Algorithm, Context
from schemas.errors import ConfigurationInvalid, FreshetError

SHARES: Final = (0.1, 0.25, 0.5, 1.0)
"""Shares of the training interactions in a learning curve."""

PerQuestion = dict[str, NDArray[np.float64]]


class CurvePoint(msgspec.Struct, frozen=True):
    """One point of a learning curve, measured on a validation slice of the training part."""

    share: float
    metrics: dict[str, float]
    seconds: float


class ComparisonRow(msgspec.Struct, frozen=True, kw_only=True):
    """Figures of one algorithm. ``seconds`` is the training time, ``peak_mib`` the peak memory of the process in training."""

    name: str
    metrics: dict[str, float] = {}
    seconds: float = 0.0
    peak_mib: float = 0.0
    added_mib: float | None = None
    """Peak memory minus the memory before training. None if the system does not report it."""
    asking_seconds: float = 0.0
    """Time to answer all questions of the test."""
    parameters: dict[str, Any] = {}
    intervals: dict[str, tuple[float, float]] = {}
    """95 % bootstrap intervals of the metrics that are means over questions."""
    segments: dict[str, Segment] = {}
    curve: list[CurvePoint] = []
    failed: str | None = None
    """Reason for missing figures."""


class AlgorithmRun(NamedTuple):
    """A row, and its metrics for each question, used by paired tests. Empty if the algorithm failed."""

    row: ComparisonRow
    values: PerQuestion


def run(
    using: Algorithm[Any], parameters: Any, task: Task, *, by_segment: bool, threads: int, progress: Progress = quiet
) -> AlgorithmRun:
    """Trains and evaluates an algorithm. A failure (missing extra, too little memory) is the reason in the row."""
    try:
        require_memory(using, parameters, task.part)
        return _run(using, parameters, task, by_segment, _context(task.part, threads, progress))
    except (FreshetError, ImportError, MemoryError) as error:
        return AlgorithmRun(ComparisonRow(name=using.name, parameters=_built(parameters), failed=_reason(error)), {})


def _run(using: Algorithm[Any], parameters: Any, task: Task, by_segment: bool, context: Context) -> AlgorithmRun:
    model, cost = _trained(using, parameters, task.part, context)
    begun = time.perf_counter()

    def asking(_: str, done: int, total: int) -> None:
        context.progress(f"asking {using.name}", done, total)

    answers = task.test.examine(using.name, parameters, model, max(task.goal.cutoffs), asking)
    values = per_question(answers.ranked, task.goal.cutoffs)
    described = task.test.describe()
    row = ComparisonRow(
        name=using.name,
        metrics=means(values) | _beyond(answers, task),
        seconds=cost.seconds,
        peak_mib=cost.peak_mib,
        added_mib=cost.added_mib,
        asking_seconds=time.perf_counter() - begun,
        parameters=_built(parameters),
        intervals=intervals(values, described.people),
        segments=_by_segment(answers, task) if by_segment else {},
    )
    return AlgorithmRun(row, values)


def parameters_of(using: Algorithm[Any], given: Mapping[str, Any]) -> Any:
    """Returns the parameters of an algorithm with these values in place of defaults. Raises ConfigurationInvalid."""
    names = [field.name for field in dataclasses.fields(using.parameters)]
    for name in given:
        if name not in names:
            raise ConfigurationInvalid(f"{using.name} has no parameter '{name}'; it has {', '.join(names) or 'none'}")
    try:
        return msgspec.convert(dict(given), using.parameters)
    except msgspec.ValidationError as error:
        raise ConfigurationInvalid(f"parameters of {using.name}: {error}") from error


def curve(
    using: Algorithm[Any], parameters: Any, part: TrainingPart, threads: int = 0, progress: Progress = quiet
) -> list[CurvePoint]:
    """Measures quality by share of data, on a validation slice of the training part. The test is not used.

    Each person keeps a random share of their interactions, at least one, so that the people are the same each time.
    """
    training, held = inner(part.interactions)
    points = []
    for share in SHARES:
        smaller = thinned(training, share)
        begun = time.perf_counter()
        model = using.train(smaller, parameters, _context(part, threads, quiet))
        seconds = time.perf_counter() - begun
        answers = answer(questions_of(rebased(held, training, smaller), smaller), model)
        points.append(CurvePoint(share, means(per_question(answers.ranked)), seconds))
        progress(f"learning curve of {using.name}", len(points), len(SHARES))
    return points


def require_memory(using: Algorithm[Any], parameters: Any, part: TrainingPart) -> None:
    """Raises ConfigurationInvalid if the algorithm's memory estimate is above the available memory."""
    if using.needs_mib is None:
        return
    needs, available = using.needs_mib(part.interactions, parameters), available_mib()
    if needs > available:
        raise ConfigurationInvalid(
            f"it would take about {needs:,.0f} MiB, and {available:,.0f} MiB are free: choose smaller parameters"
        )


class _Cost(NamedTuple):
    seconds: float
    peak_mib: float
    added_mib: float | None


def _trained(using: Algorithm[Any], parameters: Any, part: TrainingPart, context: Context) -> tuple[Recommender, _Cost]:
    """Returns the model and the cost of its training."""
    context.progress(f"training {using.name}", 0, 1)
    gc.collect()  # frees the memory of the algorithm before
    reset_peak()
    before = held_mib()
    begun = time.perf_counter()
    model = using.train(part.interactions, parameters, context)
    seconds, peak = time.perf_counter() - begun, peak_mib()
    context.progress(f"training {using.name}", 1, 1)
    return model, _Cost(seconds, peak, None if before is None else max(0.0, peak - before))


def _context(part: TrainingPart, threads: int, progress: Progress) -> Context:
    return Context(metadata=part.metadata, threads=threads, progress=progress)


def _beyond(answers: ModelAnswers, task: Task) -> dict[str, float]:
    """Returns the beyond-accuracy metrics. Empty if only a sample was ranked."""
    if answers.tops is None:
        return {}
    k, training = max(task.goal.cutoffs), task.training
    metrics = of_lists(answers.tops, training, k)
    categories = category_matrix(task.part.metadata, training.item_ids)
    if categories is not None:
        described = task.test.describe()
        metrics |= of_categories(answers.tops, categories, described.interactions.matrix[described.rows], k)
    return metrics


def _by_segment(answers: ModelAnswers, task: Task) -> dict[str, Segment]:
    masks = segments(task.test.describe(), answers.ranked, task.training, task.part.metadata)
    return segment_metrics(answers.ranked, masks, task.goal.cutoffs)


def _built(parameters: Any) -> dict[str, Any]:
    built: dict[str, Any] = msgspec.to_builtins(parameters)
    return built


def _reason(error: BaseException) -> str:
    if isinstance(error, MemoryError):
        return "there was not enough memory for it"
    return str(error) or type(error).__name__
