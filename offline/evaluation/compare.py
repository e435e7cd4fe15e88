"""Algorithms side by side: each trained on a task's training part and asked the sealed test once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import msgspec

from offline.data.archive import Progress, quiet
from offline.evaluation.intervals import Difference, differences
from offline.evaluation.protocols import load
from offline.evaluation.published_splits import load_ncf
from offline.evaluation.run_algorithm import AlgorithmRun, ComparisonRow, curve, parameters_of, run
from offline.evaluation.task import PublishedFigures, Task
from offline.training.algorithm import Algorithm
from offline.training.registry import algorithm, algorithms

__all__ = ["CompareReport", "Plan", "compare", "compare_on", "load_ncf", "wanted"]

QUICK: Final = ("popularity", "neighbours", "als", "ials", "ease")
"""Compared where nothing is chosen: a baseline, neighbourhoods, and the factorizations that take minutes."""


class CompareReport(msgspec.Struct, frozen=True, kw_only=True):
    """What ``freshet evaluate compare`` writes."""

    dataset: str
    protocol: str
    config_id: str
    commit: str
    rows: list[ComparisonRow]
    published: list[PublishedFigures]
    """Printed elsewhere, not measured here."""
    headline: tuple[str, ...] = ()
    """The metrics to look at first; the first one says which is best."""
    differences: list[Difference] = []
    """The best against each other one."""
    questions: int = 0
    notes: dict[str, str] = {}
    """What a reader should know of the split, by subject."""


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What to compare and how deeply."""

    names: Sequence[str] = ()
    """Algorithms; for none the task's own, or QUICK where it has none; every one for ``("all",)``."""
    parameters: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """By algorithm, values in place of the task's and of defaults; chosen by ``freshet evaluate tune``, never on this test."""
    segments: bool = False
    curves: Sequence[str] = ()
    """Algorithms whose learning curve is measured."""
    threads: int = 0
    config_id: str = "default"
    commit: str = "unknown"


def compare(
    path: Path,
    protocol: str,
    names: Sequence[str] = (),
    progress: Progress = quiet,
    *,
    config_id: str = "default",
    commit: str = "unknown",
) -> CompareReport:
    """``compare_on`` a published split.

    Raises ConfigurationInvalid for an unknown protocol or algorithm, DatasetUnknown where files are missing.
    """
    plan = Plan(names=names, config_id=config_id, commit=commit)
    wanted(plan)
    return compare_on(load(path, protocol), plan, progress)


def wanted(plan: Plan, unnamed: Sequence[str] = QUICK) -> list[Algorithm[Any]]:
    """The algorithms of a plan, each once, ``unnamed`` where it names none; raises ConfigurationInvalid for an unknown one."""
    names = tuple(algorithms()) if tuple(plan.names) == ("all",) else tuple(plan.names) or tuple(unnamed)
    return [algorithm(name) for name in dict.fromkeys((*names, *plan.curves))]


def compare_on(task: Task, plan: Plan, progress: Progress = quiet) -> CompareReport:
    """Trains each algorithm and asks it the test once. One that fails is a row with its reason.

    Raises ConfigurationInvalid for an unknown algorithm or parameter.
    """
    given = {**task.chosen, **plan.parameters}
    every = [
        (each, parameters_of(each, given.get(each.name, {}))) for each in wanted(plan, tuple(task.chosen) or QUICK)
    ]
    runs = [_run(each, parameters, task, plan, progress) for each, parameters in every]
    first = {found.row.name: found.values[task.goal.headline[0]] for found in runs if found.values}
    return CompareReport(
        dataset=task.dataset,
        protocol=task.protocol,
        config_id=plan.config_id,
        commit=plan.commit,
        rows=[found.row for found in runs],
        published=list(task.published),
        headline=task.goal.headline,
        differences=differences(task.goal.headline[0], first, task.test.describe().people),
        questions=task.test.size,
        notes=dict(task.notes),
    )


def _run(using: Algorithm[Any], parameters: Any, task: Task, plan: Plan, progress: Progress) -> AlgorithmRun:
    found = run(using, parameters, task, by_segment=plan.segments, threads=plan.threads, progress=progress)
    if using.name not in plan.curves or found.row.failed:
        return found
    points = curve(using, parameters, task.part, plan.threads, progress)
    return found._replace(row=msgspec.structs.replace(found.row, curve=points))
