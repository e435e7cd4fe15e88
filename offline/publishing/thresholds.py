"""Limits of the gate, set in a TOML or JSON file that ``FRESHET_GATE`` names."""

from __future__ import annotations

import tomllib
from pathlib import Path

import msgspec

from schemas.errors import ConfigurationInvalid


class GateThresholds(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Limits of the gate. Shares are relative to the champion: the active version or its nearest measured ancestor.

    Metrics of two versions come from different hold-outs. A difference within two standard errors (at their maximum for
    values from 0 to 1) is therefore never an objection.
    """

    metric: str = "NDCG@10"
    """Metric that compares versions. It must be measured by segment: NDCG@10 or HR@10."""
    worse: dict[str, float] = msgspec.field(default_factory=lambda: {"all": 0.1, "new": 0.25, "long-term": 0.25})
    """Maximum loss against the champion, as a share, by segment: all, new, occasional, long-term."""
    least: float | None = None
    """Minimum value of the metric, independent of the champion."""
    measured: bool = False
    """True: refuse unmeasured versions. Incremental trainings and external models are unmeasured."""
    coverage: float = 0.0
    """Minimum item coverage, as a share of all items."""
    coverage_share: float = 0.5
    """Minimum share of the champion's coverage."""
    sample: int = 50
    """Number of lists of each kind that are read back from the store."""

    def __post_init__(self) -> None:
        shares = {f"worse.{name}": share for name, share in self.worse.items()}
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
