"""Comparison of algorithms. Each is trained on the training part of a task and evaluated once on the sealed test."""

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
"""Algorithms compared by default: a baseline, neighbourhoods, and the factorizations that take minutes."""


class CompareReport(msgspec.Struct, frozen=True, kw_only=True):
    """The report of ``freshet evaluate compare``."""

    dataset: str
    protocol: str
    config_id: str
    commit: str
    rows: list[ComparisonRow]
    published: list[PublishedFigures]
    """Figures from papers, not measured here."""
    headline: tuple[str, ...] = ()
    """The main metrics. The first one decides which algorithm is best."""
    differences: list[Difference] = []
    """The best algorithm compared with each other one."""
    questions: int = 0
    notes: dict[str, str] = {}
    """Notes on the split for the reader, by subject."""


@dataclass(frozen=True, kw_only=True)
class Plan:
    """The algorithms to compare, and the details to report."""

    names: Sequence[str] = ()
    """Names of algorithms. Empty: those of the task, or else QUICK. ``("all",)``: every algorithm."""
    parameters: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """Parameters by algorithm, which override those of the task and the defaults. Choose them with ``freshet evaluate tune``."""
    segments: bool = False
    curves: Sequence[str] = ()
    """Names of algorithms whose learning curve is measured."""
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
    """Compares algorithms on a published split.

    Raises ConfigurationInvalid for an unknown protocol or algorithm, DatasetUnknown if files are missing.
    """
    plan = Plan(names=names, config_id=config_id, commit=commit)
    wanted(plan)
    return compare_on(load(path, protocol), plan, progress)


def wanted(plan: Plan, unnamed: Sequence[str] = QUICK) -> list[Algorithm[Any]]:
    """Returns the algorithms of a plan, or ``unnamed`` if it has none. Raises ConfigurationInvalid for an unknown name."""
    names = tuple(algorithms()) if tuple(plan.names) == ("all",) else tuple(plan.names) or tuple(unnamed)
    return [algorithm(name) for name in dict.fromkeys((*names, *plan.curves))]


def compare_on(task: Task, plan: Plan, progress: Progress = quiet) -> CompareReport:
    """Trains each algorithm and evaluates it once on the test. A failed algorithm is a row with its reason.

    Raises ConfigurationInvalid for an unknown algorithm or parameter.
    """
    given = {**task.chosen, **plan.parameters}
    chosen = [
        (using, parameters_of(using, given.get(using.name, {}))) for using in wanted(plan, tuple(task.chosen) or QUICK)
    ]
    runs = [_run(using, parameters, task, plan, progress) for using, parameters in chosen]
    first = {finished.row.name: finished.values[task.goal.headline[0]] for finished in runs if finished.values}
    return CompareReport(
        dataset=task.dataset,
        protocol=task.protocol,
        config_id=plan.config_id,
        commit=plan.commit,
        rows=[finished.row for finished in runs],
        published=list(task.published),
        headline=task.goal.headline,
        differences=differences(task.goal.headline[0], first, task.test.describe().people),
        questions=task.test.size,
        notes=dict(task.notes),
    )


def _run(using: Algorithm[Any], parameters: Any, task: Task, plan: Plan, progress: Progress) -> AlgorithmRun:
    finished = run(using, parameters, task, by_segment=plan.segments, threads=plan.threads, progress=progress)
    if using.name not in plan.curves or finished.row.failed:
        return finished
    points = curve(using, parameters, task.part, plan.threads, progress)
    return finished._replace(row=msgspec.structs.replace(finished.row, curve=points))
