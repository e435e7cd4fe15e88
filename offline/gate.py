"""What a version must show before it may answer: looked at in the store, as its readers will see it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

import numpy as np

from models.als import Als
from models.lists import USERS, ScoredList
from schemas.errors import Undecodable, VersionUnknown
from schemas.manifest import Manifest
from schemas.ports import ModelStore

QUALITY: Final = "NDCG@10"
BASELINE: Final = "popularity "
"""Before a metric's name in a manifest: popularity's figure on the same hold-out."""
SAMPLE: Final = 50


def objections(
    store: ModelStore, manifest: Manifest, written: Mapping[str, int], lengths: Mapping[str, int]
) -> list[str]:
    """What speaks against this version, which is in the store already; nothing if it may be activated.

    ``written`` is how many lists of each kind were handed to the store, ``lengths`` how long each user's list
    must be. Raises ModelStoreUnavailable.
    """
    return [
        *_of_factors(store, manifest),
        *_of_counts(manifest, written),
        *_of_lists(store, manifest, lengths),
        *_of_quality(manifest, champion=store.active()),
    ]


def _of_factors(store: ModelStore, manifest: Manifest) -> Iterator[str]:
    try:
        als = Als.load(store.value(manifest.version, "als"))
    except (Undecodable, VersionUnknown) as error:
        yield f"its factors cannot be read back: {error}"
        return
    if not (np.isfinite(als.user_factors).all() and np.isfinite(als.item_factors).all()):
        yield "its factors are not finite"
    elif not als.item_factors.any():
        yield "its item factors are all zero"


def _of_counts(manifest: Manifest, written: Mapping[str, int]) -> Iterator[str]:
    for kind, promised in manifest.lists.items():
        if written.get(kind, 0) != promised:
            yield f"it has {written.get(kind, 0)} of {promised} lists of {kind}"


def _of_lists(store: ModelStore, manifest: Manifest, lengths: Mapping[str, int]) -> Iterator[str]:
    """The first list that is wrong, of a sample that is the same whenever one looks."""
    for user_id in list(lengths)[:: max(1, len(lengths) // SAMPLE)]:
        stored = store.entry(manifest.version, USERS, user_id)
        wrong = "is missing" if stored is None else _wrong_with(stored, lengths[user_id])
        if wrong:
            yield f"the list of user '{user_id}' {wrong}"
            return


def _wrong_with(stored: bytes, length: int) -> str | None:
    try:
        read = ScoredList.load(stored)
    except Undecodable as error:
        return f"cannot be read back: {error}"
    if len(read) != length or len(set(read.item_ids)) != len(read):
        return f"has {len(set(read.item_ids))} items instead of {length}"
    scores = np.asarray(read.scores)
    return None if np.isfinite(scores).all() and (np.diff(scores) <= 0).all() else "is not in order"


def _of_quality(manifest: Manifest, champion: str | None) -> Iterator[str]:
    own, popular = manifest.metrics.get(QUALITY), manifest.metrics.get(BASELINE + QUALITY)
    if champion is not None and own is not None and popular is not None and own <= popular:
        yield f"its {QUALITY} of {own:.4f} is no better than popularity's {popular:.4f}"
