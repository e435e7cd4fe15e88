"""Metadata of items and users: their archived upserts, folded as the online catalogue folds them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

import msgspec
import numpy as np
import scipy.sparse as sp

from schemas.catalogue import Item, Profile, Upsert, decode_upsert
from schemas.errors import Undecodable
from schemas.log import topics
from schemas.log.records import Record
from schemas.ports import Archive
from signals.catalogue import fold_item, fold_profile

View = TypeVar("View", Item, Profile)


@dataclass(frozen=True)
class Metadata:
    """Items and users by id, without the deleted ones."""

    items: dict[str, Item] = field(default_factory=dict)
    users: dict[str, Profile] = field(default_factory=dict)
    gone: frozenset[str] = frozenset()
    """Ids of deleted items."""


def read_metadata(archive: Archive) -> Metadata:
    """Returns the archived items and users. Records that cannot be decoded are left out, as nearline has refused them."""
    items, users = _views(archive, topics.ITEMS, fold_item), _views(archive, topics.USERS, fold_profile)
    gone = frozenset(item_id for item_id, item in items.items() if item.deleted)
    return Metadata(_without_deleted(items), _without_deleted(users), gone)


def category_matrix(metadata: Metadata, item_ids: Sequence[str]) -> sp.csr_matrix | None:
    """Returns the categories of items, a matrix (I, G) of ones; None if no item has a category."""
    by_item = [
        sorted(set(metadata.items[item_id].categories)) if item_id in metadata.items else [] for item_id in item_ids
    ]
    names = sorted({name for categories in by_item for name in categories})
    if not names:
        return None
    index = {name: column for column, name in enumerate(names)}
    starts = np.concatenate(([0], np.cumsum([len(categories) for categories in by_item])))
    columns = np.array([index[name] for categories in by_item for name in categories], dtype=np.int32)
    return sp.csr_matrix((np.ones(columns.size), columns, starts), shape=(len(item_ids), len(names)))


def _views(archive: Archive, topic: str, fold: Callable[[View | None, Upsert, int], View]) -> dict[str, View]:
    views: dict[str, View] = {}
    for record in _records(archive, topic):
        try:
            upsert = decode_upsert(record.value or b"")
            views[upsert.id] = fold(views.get(upsert.id), upsert, record.offset)
        except (Undecodable, msgspec.ValidationError):  # nearline has made it a dead letter
            continue
    return views


def _without_deleted(views: dict[str, View]) -> dict[str, View]:
    return {key: view for key, view in views.items() if not view.deleted}


def _records(archive: Archive, topic: str) -> Iterator[Record]:
    for archived in archive.ranges(topic):
        yield from archive.read(topic, archived.log_id, archived.partition, archived.begin, archived.end)
