"""What a training module declares, so that the comparison, the tuning and the training job find it.

A new algorithm is one file in ``models/`` (the value and its inference) and one here that ends with
``ALGORITHM = Algorithm(...)``; ``offline.training.registry`` finds it by its being there.
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


class Floats(NamedTuple):
    """A parameter to search between two bounds."""

    low: float
    high: float
    log: bool = True


class Integers(NamedTuple):
    """A whole parameter to search between two bounds, both included."""

    low: int
    high: int
    log: bool = False


class Choice(NamedTuple):
    """A parameter to choose among a few values."""

    values: tuple[Any, ...]


Range = Floats | Integers | Choice


@dataclass(frozen=True, kw_only=True)
class Context:
    """What a training may use besides the interactions."""

    metadata: Metadata = field(default_factory=Metadata)
    threads: int = 0
    """0 is one a core."""
    progress: Progress = quiet
    previous: Recommender | None = None
    """The value of the version before, for those that can start from it."""


@dataclass(frozen=True, kw_only=True)
class Algorithm(Generic[P]):
    """One way to learn a model."""

    name: str
    about: str
    """One line for people who choose."""
    parameters: type[P]
    """A frozen dataclass whose defaults were chosen on validation slices (``docs/tuning.md``)."""
    train: Callable[[Interactions, P, Context], Recommender]
    space: Mapping[str, Range] = field(default_factory=dict)
    """The parameters worth searching."""
    needs_mib: Callable[[Interactions, P], float] | None = None
    """An estimate of the memory a training takes beyond its input, known beforehand."""
    kind: str
    """The ``kind`` of the value that it makes."""
