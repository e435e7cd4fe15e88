"""What the archive says of items and users: their newest upserts, folded as the online catalogue folds them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import TypeVar

from schemas.catalogue import Item, Profile, Upsert, decode_upsert
from schemas.errors import Undecodable
from schemas.log import topics
from schemas.log.records import Record
from schemas.ports import Archive
from signals.catalogue import fold_item, fold_profile

View = TypeVar("View", Item, Profile)


@dataclass(frozen=True)
class Facts:
    """Items and users by id, those that were deleted left out."""

    items: dict[str, Item] = field(default_factory=dict)
    users: dict[str, Profile] = field(default_factory=dict)
    gone: frozenset[str] = frozenset()
    """Items that were deleted."""


def read_facts(archive: Archive) -> Facts:
    """All that is archived of items and users; what cannot be decoded is a dead letter already and is left out."""
    items, users = _views(archive, topics.ITEMS, fold_item), _views(archive, topics.USERS, fold_profile)
    gone = frozenset(each for each, view in items.items() if view.deleted)
    return Facts(_standing(items), _standing(users), gone)


def _views(archive: Archive, topic: str, fold: Callable[[View | None, Upsert, int], View]) -> dict[str, View]:
    views: dict[str, View] = {}
    for record in _records(archive, topic):
        try:
            upsert = decode_upsert(record.value or b"")
        except Undecodable:
            continue
        views[upsert.id] = fold(views.get(upsert.id), upsert, record.offset)
    return views


def _standing(views: dict[str, View]) -> dict[str, View]:
    return {each: view for each, view in views.items() if not view.deleted}


def _records(archive: Archive, topic: str) -> Iterator[Record]:
    for found in archive.ranges(topic):
        yield from archive.read(topic, found.log_id, found.partition, found.begin, found.end)
