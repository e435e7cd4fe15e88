"""One algorithm on one task: trained, timed, asked the sealed test once, and described."""

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
from offline.evaluation.segments import Segment, measured, segments
from offline.evaluation.task import ModelAnswers, Task, TrainingPart, answer, questions_of
from offline.training.algorithm import Algorithm, Context
from schemas.errors import ConfigurationInvalid, FreshetError

SHARES: Final = (0.1, 0.25, 0.5, 1.0)
"""Of the training interactions, for a learning curve."""

PerQuestion = dict[str, NDArray[np.float64]]


class CurvePoint(msgspec.Struct, frozen=True):
    """One point of a learning curve, measured on a validation slice of the training part, not on the test."""

    share: float
    metrics: dict[str, float]
    seconds: float


class ComparisonRow(msgspec.Struct, frozen=True, kw_only=True):
    """One algorithm's figures; ``seconds`` are of training alone, ``peak_mib`` is the process's largest memory in it."""

    name: str
    metrics: dict[str, float] = {}
    seconds: float = 0.0
    peak_mib: float = 0.0
    added_mib: float | None = None
    """How much of that training added to what the process held before; None where the system does not say."""
    asking_seconds: float = 0.0
    """Of answering all questions of the test."""
    parameters: dict[str, Any] = {}
    intervals: dict[str, tuple[float, float]] = {}
    """95 % bootstrap intervals of what is a mean over questions."""
    segments: dict[str, Segment] = {}
    curve: list[CurvePoint] = []
    failed: str | None = None
    """Why there are no figures."""


class AlgorithmRun(NamedTuple):
    """A row, and its metrics of each question, for paired tests; none where the algorithm failed."""

    row: ComparisonRow
    values: PerQuestion


def run(
    using: Algorithm[Any], parameters: Any, task: Task, *, by_segment: bool, threads: int, progress: Progress = quiet
) -> AlgorithmRun:
    """Trains and examines. What an algorithm cannot do here (missing extra, too little memory) is the row's reason."""
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
    """An algorithm's parameters with these values in place of defaults; raises ConfigurationInvalid."""
    names = [each.name for each in dataclasses.fields(using.parameters)]
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
    """Quality against the share of data, on a validation slice of the training part; the test has no part in it.

    Of everyone's interactions a random share is kept, one at least, so that the same people are asked each time.
    """
    training, held = inner(part.interactions)
    points = []
    for share in SHARES:
        smaller = thinned(training, share)
        begun = time.perf_counter()
        model = using.train(smaller, parameters, _context(part, threads, quiet))
        seconds = time.perf_counter() - begun
        found = answer(questions_of(rebased(held, training, smaller), smaller), model)
        points.append(CurvePoint(share, means(per_question(found.ranked)), seconds))
        progress(f"learning curve of {using.name}", len(points), len(SHARES))
    return points


def require_memory(using: Algorithm[Any], parameters: Any, part: TrainingPart) -> None:
    """Raises ConfigurationInvalid where the algorithm says beforehand that it takes more memory than there is."""
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
    """The model, and what training it took."""
    context.progress(f"training {using.name}", 0, 1)
    gc.collect()  # what the algorithm before left behind is not this one's
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
    """What the lists are like; nothing where only a sample was ranked."""
    if answers.tops is None:
        return {}
    k, training = max(task.goal.cutoffs), task.training
    found = of_lists(answers.tops, training, k)
    categories = category_matrix(task.part.metadata, training.item_ids)
    if categories is not None:
        described = task.test.describe()
        found |= of_categories(answers.tops, categories, described.asked.matrix[described.rows], k)
    return found


def _by_segment(answers: ModelAnswers, task: Task) -> dict[str, Segment]:
    masks = segments(task.test.describe(), answers.ranked, task.training, task.part.metadata)
    return measured(answers.ranked, masks, task.goal.cutoffs)


def _built(parameters: Any) -> dict[str, Any]:
    built: dict[str, Any] = msgspec.to_builtins(parameters)
    return built


def _reason(error: BaseException) -> str:
    if isinstance(error, MemoryError):
        return "there was not enough memory for it"
    return str(error) or type(error).__name__
