"""Counts of items by country, device and hour of the day, for trends in these contexts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np

from models.structures.arrays import Ints
from serving.arrays.top_k import reciprocal_rank_fusion, top_k
from serving.state.catalogue import Catalogue
from signals.decay import NOTHING

LABELS: Final = 1_000
"""Number of labels (countries, devices, hours) that remain after a trimming; the least used are dropped."""
SLACK: Final = 250
"""Labels that may exceed LABELS before the next trimming."""
TOP: Final = 500
"""Length of the list of a label."""


class ContextCounts:
    """Weighted decayed counts by label (``country:DE``) and position in the catalogue."""

    def __init__(self, catalogue: Catalogue) -> None:
        self._catalogue = catalogue
        self._counts: dict[str, dict[int, float]] = {}
        self._greatest: dict[str, float] = {}
        """By label, the greatest count that an item had: in log space a recent count outweighs an old one."""
        self._labels: dict[int, tuple[str, ...]] = {}
        self._orders: dict[str, Ints] = {}

    def __len__(self) -> int:
        return len(self._counts)

    def put(self, position: int, counts: Mapping[str, float]) -> None:
        """Store the merged counts of an item (``signals.kinds.context.merge``)."""
        counts = {label: count for label, count in counts.items() if count > NOTHING}
        for label in self._labels.get(position, ()):
            if label not in counts and label in self._counts:
                self._counts[label].pop(position, None)
                self._orders.pop(label, None)
        for label, count in counts.items():
            self._counts.setdefault(label, {})[position] = count
            self._greatest[label] = max(count, self._greatest.get(label, NOTHING))
            self._orders.pop(label, None)
        self._labels[position] = tuple(counts)
        if len(self._counts) > LABELS + SLACK:
            self._drop_least_used()

    def let_go(self, position: int) -> None:
        """Drop the counts of the item at a position."""
        self.put(position, {})
        del self._labels[position]

    def _drop_least_used(self) -> None:
        """Drop the labels beyond LABELS. Anybody can send labels that do not exist, and they must not last."""
        used = sorted(self._counts, key=lambda label: (self._greatest[label], len(self._counts[label]), label))
        for label in used[:-LABELS]:
            del self._counts[label], self._greatest[label]
            self._orders.pop(label, None)

    def trending(self, labels: Sequence[str]) -> Ints:
        """Positions, most trending under these labels first; empty without counts for any label."""
        orders = [order for label in labels if (order := self._order(label)).size]
        return reciprocal_rank_fusion(orders, self._catalogue.column("hash"), TOP)

    def _order(self, label: str) -> Ints:
        if label not in self._orders:
            counts = self._counts.get(label, {})
            items = np.fromiter(counts, np.int32, len(counts))
            scores = np.fromiter(counts.values(), np.float64, len(counts))
            order = items[top_k(scores, TOP, self._catalogue.column("hash")[items])]
            if not counts:
                return order
            self._orders[label] = order
        return self._orders[label]
