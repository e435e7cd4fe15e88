"""The loaded model version: its values, and their items' positions in the catalogue."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Final, NamedTuple

import numpy as np

from models.als import Als
from models.arrays import Floats, Ints
from models.lists import USERS, ScoredList
from models.neighbours import Neighbours
from models.popularity import Popularity
from schemas.manifest import Manifest
from serving.catalogue import Catalogue

_KEPT_LISTS: Final = 20_000


class Columns(NamedTuple):
    """A list as columns: positions in the catalogue (C,) and scores (C,), best first."""

    items: Ints
    scores: Floats


NO_COLUMNS: Final = Columns(np.empty(0, np.int32), np.empty(0, np.float32))


@dataclass(frozen=True, eq=False)
class Models:
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
    als_items: Ints = field(default_factory=lambda: np.empty(0, np.int32))
    als_rows: Ints = field(default_factory=lambda: np.empty(0, np.int32))
    """The model's row of each catalogue position (n,), -1 where it has none; shorter than a catalogue that grew."""
    popular: Columns = NO_COLUMNS
    """Most popular at training, best first."""
    _similar: dict[tuple[int, int], Columns] = field(default_factory=dict, repr=False)

    def similar(self, catalogue: Catalogue, at: int, count: int) -> Columns:
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


NO_MODELS: Final = Models()


def load(manifest: Manifest, value: Callable[[str], bytes]) -> Models:
    """The values of a version that serving knows by name; raises Undecodable and whatever ``value`` raises."""
    held = set(manifest.values)
    last = manifest.window.last_at
    return Models(
        version=manifest.version,
        created_at=manifest.created_at.timestamp(),
        trained_to=-np.inf if last is None else last.timestamp(),
        has_lists=manifest.lists.get(USERS, 0) > 0,
        als=Als.load(value("als")) if "als" in held else None,
        neighbours=Neighbours.load(value("neighbours")) if "neighbours" in held else None,
        popularity=Popularity.load(value("popularity")) if "popularity" in held else None,
    )


def place(models: Models, catalogue: Catalogue) -> Models:
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
    return replace(models, als_items=als_items, als_rows=als_rows, popular=popular, _similar={})


def as_columns(catalogue: Catalogue, found: ScoredList) -> Columns:
    """A list of ids as positions; ids that the catalogue never heard of are left out."""
    placed = [(at, score) for item_id, score in found if (at := catalogue.position(item_id)) is not None]
    items, scores = zip(*placed, strict=True) if placed else ((), ())
    return Columns(np.array(items, np.int32), np.array(scores, np.float32))
