"""The loaded model version: its values, and their items' positions in the catalogue."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any, Final, Generic, NamedTuple, TypeVar

import numpy as np

from models.als import Als
from models.ease import Ease
from models.neighbours import Neighbours
from models.popularity import Popularity
from models.session_knn import Renumbered, SessionKnn
from models.source_weights import SourceWeights
from models.structures.arrays import Floats, Ints
from models.structures.kinds import load_model
from models.structures.lists import USERS, ScoredList
from models.user_neighbours import UserNeighbours
from schemas.manifest import Manifest
from serving.state.catalogue import Catalogue

_BY_NAME: Final = frozenset({"als", "neighbours", "popularity", SourceWeights.kind})
_KEPT_LISTS: Final = 20_000
V = TypeVar("V", Ease, UserNeighbours, SessionKnn)


class ScoredPositions(NamedTuple):
    """A list as columns: positions in the catalogue (C,) and scores (C,), best first."""

    items: Ints
    scores: Floats


NO_COLUMNS: Final = ScoredPositions(np.empty(0, np.int32), np.empty(0, np.float32))


@dataclass(frozen=True, eq=False)
class Bound(Generic[V]):
    """A value over I items with their positions in the catalogue (I,), and its row of each position (n,), or -1."""

    value: V
    items: Ints
    rows: Ints


@dataclass(frozen=True, eq=False)
class ModelBundle:
    """One version's values; ``als_items`` (I,) holds the catalogue position of each of the model's items."""

    version: str | None = None
    created_at: float = 0.0
    trained_to: float = -np.inf
    """Time (seconds) of the newest event that was trained on."""
    has_lists: bool = False
    """Whether the version holds users' precomputed lists."""
    als: Als | None = None
    neighbours: Neighbours | None = None
    popularity: Popularity | None = None
    ease: Bound[Ease] | None = None
    people: Bound[UserNeighbours] | None = None
    sessions: Renumbered | None = None
    weights: SourceWeights | None = None
    """How much each source counts, where that was learned."""
    further: tuple[Any, ...] = ()
    """Values that ``bind`` has yet to place."""
    als_items: Ints = field(default_factory=lambda: np.empty(0, np.int32))
    als_rows: Ints = field(default_factory=lambda: np.empty(0, np.int32))
    """The model's row of each catalogue position (n,), -1 where it has none; shorter than a catalogue that grew."""
    popular: ScoredPositions = NO_COLUMNS
    """Most popular at training, best first."""
    _similar: dict[tuple[int, int], ScoredPositions] = field(default_factory=dict, repr=False)

    def similar(self, catalogue: Catalogue, at: int, count: int) -> ScoredPositions:
        """The items most similar to the one at this position; kept, for a version never changes."""
        kept = self._similar.get((at, count))
        if kept is None:
            kept = as_columns(catalogue, self._look_up(catalogue.ids[at], count))
            if len(self._similar) >= _KEPT_LISTS:
                self._similar.clear()
            self._similar[at, count] = kept
        return kept

    def _look_up(self, item_id: str, count: int) -> ScoredList:
        found = self.neighbours.similar(item_id, count) if self.neighbours else ScoredList()
        if not len(found) and self.als:
            found = self.als.similar(item_id, count)
        return found


NO_BUNDLE: Final = ModelBundle()


def load(manifest: Manifest, value: Callable[[str], bytes]) -> ModelBundle:
    """The values of a version that serving knows by name; raises Undecodable and whatever ``value`` raises."""
    held = set(manifest.values)
    last = manifest.window.last_at
    return ModelBundle(
        version=manifest.version,
        created_at=manifest.created_at.timestamp(),
        trained_to=-np.inf if last is None else last.timestamp(),
        has_lists=manifest.lists.get(USERS, 0) > 0,
        als=Als.load(value("als")) if "als" in held else None,
        neighbours=Neighbours.load(value("neighbours")) if "neighbours" in held else None,
        popularity=Popularity.load(value("popularity")) if "popularity" in held else None,
        weights=SourceWeights.load(value(SourceWeights.kind)) if SourceWeights.kind in held else None,
        further=tuple(load_model(value(name)) for name in manifest.values if name not in _BY_NAME),
    )


def bind(models: ModelBundle, catalogue: Catalogue) -> ModelBundle:
    """The same values with their items' positions; items that the catalogue never heard of become bare ones."""
    als_items = als_rows = NO_COLUMNS.items
    popular = NO_COLUMNS
    if models.als:
        als_items = np.array([catalogue.ensure(item_id) for item_id in models.als.item_ids], np.int32)
        als_rows = np.full(len(catalogue), -1, np.int32)
        als_rows[als_items] = np.arange(als_items.size)
    if models.neighbours:
        for item_id in models.neighbours.item_ids:
            catalogue.ensure(item_id)
    if models.popularity:
        for item_id in models.popularity.item_ids:
            catalogue.ensure(item_id)
        popular = as_columns(catalogue, models.popularity.top(len(models.popularity.item_ids)))
    return replace(
        models,
        als_items=als_items,
        als_rows=als_rows,
        popular=popular,
        ease=_placed(models.further, Ease, catalogue),
        people=_placed(models.further, UserNeighbours, catalogue),
        sessions=_sessions(models.further, catalogue),
        _similar={},
    )


def weighed(models: ModelBundle, weights: SourceWeights | None) -> ModelBundle:
    """The same values with these weights of sources."""
    return replace(models, weights=weights)


def _placed(values: tuple[Any, ...], kind: type[V], catalogue: Catalogue) -> Bound[V] | None:
    """The first value of a kind, its items' positions looked up."""
    value = next((each for each in values if isinstance(each, kind)), None)
    if value is None:
        return None
    items = np.array([catalogue.ensure(item_id) for item_id in value.item_ids], np.int32)
    rows = np.full(len(catalogue), -1, np.int32)
    rows[items] = np.arange(items.size)
    return Bound(value, items, rows)


def _sessions(values: tuple[Any, ...], catalogue: Catalogue) -> Renumbered | None:
    found = _placed(values, SessionKnn, catalogue)
    return None if found is None else Renumbered(found.value, found.items, found.rows)


def as_columns(catalogue: Catalogue, found: ScoredList) -> ScoredPositions:
    """A list of ids as positions; ids that the catalogue never heard of are left out."""
    placed = [(at, score) for item_id, score in found if (at := catalogue.position(item_id)) is not None]
    items, scores = zip(*placed, strict=True) if placed else ((), ())
    return ScoredPositions(np.array(items, np.int32), np.array(scores, np.float32))
