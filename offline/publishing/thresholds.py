"""Limits of the gate, set in a TOML or JSON file that ``FRESHET_GATE`` names."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Final

import msgspec

from schemas.errors import ConfigurationInvalid

_KEYS: Final = {"max_loss": "worse", "minimum": "least", "require_metric": "measured"}
"""The keys of a file that differ from the names of their fields."""


class GateThresholds(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename=_KEYS):
    """Limits that a new version must meet. Some are relative to the champion.

    The champion is the active version, or its nearest ancestor that was evaluated. Two versions are evaluated on different
    hold-outs. So a difference of up to two standard errors (at their maximum for values from 0 to 1) is no objection.
    """

    metric: str = "NDCG@10"
    """Metric by which versions are compared. Trainings compute it by segment: NDCG@10 or HR@10."""
    max_loss: dict[str, float] = msgspec.field(default_factory=lambda: {"all": 0.1, "new": 0.25, "long-term": 0.25})
    """In a file: ``worse``. Maximum loss against the champion, as a share, by segment: all, new, occasional, long-term."""
    minimum: float | None = None
    """In a file: ``least``. Minimum value of the metric, independent of the champion."""
    require_metric: bool = False
    """In a file: ``measured``. True: refuse versions without the metric. Incremental trainings and external models lack it."""
    coverage: float = 0.0
    """Minimum item coverage, as a share of all items."""
    coverage_share: float = 0.5
    """Minimum coverage, as a share of the champion's coverage."""
    sample: int = 50
    """Number of lists of each kind that are read back from the store."""

    def __post_init__(self) -> None:
        shares = {f"worse.{name}": share for name, share in self.max_loss.items()}
        shares |= {"coverage": self.coverage, "coverage_share": self.coverage_share}
        for name, share in shares.items():
            if not 0 <= share <= 1:
                raise ValueError(f"{name} is a share from 0 to 1, not {share:g}")
        if self.sample < 1:
            raise ValueError(f"sample is at least 1, not {self.sample}")


def read_thresholds(path: Path | None) -> GateThresholds:
    """Returns the thresholds of the file, or the defaults without a file. Raises ConfigurationInvalid."""
    if path is None:
        return GateThresholds()
    try:
        text = path.read_text("utf-8")
        given = msgspec.json.decode(text) if path.suffix == ".json" else tomllib.loads(text)
        return msgspec.convert(given, GateThresholds, strict=False)
    except OSError as error:
        raise ConfigurationInvalid(f"FRESHET_GATE: {path} cannot be read: {error.strerror}") from error
    except (ValueError, msgspec.DecodeError) as error:
        raise ConfigurationInvalid(f"FRESHET_GATE: {path}: {error}") from error
