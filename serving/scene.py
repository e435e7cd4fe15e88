"""What a source of candidates sees, and what it gives."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import cache, partial
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from models.arrays import Floats, Ints
from models.sparse import changes, places
from schemas.answers import Asked
from serving.bundle import Columns, Models
from serving.catalogue import Catalogue
from serving.config import RankingConfig
from serving.fields import Bools
from serving.ordering import leading, strongest
from serving.population import Population
from serving.profile import Profile
from signals.users import UserValue

NOBODY: Final = -1
"""The anchor of a candidate that no single item led to."""
_ENTRY_BITS: Final = 24
"""Enough to number what all anchors of one source lead to."""
_SPARE: Final = 64
"""Candidates beyond those wanted, for some of the best may not be allowed."""


class Signals(NamedTuple):
    """What is known at this moment: the person's value, everybody's aggregates, the person's precomputed list."""

    user: UserValue
    population: Population
    stored: Columns | None = None


class Scene(NamedTuple):
    """One request with all that bears on it. ``allowed`` (n,) says which positions may be recommended."""

    asked: Asked
    profile: Profile
    signals: Signals
    models: Models
    catalogue: Catalogue
    config: RankingConfig
    allowed: Bools
    reach: int
    returning: Ints
    """Positions (R,) that the session was at and may be shown again, newest first: only two sources propose these."""

    @property
    def trained(self) -> bool:
        """Whether the model knows this person."""
        als, user_id = self.models.als, self.asked.user_id
        known = als is not None and user_id is not None and als.vector(user_id) is not None
        return known or bool(self.signals.stored and self.signals.stored.items.size)

    @property
    def fresh_share(self) -> float:
        """How far what the person did since training outweighs what was learned: 0 to 1; 1 for a stranger."""
        if not self.trained:
            return 1.0
        return self.profile.fresh / (self.profile.fresh + self.config.mix)


Led = Callable[[Ints], Ints]
"""The item that led to each of some of a source's candidates (C,), or NOBODY; shape (C,)."""


class Part(NamedTuple):
    """One source's candidates: distinct positions (C,), scores 0 to 1 (C,), and which item led to them."""

    items: Ints
    scores: Floats
    led: Led | int = NOBODY
    """Asked only of the candidates that are shown; or one item that led to them all."""


NOTHING: Final = Part(np.empty(0, np.int32), np.empty(0, np.float32))


def first_allowed(scene: Scene, items: Ints) -> NDArray[np.intp]:
    """Places of the first ``reach`` allowed among these items (C,), in their order."""
    found = scene.allowed[items[: scene.reach + _SPARE]].nonzero()[0]
    if found.size < scene.reach:
        found = scene.allowed[items].nonzero()[0]
    return found[: scene.reach]


def best_allowed(scene: Scene, items: Ints, scores: Floats) -> NDArray[np.intp]:
    """Indices of the ``reach`` best of the allowed among these items (C,), by finite scores (C,), best first."""
    near = leading(scores, scene.reach + _SPARE)
    near = near[scene.allowed[items[near]]]
    if near.size < scene.reach:
        near = np.flatnonzero(scene.allowed[items])
    return near[strongest(scores[near], scene.reach, scene.catalogue.column("hash")[items[near]])]


def scaled(scores: Floats) -> Floats:
    """Scores brought to 0..1 by the greatest one; what is below zero becomes zero."""
    top = float(scores.max(initial=0.0))
    positive: Floats = np.maximum(scores, 0.0).astype(np.float32, copy=False)
    return positive / np.float32(top) if top > 0 else positive


def supported(scores: Floats, support: float) -> Floats:
    """Scores above 0 brought to 0..1: the greatest one is near 1 where it is far above ``support``, which has its unit."""
    top = float(scores.max(initial=0.0))
    weighed: Floats = scores / np.float32(top + support) if top > 0 else scores
    return weighed


class Leads(NamedTuple):
    """Where some anchors lead: by entry (E,) an anchor, a position that it leads to, and how strongly."""

    anchors: Ints
    items: Ints
    scores: Floats


NOWHERE: Final = Leads(NOTHING.items, NOTHING.items, NOTHING.scores)


def leads(found: Iterable[tuple[int, Ints, Floats]]) -> Leads:
    """Where each anchor leads, as one."""
    kept = [each for each in found if each[1].size]
    if not kept:
        return NOWHERE
    anchors, items, scores = zip(*kept, strict=True)
    owners = np.array(anchors, np.int32).repeat([each.size for each in items])
    return Leads(owners, np.concatenate(items), np.concatenate(scores))


class Runs(NamedTuple):
    """Which entries of some leads go to which item: to ``items[c]`` (C,) rising, from ``begins[c]`` (C,) of ``entries`` on."""

    items: Ints
    begins: NDArray[np.intp]
    entries: NDArray[np.int64]


def runs(found: Leads, kept: NDArray[np.intp]) -> Runs:
    """These entries (at least one) of some leads, by item."""
    # One sort of whole numbers made of item and entry takes a fraction of a sort by two columns.
    keys = (found.items[kept].astype(np.int64) << _ENTRY_BITS) | kept
    keys.sort()
    entries = keys & (2**_ENTRY_BITS - 1)
    items = found.items[entries]
    begins = changes(items).nonzero()[0]
    return Runs(items[begins], begins, entries)


def gathered(scene: Scene, found: Leads) -> Part:
    """Candidates of several anchors: summed scores, each led to by the anchor that gave it most; the ``reach`` best."""
    allowed = scene.allowed[found.items].nonzero()[0]
    if not allowed.size:
        return NOTHING
    by_item = runs(found, allowed)
    items, summed = by_item.items, np.add.reduceat(found.scores[by_item.entries], by_item.begins)
    if items.size > scene.reach:
        chosen = strongest(summed, scene.reach, scene.catalogue.column("hash")[items])
        items, summed = items[chosen], summed[chosen]
    return Part(items, summed, partial(strongest_lead, found, by_item))


def strongest_lead(found: Leads, by_item: Runs, items: Ints) -> Ints:
    """For each of these items (C,), all of the runs, the anchor that leads there most, of several the last; shape (C,)."""
    at = by_item.items.searchsorted(items)
    begins = by_item.begins[at]
    lengths = np.append(by_item.begins, by_item.entries.size)[at + 1] - begins
    entries = by_item.entries[places(begins, lengths)]
    order = np.lexsort((found.scores[entries], np.arange(items.size).repeat(lengths)))
    leading: Ints = found.anchors[entries[order[lengths.cumsum() - 1]]]
    return leading


def bucketed(items: Ints) -> Part:
    """Candidates in order, scored by rank in doubling buckets: a small change of counts seldom changes a score."""
    return Part(items, _buckets(items.size))


@cache
def _buckets(count: int) -> Floats:
    scores = np.exp2(-np.floor(np.log2(np.arange(1, count + 1))) / 2).astype(np.float32)
    scores.flags.writeable = False
    return scores
