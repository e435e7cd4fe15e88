"""The options of a training run; every default is that of ``offline.config``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal

import msgspec

from offline.interactions.parameters import DEFAULT_WEIGHTS, Parameters
from offline.publishing.publish import KEPT
from offline.publishing.thresholds import GateThresholds
from offline.training.parameters import AlsParameters, IalsParameters, NeighbourParameters
from schemas.weights import Weight

Factorization = Literal["ials", "als"]


@dataclass(frozen=True, kw_only=True)
class TrainingOptions:
    """Sizes, lengths and parameters of a run."""

    factorizations: ClassVar[tuple[str, ...]] = ("ials", "als")

    algorithm: str = "ials"
    """Whose lists are precomputed, and which is measured; a factorization is that of the engine."""
    models: tuple[str, ...] = ("ease-auto",)
    """Further algorithms whose values are stored with the version,"""
    models_limit: int = 5_000_000
    """up to so many interactions: beyond, the lists and the factors are made alone."""
    parameters: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """Of algorithms by their names, where they are not the defaults."""
    factorization: Factorization = "ials"
    """What makes the factors on one machine: our own exact solver, or ``implicit``; Spark has its own."""
    ials: IalsParameters = field(default_factory=IalsParameters)
    als: AlsParameters = field(default_factory=AlsParameters)
    neighbours: NeighbourParameters = field(default_factory=NeighbourParameters)
    half_life_days: float | None = None
    weights: Mapping[str, Weight] = field(default_factory=dict)
    """Of types of events, beside the defaults."""
    list_length: int = 100
    similar_length: int = 50
    stored_users: int = 200_000
    held_out_users: int = 2_000
    keep_versions: int = KEPT
    gate: GateThresholds = field(default_factory=GateThresholds)
    single_limit: int = 20_000_000
    """Archived events up to which ``auto`` trains on one machine: some 2 GB and ten minutes there."""
    weigh_events: int = 20_000
    """Newest interactions that are replayed to learn what serving's sources weigh; 0 leaves the configured weights."""
    threads: int = 0
    sql_memory: str = "3GB"
    """What DuckDB may use for the interactions; the rest is spilled to disk."""
    spark_master: str = "local[2]"
    spark_memory: str = "1g"

    def interactions(self, now: float) -> Parameters:
        """How events become interactions, as of ``now`` (seconds since 1970)."""
        weights = {**DEFAULT_WEIGHTS, **self.weights}
        return Parameters(now=now, weights=weights, half_life_days=self.half_life_days)

    def as_dict(self, now: float) -> dict[str, Any]:
        """What shaped a version, for its manifest."""
        return {
            self.factorization: msgspec.to_builtins(self.ials if self.factorization == "ials" else self.als),
            "neighbours": msgspec.to_builtins(self.neighbours),
            "interactions": self.interactions(now).as_dict(),
            "list_length": self.list_length,
            "similar_length": self.similar_length,
        }
