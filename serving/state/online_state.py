"""What an online process holds in memory: the catalogue, everybody's aggregates and the active model."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from schemas.catalogue import decode_item
from schemas.ports import SignalChanges
from serving.state import model_bundle
from serving.state.aggregates import Aggregates, Merged
from serving.state.catalogue import Catalogue
from serving.state.model_bundle import NO_BUNDLE, ModelBundle

Changed = Sequence[tuple[int, SignalChanges]]
"""Partitions with what has changed on them."""
Apply = Callable[[Changed], Iterator[None]]
"""Takes changes over, a step at a time."""


class OnlineState:
    """Changed only from the event loop; a request reads it without waiting, and so sees one moment."""

    def __init__(self, catalogue: Catalogue, aggregates: Aggregates) -> None:
        self.catalogue, self.aggregates = catalogue, aggregates
        self.models: ModelBundle = NO_BUNDLE
        self._held: dict[int, set[str]] = {}

    def apply_items(self, changed: Changed) -> Iterator[None]:
        """Take over items, one a step; what a whole read no longer has is gone."""
        for partition, changes in changed:
            held = self._held.setdefault(partition, set())
            if changes.whole:
                for item_id in held - changes.values.keys():
                    self.catalogue.forget(item_id)
                held.clear()
            held.update(changes.values)
            for data in changes.values.values():
                self.catalogue.put(decode_item(data))
                yield

    def apply_aggregates(self, changed: Changed) -> Iterator[None]:
        """Merge cells, one a step, and take them over together at the end; sessions one by one before that."""
        merged = Merged.nothing()
        for partition, changes in changed:
            yield from self.aggregates.merge(partition, changes, merged)
        yield from self.aggregates.follow(merged)
        arranged = yield from self.aggregates.arrange(merged)
        self.aggregates.adopt(merged, arranged)

    def adopt(self, models: ModelBundle) -> None:
        """Serve another model version from now on."""
        self.models = model_bundle.bind(models, self.catalogue)
