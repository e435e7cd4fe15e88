"""The algorithms of a training: the factorization of the engine, and algorithms of the registry by name."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import msgspec

from models.als import Als
from models.structures.recommender import Recommender
from offline.data.archive import Progress, quiet
from offline.data.dataset import Interactions
from offline.data.metadata import Metadata
from offline.engines.engine import Engine
from offline.engines.options import TrainingOptions
from offline.training.algorithm import Context
from offline.training.registry import algorithm
from schemas.errors import ConfigurationInvalid


@dataclass(frozen=True)
class Learning:
    """Trains by the options. ``previous`` is the factorization of an earlier version to continue from."""

    engine: Engine
    options: TrainingOptions
    metadata: Metadata = field(default_factory=Metadata)
    previous: Als | None = None
    progress: Progress = quiet

    def factorization(self, interactions: Interactions) -> Als:
        """Returns the factors that every version has."""
        return self.engine.als(interactions, self.options, self.progress, self.previous)

    def listing(self, interactions: Interactions) -> Recommender:
        """Returns the model of the precomputed lists, which is also evaluated."""
        if self.options.algorithm in self.options.factorizations:
            return self.factorization(interactions)
        return self.model(self.options.algorithm, interactions)

    def model(self, name: str, interactions: Interactions) -> Recommender:
        """Trains the algorithm of this name with its parameters of the options."""
        using = algorithm(name)
        context = Context(metadata=self.metadata, threads=self.options.threads, progress=self.progress)
        return using.train(interactions, parameters_of(name, self.options.parameters), context)


def parameters_of(name: str, given: Mapping[str, Mapping[str, Any]]) -> Any:
    """Returns the algorithm's parameters, with defaults for missing ones. Raises ConfigurationInvalid."""
    using = algorithm(name)
    try:
        return msgspec.convert(dict(given.get(name, {})), using.parameters, strict=False)
    except msgspec.ValidationError as error:
        names = ", ".join(sorted(using.parameters.__dataclass_fields__))
        raise ConfigurationInvalid(f"FRESHET_PARAMETERS of '{name}': {error}; it has {names}") from error


def require_known(options: TrainingOptions) -> None:
    """Raises ConfigurationInvalid, before any work, if an algorithm or its parameters are invalid."""
    for name in {options.algorithm, *options.models, *options.parameters}:
        parameters_of(name, options.parameters)
        unknown = set(options.parameters.get(name, {})) - set(algorithm(name).parameters.__dataclass_fields__)
        if unknown:
            names = ", ".join(sorted(algorithm(name).parameters.__dataclass_fields__))
            raise ConfigurationInvalid(
                f"FRESHET_PARAMETERS of '{name}': there is no {', '.join(sorted(unknown))}; it has {names}"
            )
