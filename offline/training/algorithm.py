"""The declaration of an algorithm. Comparison, tuning and the training job find algorithms by it.

A new algorithm is one file in ``models/`` (the value and its inference) and one here that ends with
``ALGORITHM = Algorithm(...)``. ``offline.training.registry`` discovers it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Generic, NamedTuple, TypeVar

from models.structures.recommender import Recommender
from offline.data.archive import Progress, quiet
from offline.data.dataset import Interactions
from offline.data.metadata import Metadata

P = TypeVar("P")


class FloatRange(NamedTuple):
    """A real parameter to search between two bounds."""

    low: float
    high: float
    log: bool = True


class IntegerRange(NamedTuple):
    """An integer parameter to search between two bounds, both included."""

    low: int
    high: int
    log: bool = False


class ChoiceRange(NamedTuple):
    """A parameter to search among a few values."""

    values: tuple[Any, ...]


Range = FloatRange | IntegerRange | ChoiceRange


@dataclass(frozen=True, kw_only=True)
class Context:
    """Inputs of a training besides the interactions."""

    metadata: Metadata = field(default_factory=Metadata)
    threads: int = 0
    """0: one for each core."""
    progress: Progress = quiet
    previous: Recommender | None = None
    """The model of the previous version, for algorithms that can start from it."""


@dataclass(frozen=True, kw_only=True)
class Algorithm(Generic[P]):
    """One algorithm: its training, parameters and search space."""

    name: str
    about: str
    """One line for people who choose an algorithm."""
    parameters: type[P]
    """A frozen dataclass whose defaults were chosen on validation slices (``docs/tuning.md``)."""
    train: Callable[[Interactions, P, Context], Recommender]
    space: Mapping[str, Range] = field(default_factory=dict)
    """The search space of the parameters."""
    needs_mib: Callable[[Interactions, P], float] | None = None
    """Estimates the memory of a training beyond its input, in MiB."""
    kind: str
    """The ``kind`` of the model value."""
