"""Hyper-parameters searched by Optuna on a validation slice of the training part; there is no way from here to a test.

A study is one SQLite file, written after each trial: a search that was broken off goes on where it stopped.
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
from offline.training.algorithm import Algorithm, Choice, Context, Floats, Integers, Range
from schemas.errors import ConfigurationInvalid, FreshetError

SLICE: Final = 2_000
"""People in the validation slice."""


class Trial(msgspec.Struct, frozen=True):
    """One set of parameters and what it reached on the validation slice."""

    number: int
    parameters: dict[str, Any]
    value: float | None
    """Of the goal's first metric; None where the training failed."""
    metrics: dict[str, float] = {}
    seconds: float = 0.0
    failed: str | None = None


class Tuned(msgspec.Struct, frozen=True):
    """What a search found. ``best`` is None where no trial succeeded."""

    algorithm: str
    metric: str
    trials: list[Trial]
    best: Trial | None
    slice: str
    """What was asked, in words."""


class Slice(NamedTuple):
    """The inner training part and what is asked of it."""

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
    """Searches until the study has this many trials, the defaults first.

    Raises ConfigurationInvalid where the algorithm names nothing to search, or the study is of other data.
    """
    if not using.space:
        raise ConfigurationInvalid(f"{using.name} has no parameters worth searching")
    asked = validation(part, goal, seed)
    found = _study(using, goal, _words(asked, goal, seed), study)
    done = len(found.get_trials(deepcopy=False, states=_ENDED))
    for number in range(done, trials):
        # By its number, a trial's draws are the same whether the search was broken off before it or not.
        found.sampler = optuna.samplers.TPESampler(seed=1_000 * seed + number)
        progress(f"tuning {using.name}", number, trials)
        found.optimize(lambda trial: _attempt(trial, using, goal, asked, threads), n_trials=1, catch=())
    progress(f"tuning {using.name}", trials, trials)
    return _told(found, using, goal)


def validation(part: TrainingPart, goal: Goal, seed: int = 0) -> Slice:
    """A slice of the training part that is asked like the test is: full ranking, or among as many random others."""
    training, held = inner(part.interactions, users=SLICE, seed=seed)
    questions = replace(questions_of(held, training), repeats=goal.repeats)
    if goal.sampled:
        questions = replace(questions, among=_sampled(questions, goal.sampled, seed))
    return Slice(TrainingPart(training, part.metadata), questions)


def _attempt(trial: optuna.Trial, using: Algorithm[Any], goal: Goal, asked: Slice, threads: int) -> float:
    chosen = {name: _suggested(trial, name, within) for name, within in using.space.items()}
    begun = time.perf_counter()
    try:
        parameters = parameters_of(using, chosen)
        require_memory(using, parameters, asked.part)
        model = using.train(asked.part.interactions, parameters, Context(metadata=asked.part.metadata, threads=threads))
    except (FreshetError, ImportError, MemoryError) as error:
        trial.set_user_attr("failed", str(error) or type(error).__name__)
        raise optuna.TrialPruned from error
    trial.set_user_attr("seconds", time.perf_counter() - begun)
    metrics = means(per_question(answer(asked.questions, model).ranked, goal.cutoffs))
    trial.set_user_attr("metrics", metrics)
    return metrics[goal.headline[0]]


def _study(using: Algorithm[Any], goal: Goal, about: str, path: Path | None) -> optuna.Study:
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    found = optuna.create_study(
        study_name=using.name,
        storage=f"sqlite:///{path}" if path else None,
        direction="maximize",
        load_if_exists=True,
    )
    noted = found.user_attrs.get("about")
    if noted not in (None, f"{about}, {goal.headline[0]}"):
        raise ConfigurationInvalid(f"{path} is a search on {noted}: give this one a file of its own with --study")
    if noted is None:
        found.set_user_attr("about", f"{about}, {goal.headline[0]}")
    # Also after a search that was killed while it tried the defaults.
    if not found.get_trials(deepcopy=False, states=(*_ENDED, optuna.trial.TrialState.WAITING)):
        found.enqueue_trial(_defaults(using))
    return found


def _defaults(using: Algorithm[Any]) -> dict[str, Any]:
    """The defaults that the search may reach, so that what it finds is no worse than they are."""
    built: dict[str, Any] = msgspec.to_builtins(using.parameters())
    return {name: built[name] for name, within in using.space.items() if _within(built[name], within)}


def _within(value: Any, within: Range) -> bool:
    if isinstance(within, Choice):
        return value in within.values
    return value is not None and within.low <= value <= within.high


def _suggested(trial: optuna.Trial, name: str, within: Range) -> Any:
    match within:
        case Floats(low, high, log):
            return trial.suggest_float(name, low, high, log=log)
        case Integers(low, high, log):
            return trial.suggest_int(name, low, high, log=log)
        case Choice(values):
            return trial.suggest_categorical(name, values)
        case _:
            assert_never(within)


def _sampled(questions: Questions, count: int, seed: int) -> list[NDArray[np.intp]]:
    """Other items for each question, that are neither right nor in the history, each drawn once."""
    random = np.random.default_rng(seed)
    matrix, found = questions.asked.matrix, []
    for row, targets in zip(questions.rows.tolist(), questions.targets, strict=True):
        had = np.concatenate([matrix.indices[matrix.indptr[row] : matrix.indptr[row + 1]], targets])
        others = np.setdiff1d(np.arange(matrix.shape[1]), had)
        found.append(random.choice(others, min(count, others.size), replace=False))
    return found


def _words(asked: Slice, goal: Goal, seed: int) -> str:
    window = asked.part.interactions.window
    others = f"{goal.sampled} random others" if goal.sampled else "all items they have not had"
    return (
        f"one item each of {asked.questions.rows.size} people among {others}, after training on"
        f" {window.interactions} interactions of {window.users} people and {window.items} items (seed {seed})"
    )


def _told(study: optuna.Study, using: Algorithm[Any], goal: Goal) -> Tuned:
    trials = [_trial(each) for each in study.get_trials(deepcopy=False, states=_ENDED)]
    worked = [each for each in trials if each.value is not None]
    best = max(worked, key=lambda each: each.value or 0.0, default=None)
    return Tuned(using.name, goal.headline[0], trials, best, study.user_attrs["about"])


def _trial(found: optuna.trial.FrozenTrial) -> Trial:
    said = found.user_attrs
    value = found.value if found.state is optuna.trial.TrialState.COMPLETE else None
    return Trial(
        found.number, found.params, value, said.get("metrics", {}), said.get("seconds", 0.0), said.get("failed")
    )


_ENDED: Final = (optuna.trial.TrialState.COMPLETE, optuna.trial.TrialState.PRUNED)
