"""The gate: checks a version in the store before it becomes active.

The limits are set in advance (``offline.publishing.thresholds``), not by the training.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

import numpy as np
import structlog

from models.als import Als
from models.neighbours import Neighbours
from models.structures.lists import ScoredList
from offline.evaluation.metric_names import BASELINE, COVERAGE, EVALUATED_USERS
from offline.publishing.thresholds import GateThresholds
from schemas.errors import ModelRefused, Undecodable, VersionUnknown
from schemas.offline.manifest import Manifest
from schemas.ports import ModelStore

_DEVIATIONS: Final = 2.0
"""A difference of up to this number of standard errors may be chance."""
_MAX_ANCESTORS: Final = 100
"""Limit of ancestors that are searched for an evaluated version. Incremental trainings are not evaluated."""

Lengths = Mapping[str, Mapping[str, int]]
"""Expected length of each list by kind and key. A sample of the keys is enough."""

_log = structlog.get_logger()


def admit(
    store: ModelStore,
    manifest: Manifest,
    written: Mapping[str, int],
    lengths: Lengths,
    thresholds: GateThresholds | None = None,
) -> None:
    """Raises ModelRefused with all objections, if there is one; raises ModelStoreUnavailable."""
    reasons = objections(store, manifest, written, lengths, thresholds)
    if reasons:
        _log.warning("the gate refused a version", version=manifest.version, objections=reasons)
        raise ModelRefused(
            f"version {manifest.version} is in the store but not active: {'; '.join(reasons)}."
            f" `freshet models promote {manifest.version}` makes it active all the same"
        )


def objections(
    store: ModelStore,
    manifest: Manifest,
    written: Mapping[str, int],
    lengths: Lengths,
    thresholds: GateThresholds | None = None,
) -> list[str]:
    """Returns the objections to a stored version. Empty if it may be activated.

    ``written`` is the number of lists written to the store, by kind. Raises ModelStoreUnavailable.
    """
    limits = thresholds or GateThresholds()
    return [
        *_of_values(store, manifest),
        *_of_counts(manifest, written),
        *_of_lists(store, manifest, lengths, limits.sample),
        *_of_quality(manifest, limits, store.active()),
        *_of_champion(manifest, limits, nearest_evaluated(store, store.active(), limits.metric)),
    ]


def _of_values(store: ModelStore, manifest: Manifest) -> Iterator[str]:
    for name, (kind, wrong_with) in _CHECKED.items():
        if name not in manifest.values:
            continue
        try:
            wrong = wrong_with(kind.load(store.value(manifest.version, name)))
        except (Undecodable, VersionUnknown) as error:
            wrong = f"cannot be read back: {error}"
        if wrong:
            yield f"its {_SHOWN[name]} {wrong}"


def _wrong_with_factors(als: Als) -> str | None:
    if not (np.isfinite(als.user_factors).all() and np.isfinite(als.item_factors).all()):
        return "are not finite"
    return None if als.item_factors.any() else "are all zero"


def _wrong_with_neighbours(neighbours: Neighbours) -> str | None:
    return None if np.isfinite(neighbours.scores).all() else "have scores that are not finite"


_CHECKED: Final[dict[str, tuple[Any, Callable[[Any], str | None]]]] = {
    "als": (Als, _wrong_with_factors),
    "neighbours": (Neighbours, _wrong_with_neighbours),
}
_SHOWN: Final = {"als": "factors", "neighbours": "neighbours"}


def _of_counts(manifest: Manifest, written: Mapping[str, int]) -> Iterator[str]:
    for kind, promised in manifest.lists.items():
        if written.get(kind, 0) != promised:
            yield f"it has {written.get(kind, 0)} of {promised} lists of {kind}"


def _of_lists(store: ModelStore, manifest: Manifest, lengths: Lengths, sample: int) -> Iterator[str]:
    """Yields the first wrong list of each kind, from a fixed sample."""
    for kind, of_kind in lengths.items():
        for key in list(of_kind)[:: max(1, len(of_kind) // sample)]:
            stored = store.entry(manifest.version, kind, key)
            wrong = "is missing" if stored is None else _wrong_with(stored, of_kind[key])
            if wrong:
                yield f"the list of {kind.removesuffix('s')} '{key}' {wrong}"
                break


def _wrong_with(stored: bytes, length: int) -> str | None:
    try:
        read = ScoredList.load(stored)
    except Undecodable as error:
        return f"cannot be read back: {error}"
    if len(read) != length or len(set(read.item_ids)) != len(read):
        return f"has {len(set(read.item_ids))} items instead of {length}"
    scores = np.asarray(read.scores)
    return None if np.isfinite(scores).all() and (np.diff(scores) <= 0).all() else "is not in order"


def _of_quality(manifest: Manifest, limits: GateThresholds, champion: str | None) -> Iterator[str]:
    """Yields objections to the version's own metrics, without a comparison with the champion."""
    name, metrics = limits.metric, manifest.metrics
    own, popular = metrics.get(name), metrics.get(BASELINE + name)
    if limits.require_metric and own is None:
        yield f"its {name} was not measured"
    if limits.minimum is not None and own is not None and own < limits.minimum:
        yield f"its {name} of {own:.4f} is below the least of {limits.minimum:.4f}"
    if champion is not None and own is not None and popular is not None and own <= popular:
        yield f"its {name} of {own:.4f} is no better than popularity's {popular:.4f}"
    covered = metrics.get(COVERAGE)
    if covered is not None and covered < limits.coverage:
        yield f"it recommends {covered:.2%} of the items at all, fewer than {limits.coverage:.2%}"


def _of_champion(manifest: Manifest, limits: GateThresholds, champion: Manifest | None) -> Iterator[str]:
    """Yields an objection for each segment whose loss against the champion exceeds its limit and chance."""
    if champion is None:
        return
    for segment, share in limits.max_loss.items():
        suffix = "" if segment == "all" else f"[{segment}]"
        own, other = manifest.metrics.get(limits.metric + suffix), champion.metrics.get(limits.metric + suffix)
        if own is None or other is None:
            continue
        chance = _DEVIATIONS * np.hypot(_error(manifest, own, suffix), _error(champion, other, suffix))
        if own < other * (1 - share) - chance:
            yield (
                f"its {limits.metric}{suffix} of {own:.4f} is worse than the {other:.4f} of {champion.version}"
                f" by more than {share:.0%} and chance"
            )
    own, other = manifest.metrics.get(COVERAGE), champion.metrics.get(COVERAGE)
    if own is not None and other is not None and own < limits.coverage_share * other:
        yield (
            f"it recommends {own:.2%} of the items at all, less than"
            f" {limits.coverage_share:.0%} of the {other:.2%} of {champion.version}"
        )


def _error(manifest: Manifest, mean: float, suffix: str) -> float:
    """Returns the maximum standard error of a mean of values from 0 to 1. 0 if the number of users is unknown."""
    users = manifest.metrics.get(EVALUATED_USERS + suffix, 0.0)
    return float(np.sqrt(max(0.0, mean * (1 - mean)) / users)) if users > 0 else 0.0


def nearest_evaluated(store: ModelStore, version: str | None, metric: str) -> Manifest | None:
    """Returns the version, or else its nearest ancestor, that has this metric; None if there is none."""
    for _ in range(_MAX_ANCESTORS):
        if version is None:
            return None
        try:
            manifest = store.manifest(version)
        except VersionUnknown:  # it has expired
            return None
        if metric in manifest.metrics:
            return manifest
        version = manifest.parent
    return None
