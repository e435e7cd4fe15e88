"""What the gate asks of a version, set beforehand in a TOML or JSON file that ``FRESHET_GATE`` names."""

from __future__ import annotations

import tomllib
from pathlib import Path

import msgspec

from schemas.errors import ConfigurationInvalid


class GateThresholds(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Shares are of the champion's figure: the newest version up to the active one that was measured.

    Figures of two versions come from two hold-outs, a training apart; so what chance alone can explain (two standard
    errors, as large as they can be for a figure from 0 to 1) never refuses.
    """

    metric: str = "NDCG@10"
    """By which versions are compared; any that a manifest holds by segment, so NDCG@10 or HR@10."""
    worse: dict[str, float] = msgspec.field(default_factory=lambda: {"all": 0.1, "new": 0.25, "long-term": 0.25})
    """How much worse than the champion, as a share, by segment: all, new, occasional, long-term. Others do not matter."""
    least: float | None = None
    """The metric below which nothing is published, whatever answers now."""
    measured: bool = False
    """Whether what was not measured is refused: incremental trainings and what was made elsewhere are not."""
    coverage: float = 0.0
    """Least share of the items that are recommended to anybody at all."""
    coverage_share: float = 0.5
    """Least share of the champion's coverage."""
    sample: int = 50
    """Lists of each kind that are read back from the store."""

    def __post_init__(self) -> None:
        shares = {f"worse.{name}": share for name, share in self.worse.items()}
        shares |= {"coverage": self.coverage, "coverage_share": self.coverage_share}
        for name, share in shares.items():
            if not 0 <= share <= 1:
                raise ValueError(f"{name} is a share from 0 to 1, not {share:g}")
        if self.sample < 1:
            raise ValueError(f"sample is at least 1, not {self.sample}")


def read_thresholds(path: Path | None) -> GateThresholds:
    """The file's thresholds, the defaults without one; raises ConfigurationInvalid."""
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
