"""The options of a training. The defaults equal those of ``offline.config``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Literal

import msgspec

from offline.interactions.parameters import Parameters, training_weights
from offline.publishing.publish import KEPT
from offline.publishing.thresholds import GateThresholds
from offline.training.parameters import AlsParameters, IalsParameters, NeighbourParameters
from schemas.values.rating_scale import DEFAULT_SCALE, RatingScale
from schemas.values.weights import Weight

Factorization = Literal["ials", "als"]


@dataclass(frozen=True, kw_only=True)
class SparkOptions:
    """How a session of Spark is started, and how its lineage is cut."""

    master: str = "local[2]"
    memory: str = "1g"
    stack: str = "4m"
    """Stack of each thread of the Java processes."""
    checkpoint: str = ""
    """Folder or address of checkpoints. Empty is a temporary folder for a local master, and no checkpoints for others."""
    checkpoint_interval: int = 3
    """Iterations between two checkpoints."""
    log: Path | None = None
    """File that gets what Spark logs. None is standard error."""

    @property
    def is_local(self) -> bool:
        """True if Spark runs in one process on this machine."""
        return self.master.startswith("local")


@dataclass(frozen=True, kw_only=True)
class TrainingOptions:
    """Algorithms, their parameters, and sizes of a training."""

    factorizations: ClassVar[tuple[str, ...]] = ("ials", "als")
    """Algorithms that produce the factors, which every version has."""

    algorithm: str = "ials"
    """Algorithm that precomputes the lists and is evaluated. If it is a factorization, the engine trains it."""
    models: tuple[str, ...] = ("ease-auto",)
    """More algorithms whose models are stored with the version."""
    models_limit: int = 5_000_000
    """Limit of interactions up to which the algorithms of ``models`` are trained."""
    parameters: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """Parameters that differ from the defaults, by name of the algorithm."""
    factorization: Factorization = "ials"
    """Algorithm that produces the factors in one process: ``ials`` is our exact solver, ``als`` the library implicit.

    Spark uses MLlib instead.
    """
    ials: IalsParameters = field(default_factory=IalsParameters)
    als: AlsParameters = field(default_factory=AlsParameters)
    neighbours: NeighbourParameters = field(default_factory=NeighbourParameters)
    half_life_days: float | None = None
    kept_days: Mapping[str, float] = field(default_factory=dict)
    """Days for which events are kept, by type. Older ones are left out."""
    rating_scale: RatingScale = DEFAULT_SCALE
    weights: Mapping[str, Weight] = field(default_factory=dict)
    """Weights of event types that differ from the defaults."""
    list_length: int = 100
    similar_length: int = 50
    stored_users: int = 200_000
    held_out_users: int = 2_000
    keep_versions: int = KEPT
    gate: GateThresholds = field(default_factory=GateThresholds)
    single_limit: int = 20_000_000
    """Limit of archived events up to which ``auto`` trains in one process. That takes about 2 GB and ten minutes."""
    weigh_events: int = 20_000
    """Number of newest interactions that are replayed to learn the source weights. 0 keeps the configured weights."""
    threads: int = 0
    sql_memory: str = "3GB"
    """Memory limit of DuckDB for the interactions. The rest is spilled to disk."""
    spark: SparkOptions = field(default_factory=SparkOptions)

    def interactions(self, now: float) -> Parameters:
        """Returns the parameters of the interactions, as of ``now`` (seconds since 1970)."""
        weights = {**training_weights(self.rating_scale), **self.weights}
        return Parameters(now=now, weights=weights, half_life_days=self.half_life_days, kept_days=self.kept_days)

    def as_dict(self, now: float) -> dict[str, Any]:
        """Returns the options that shape a version, for its manifest."""
        return {
            self.factorization: msgspec.to_builtins(self.ials if self.factorization == "ials" else self.als),
            "neighbours": msgspec.to_builtins(self.neighbours),
            "interactions": self.interactions(now).as_dict(),
            "list_length": self.list_length,
            "similar_length": self.similar_length,
        }
