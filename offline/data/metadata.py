"""What the archive says of items and users: their newest upserts, folded as the online catalogue folds them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

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
    """Items and users by id, those that were deleted left out."""

    items: dict[str, Item] = field(default_factory=dict)
    users: dict[str, Profile] = field(default_factory=dict)
    gone: frozenset[str] = frozenset()
    """Items that were deleted."""


def read_metadata(archive: Archive) -> Metadata:
    """All that is archived of items and users; what cannot be decoded is a dead letter already and is left out."""
    items, users = _views(archive, topics.ITEMS, fold_item), _views(archive, topics.USERS, fold_profile)
    gone = frozenset(each for each, view in items.items() if view.deleted)
    return Metadata(_standing(items), _standing(users), gone)


def category_matrix(metadata: Metadata, item_ids: Sequence[str]) -> sp.csr_matrix | None:
    """Which item has which category, (I, G) of ones; None where facts name none."""
    of = [metadata.items[item_id].categories if item_id in metadata.items else () for item_id in item_ids]
    names = sorted({name for each in of for name in each})
    if not names:
        return None
    index = {name: column for column, name in enumerate(names)}
    starts = np.concatenate(([0], np.cumsum([len(set(each)) for each in of])))
    columns = np.array([index[name] for each in of for name in sorted(set(each))], dtype=np.int32)
    return sp.csr_matrix((np.ones(columns.size), columns, starts), shape=(len(item_ids), len(names)))


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
