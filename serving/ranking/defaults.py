"""The ranking configuration of a site that has configured nothing."""

from __future__ import annotations

from typing import Any

from serving.ranking.candidates.registry import candidate_sources
from serving.ranking.config import RankingConfig


def default_config(**changes: Any) -> RankingConfig:
    """The configuration with the weights that the candidate sources declare, and these changes."""
    declared = {name: source.weight for name, source in candidate_sources().items()}
    return RankingConfig(**{"sources": declared, **changes})
