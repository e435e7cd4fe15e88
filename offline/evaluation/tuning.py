"""Hyper-parameter search by Optuna on a validation slice of the training part. It has no access to a test.

A study is one SQLite file, written after each trial. An interrupted search continues where it stopped.
"""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path
from typing import Any, Final, NamedTuple, assert_never

import msgspec
import numpy as np
import optuna
from numpy.typing import NDArray

from offline.data.archive import Progress, quiet
from offline.data.splits import inner
from offline.evaluation.ranking_metrics import means, per_question
from offline.evaluation.run_algorithm import parameters_of, require_memory
from offline.evaluation.task import Goal, Questions, TrainingPart, answer, questions_of
from offline.training.algorithm import Algorithm, ChoiceRange, Context, FloatRange, IntegerRange, Range
from schemas.errors import ConfigurationInvalid, FreshetError

SLICE: Final = 2_000
"""People in the validation slice."""


class Trial(msgspec.Struct, frozen=True):
    """One set of parameters and its metrics on the validation slice."""

    number: int
    parameters: dict[str, Any]
    value: float | None
    """Value of the goal's first metric. None if the training failed."""
    metrics: dict[str, float] = {}
    seconds: float = 0.0
    failed: str | None = None


class Tuned(msgspec.Struct, frozen=True):
    """Result of a search. ``best`` is None if no trial succeeded."""

    algorithm: str
    metric: str
    trials: list[Trial]
    best: Trial | None
    slice: str
    """Description of the validation slice."""


class Slice(NamedTuple):
    """A validation slice: the inner training part and its questions."""

    part: TrainingPart
    questions: Questions


def tune(
    part: TrainingPart,
    using: Algorithm[Any],
    goal: Goal,
    trials: int,
    study: Path | None = None,
    *,
    seed: int = 0,
    threads: int = 0,
    progress: Progress = quiet,
) -> Tuned:
    """Searches until the study has this many trials. The defaults are the first trial.

    Raises ConfigurationInvalid if the algorithm has no search space, or if the study belongs to other data.
    """
    if not using.space:
        raise ConfigurationInvalid(f"{using.name} has no parameters worth searching")
    validation_slice = validation(part, goal, seed)
    search = _study(using, goal, _words(validation_slice, goal, seed), study)
    done = len(search.get_trials(deepcopy=False, states=_ENDED))
    for number in range(done, trials):
        # A seed for each trial, so that an interrupted search draws the same values.
        search.sampler = optuna.samplers.TPESampler(seed=1_000 * seed + number)
        progress(f"tuning {using.name}", number, trials)
        search.optimize(lambda trial: _attempt(trial, using, goal, validation_slice, threads), n_trials=1, catch=())
    progress(f"tuning {using.name}", trials, trials)
    return _tuned(search, using, goal)


def validation(part: TrainingPart, goal: Goal, seed: int = 0) -> Slice:
    """Returns a slice of the training part with questions like the test's: full or sampled ranking."""
    training, held = inner(part.interactions, users=SLICE, seed=seed)
    questions = replace(questions_of(held, training), repeats=goal.repeats)
    if goal.sampled:
        questions = replace(questions, among=_sampled(questions, goal.sampled, seed))
    return Slice(TrainingPart(training, part.metadata), questions)


def _attempt(trial: optuna.Trial, using: Algorithm[Any], goal: Goal, validation_slice: Slice, threads: int) -> float:
    chosen = {name: _suggested(trial, name, within) for name, within in using.space.items()}
    begun = time.perf_counter()
    try:
        parameters = parameters_of(using, chosen)
        require_memory(using, parameters, validation_slice.part)
        model = using.train(
            validation_slice.part.interactions,
            parameters,
            Context(metadata=validation_slice.part.metadata, threads=threads),
        )
    except (FreshetError, ImportError, MemoryError) as error:
        trial.set_user_attr("failed", str(error) or type(error).__name__)
        raise optuna.TrialPruned from error
    trial.set_user_attr("seconds", time.perf_counter() - begun)
    metrics = means(per_question(answer(validation_slice.questions, model).ranked, goal.cutoffs))
    trial.set_user_attr("metrics", metrics)
    return metrics[goal.headline[0]]


def _study(using: Algorithm[Any], goal: Goal, about: str, path: Path | None) -> optuna.Study:
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    search = optuna.create_study(
        study_name=using.name,
        storage=f"sqlite:///{path}" if path else None,
        direction="maximize",
        load_if_exists=True,
    )
    noted = search.user_attrs.get("about")
    if noted not in (None, f"{about}, {goal.headline[0]}"):
        raise ConfigurationInvalid(f"{path} is a search on {noted}: give this one a file of its own with --study")
    if noted is None:
        search.set_user_attr("about", f"{about}, {goal.headline[0]}")
    # This also covers a search that was killed during its first trial.
    if not search.get_trials(deepcopy=False, states=(*_ENDED, optuna.trial.TrialState.WAITING)):
        search.enqueue_trial(_defaults(using))
    return search


def _defaults(using: Algorithm[Any]) -> dict[str, Any]:
    """Returns the defaults inside the search space, so that the result is never worse than they are."""
    built: dict[str, Any] = msgspec.to_builtins(using.parameters())
    return {name: built[name] for name, within in using.space.items() if _within(built[name], within)}


def _within(value: Any, within: Range) -> bool:
    if isinstance(within, ChoiceRange):
        return value in within.values
    return value is not None and within.low <= value <= within.high


def _suggested(trial: optuna.Trial, name: str, within: Range) -> Any:
    match within:
        case FloatRange(low, high, log):
            return trial.suggest_float(name, low, high, log=log)
        case IntegerRange(low, high, log):
            return trial.suggest_int(name, low, high, log=log)
        case ChoiceRange(values):
            return trial.suggest_categorical(name, values)
        case _:
            assert_never(within)


def _sampled(questions: Questions, count: int, seed: int) -> list[NDArray[np.intp]]:
    """Draws for each question distinct items that are neither relevant nor in the history."""
    random = np.random.default_rng(seed)
    matrix, samples = questions.interactions.matrix, []
    for row, targets in zip(questions.rows.tolist(), questions.targets, strict=True):
        had = np.concatenate([matrix.indices[matrix.indptr[row] : matrix.indptr[row + 1]], targets])
        others = np.setdiff1d(np.arange(matrix.shape[1]), had)
        samples.append(random.choice(others, min(count, others.size), replace=False))
    return samples


def _words(validation_slice: Slice, goal: Goal, seed: int) -> str:
    window = validation_slice.part.interactions.window
    others = f"{goal.sampled} random others" if goal.sampled else "all items they have not had"
    return (
        f"one item each of {validation_slice.questions.rows.size} people among {others}, after training on"
        f" {window.interactions} interactions of {window.users} people and {window.items} items (seed {seed})"
    )


def _tuned(study: optuna.Study, using: Algorithm[Any], goal: Goal) -> Tuned:
    trials = [_trial(frozen) for frozen in study.get_trials(deepcopy=False, states=_ENDED)]
    worked = [trial for trial in trials if trial.value is not None]
    best = max(worked, key=lambda trial: trial.value or 0.0, default=None)
    return Tuned(using.name, goal.headline[0], trials, best, study.user_attrs["about"])


def _trial(frozen: optuna.trial.FrozenTrial) -> Trial:
    attributes = frozen.user_attrs
    value = frozen.value if frozen.state is optuna.trial.TrialState.COMPLETE else None
    return Trial(
        frozen.number,
        frozen.params,
        value,
        attributes.get("metrics", {}),
        attributes.get("seconds", 0.0),
        attributes.get("failed"),
    )


_ENDED: Final = (optuna.trial.TrialState.COMPLETE, optuna.trial.TrialState.PRUNED)
