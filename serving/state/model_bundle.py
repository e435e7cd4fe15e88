"""The loaded model version: its values, and their items' positions in the catalogue."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final, Generic, NamedTuple, Protocol, TypeVar

import numpy as np

from models.als import Als
from models.clusters import Clusters
from models.ease import Ease
from models.hybrid import Hybrid
from models.neighbours import Neighbours
from models.popularity import Popularity
from models.session_knn import Renumbered, SessionKnn
from models.source_weights import SourceWeights
from models.structures.arrays import Floats, Ints, best
from models.structures.kinds import load_model
from models.structures.lists import USERS, ScoredList
from models.structures.prepared import prepare
from models.user_neighbours import UserNeighbours
from schemas.offline.manifest import Manifest
from serving.sized_cache import MIB, SizedCache
from serving.state.catalogue import Catalogue

_BY_NAME: Final = frozenset({"als", "neighbours", "popularity", SourceWeights.kind})
_CACHED_BYTES: Final = 64 * MIB
_LIST_BYTES: Final = 500
"""A list of similar items without its values."""
V = TypeVar("V", Clusters, Ease, Hybrid, SessionKnn, UserNeighbours)


class ScoredPositions(NamedTuple):
    """A list as arrays: positions in the catalogue (C,) and scores (C,), best first."""

    items: Ints
    scores: Floats


NO_COLUMNS: Final = ScoredPositions(np.empty(0, np.int32), np.empty(0, np.float32))


@dataclass(frozen=True, eq=False)
class Bound(Generic[V]):
    """A value over I items with their positions in the catalogue (I,), and its row of each position (n,), or -1."""

    value: V
    items: Ints
    rows: Ints


def similar_lists() -> SizedCache[tuple[int, int], ScoredPositions]:
    """An empty cache of the lists of similar items, by position and length."""
    return SizedCache(_CACHED_BYTES)


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
    user_neighbours: Bound[UserNeighbours] | None = None
    """User neighbours, which the source ``user_knn`` reads."""
    sessions: Renumbered | None = None
    """The sessions of the training, for session kNN; live sessions are in ``Aggregates.sessions``."""
    clusters: Bound[Clusters] | None = None
    hybrid: Bound[Hybrid] | None = None
    """Bound by its cold items: those that nobody had at training."""
    source_weights: SourceWeights | None = None
    """How much each source counts, where that was learned."""
    unbound: tuple[object, ...] = ()
    """The values whose kinds are in ``BINDINGS``, as they were loaded; ``bind`` fills their fields."""
    als_items: Ints = field(default_factory=lambda: np.empty(0, np.int32))
    als_rows: Ints = field(default_factory=lambda: np.empty(0, np.int32))
    """The model's row of each catalogue position (n,), -1 where it has none; shorter than a catalogue that grew."""
    popular: ScoredPositions = NO_COLUMNS
    """Most popular at training, best first."""
    popularity_items: Ints = field(default_factory=lambda: np.empty(0, np.int32))
    """The catalogue position of each item of ``popularity`` (I,)."""
    _similar: SizedCache[tuple[int, int], ScoredPositions] = field(default_factory=similar_lists, repr=False)

    def similar(self, catalogue: Catalogue, position: int, count: int) -> ScoredPositions:
        """The items most similar to the one at this position; cached, because a version never changes."""
        similar = self._similar.get((position, count))
        if similar is None:
            similar = as_columns(catalogue, self._look_up(catalogue.ids[position], count))
            self._similar.put((position, count), similar, _LIST_BYTES + similar.items.nbytes + similar.scores.nbytes)
        return similar

    def _look_up(self, item_id: str, count: int) -> ScoredList:
        similar = self.neighbours.similar(item_id, count) if self.neighbours else ScoredList()
        if not len(similar) and self.als:
            similar = self.als.similar(item_id, count)
        return similar


NO_BUNDLE: Final = ModelBundle()


def load(manifest: Manifest, value: Callable[[str], bytes]) -> ModelBundle:
    """Load the values of a version; raises Undecodable, and the errors of ``value``."""
    names = set(manifest.values)
    last = manifest.window.last_at
    return ModelBundle(
        version=manifest.version,
        created_at=manifest.created_at.timestamp(),
        trained_to=-np.inf if last is None else last.timestamp(),
        has_lists=manifest.lists.get(USERS, 0) > 0,
        als=Als.load(value("als")) if "als" in names else None,
        neighbours=Neighbours.load(value("neighbours")) if "neighbours" in names else None,
        popularity=Popularity.load(value("popularity")) if "popularity" in names else None,
        source_weights=SourceWeights.load(value(SourceWeights.kind)) if SourceWeights.kind in names else None,
        unbound=tuple(load_model(value(name)) for name in manifest.values if name not in _BY_NAME),
    )


class ItemPositions(Protocol):
    """The part of ``Catalogue`` that binds a model."""

    def __len__(self) -> int: ...

    def ensure_all(self, item_ids: Sequence[str], /) -> Ints:
        """The positions of these items, in their order; unknown items are added without item data."""


def bind(models: ModelBundle, catalogue: ItemPositions) -> ModelBundle:
    """The same version with the positions of its items, and with all that its models prepare.

    Items unknown to the catalogue are added without item data.
    """
    for model in (models.als, models.neighbours, models.popularity, *models.unbound):
        if model is not None:
            prepare(model)
    als_items, als_rows = _bind_ids(models.als.item_ids if models.als else (), catalogue)
    catalogue.ensure_all(models.neighbours.item_ids if models.neighbours else ())
    popularity_items = catalogue.ensure_all(models.popularity.item_ids if models.popularity else ())
    return replace(
        models,
        als_items=als_items,
        als_rows=als_rows,
        popular=_most_popular(models.popularity, popularity_items),
        popularity_items=popularity_items,
        _similar=similar_lists(),
        **_bound_fields(models.unbound, catalogue),
    )


def _most_popular(popularity: Popularity | None, positions: Ints) -> ScoredPositions:
    if popularity is None:
        return NO_COLUMNS
    order = best(popularity.scores, popularity.scores.size)
    return ScoredPositions(positions[order], popularity.scores[order])


def with_source_weights(models: ModelBundle, weights: SourceWeights | None) -> ModelBundle:
    """The same version with other weights of the candidate sources; None: the configured ones."""
    return replace(models, source_weights=weights)


def _bound_fields(values: Sequence[object], catalogue: ItemPositions) -> dict[str, Any]:
    """By field of ``ModelBundle``, the first of these values of the kind in ``BINDINGS``, bound; None without one."""
    fields: dict[str, Any] = {}
    for name, binding in BINDINGS.items():
        value = next((candidate for candidate in values if isinstance(candidate, binding.kind)), None)
        fields[name] = None if value is None else binding.bind(value, catalogue)
    return fields


def _bind_items(value: V, catalogue: ItemPositions) -> Bound[V]:
    """A value with the positions of its items; unknown items are added without item data."""
    return Bound(value, *_bind_ids(value.item_ids, catalogue))


def _bind_cold_items(value: Hybrid, catalogue: ItemPositions) -> Bound[Hybrid]:
    """A hybrid with the positions of its cold items: those that nobody had at training."""
    return Bound(value, *_bind_ids(value.cold_ids, catalogue))


def _bind_ids(item_ids: Sequence[str], catalogue: ItemPositions) -> tuple[Ints, Ints]:
    """The positions of these items (I,), in their order, and the row of each position (n,), or -1."""
    items = catalogue.ensure_all(item_ids)
    rows = np.full(len(catalogue), -1, np.int32)
    rows[items] = np.arange(items.size)
    return items, rows


def _bind_sessions(value: SessionKnn, catalogue: ItemPositions) -> Renumbered:
    return Renumbered(value, *_bind_ids(value.item_ids, catalogue))


class Binding(NamedTuple):
    """How serving binds a kind of model value to the positions of the catalogue."""

    kind: type
    bind: Callable[[Any, ItemPositions], Any]
    """Returns the value of the field from a value of the kind."""


BINDINGS: Final[Mapping[str, Binding]] = {
    "ease": Binding(Ease, _bind_items),
    "user_neighbours": Binding(UserNeighbours, _bind_items),
    "sessions": Binding(SessionKnn, _bind_sessions),
    "clusters": Binding(Clusters, _bind_items),
    "hybrid": Binding(Hybrid, _bind_cold_items),
}
"""By field of ``ModelBundle``, the kind of value that fills it. Values of other kinds are not used by serving."""


def as_columns(catalogue: Catalogue, scored: ScoredList) -> ScoredPositions:
    """A list of ids as positions; ids unknown to the catalogue are left out."""
    positions = catalogue.aligned_positions(scored.item_ids)
    known = positions >= 0
    return ScoredPositions(positions[known], np.array(scored.scores, np.float32)[known])
