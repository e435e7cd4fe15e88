"""The memory of an online process: the catalogue, the aggregates and the active model."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from schemas.catalogue import decode_item
from schemas.keys import Signal
from schemas.ports import SignalChanges
from serving.state import model_bundle
from serving.state.admission.eviction import ItemEviction
from serving.state.aggregates import Aggregates
from serving.state.catalogue import Catalogue
from serving.state.merged import Merged
from serving.state.model_bundle import NO_BUNDLE, ModelBundle
from serving.state.unreadable_keys import UnreadableKeys

PartitionChanges = Sequence[tuple[int, SignalChanges]]
"""Partitions with their changes."""
Apply = Callable[[PartitionChanges], Iterator[None]]
"""Applies changes, one step at a time."""


class OnlineState:
    """Changed only from the event loop. A request reads it without waiting, and so sees one consistent state."""

    def __init__(self, catalogue: Catalogue, aggregates: Aggregates) -> None:
        self.catalogue, self.aggregates = catalogue, aggregates
        self.eviction: ItemEviction | None = None
        """Lets ids go in a server; None: every id stays."""
        self.models: ModelBundle = NO_BUNDLE
        self._item_ids: dict[int, set[str]] = {}
        self.unreadable_items = UnreadableKeys(Signal.ITEMS)

    def apply_items(self, changed: PartitionChanges) -> Iterator[None]:
        """Apply item changes, one item a step; an item that is missing from a complete read is deleted."""
        for partition, changes in changed:
            item_ids = self._item_ids.setdefault(partition, set())
            if changes.whole:
                for item_id in item_ids - changes.values.keys():
                    self.catalogue.forget(item_id)
                item_ids.clear()
                self.unreadable_items.clear(partition)
            item_ids.update(changes.values)
            for item_id, data in changes.values.items():
                self._put(partition, item_id, data)
                yield

    def _put(self, partition: int, item_id: str, data: bytes) -> None:
        """Store an item. One that cannot be read stays as it was."""
        self.unreadable_items.read(partition, item_id, lambda: self.catalogue.put(decode_item(data)))

    def apply_aggregates(self, changed: PartitionChanges) -> Iterator[None]:
        """Merge changed counters, one key a step, then apply all of them in one step; sessions are applied before it."""
        merged = Merged.nothing()
        yield from self.aggregates.admit(changed, merged)
        for partition, changes in changed:
            yield from self.aggregates.merge(partition, changes, merged)
        yield from self.aggregates.release(merged)
        yield from self.aggregates.apply_tails(merged)
        arranged = yield from self.aggregates.arrange(merged)
        self.aggregates.adopt(merged, arranged)
        if self.eviction is not None:
            yield from self.eviction.run()

    def adopt(self, models: ModelBundle) -> None:
        """Bind this model version and serve it from now on. A server binds it off its loop (``CatalogueFromThread``)."""
        self.models = model_bundle.bind(models, self.catalogue)
