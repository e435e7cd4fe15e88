"""Compares what an import says about items with the current catalogue, so that only patches that change an item are appended."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any, Final

import msgspec

from schemas.catalogue import Item, decode_upsert
from schemas.errors import Undecodable
from schemas.log import topics
from schemas.log.reading import records_of
from schemas.log.records import LogEntry
from schemas.ports import LogReader
from signals.catalogue import fold_item

_OWN: Final = ("version", "first_at")
"""Fields that every change of an item changes."""


class ItemPatches:
    """The patches of one import, at most one an item. All wait until the import has read its items."""

    def __init__(self, reader: LogReader | None) -> None:
        """``reader`` reads the items of the log; without it, none are known."""
        self._reader = reader
        self._waiting: dict[str, LogEntry] = {}

    def add(self, entries: Sequence[LogEntry]) -> list[LogEntry]:
        """Takes patches; returns none of them."""
        self._waiting.update((entry.key.decode(), entry) for entry in entries if entry.key is not None)
        return []

    def changes(self) -> list[LogEntry]:
        """The patches that change an item, or say the first of it."""
        known = current_items(self._reader, self._waiting.keys()) if self._reader and self._waiting else {}
        return [entry for item_id, entry in self._waiting.items() if _changes(known.get(item_id), entry)]


def current_items(reader: LogReader, item_ids: Collection[str] | None = None) -> dict[str, Item]:
    """The current view of these items, or of all, folded from the log."""
    catalogue: dict[str, Item] = {}
    for record in records_of(reader, topics.ITEMS):
        if item_ids is None or (record.key or b"").decode("utf-8", "replace") in item_ids:
            _fold(catalogue, record.value, record.offset)
    return catalogue


def _fold(catalogue: dict[str, Item], value: bytes | None, offset: int) -> None:
    try:
        upsert = decode_upsert(value or b"")
        catalogue[upsert.id] = fold_item(catalogue.get(upsert.id), upsert, offset)
    except (Undecodable, msgspec.ValidationError):
        # The worker has put this record among the dead letters.
        return


def _changes(item: Item | None, patch: LogEntry) -> bool:
    if item is None:
        return True
    changed = fold_item(item, decode_upsert(patch.value or b""), item.version + 1)
    return _said(changed) != _said(item)


def _said(item: Item) -> dict[str, Any]:
    fields: dict[str, Any] = msgspec.to_builtins(item)
    return {name: value for name, value in fields.items() if name not in _OWN}
