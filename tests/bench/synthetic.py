"""A log of synthetic interactions of any size. Records are computed when they are read, the same each time."""

from __future__ import annotations

from functools import lru_cache
from typing import Final

import numpy as np

from schemas.log import topics
from schemas.log.records import Record

_CHUNK: Final = 50_000
_BEGAN_MS: Final = 1_780_000_000_000
_TASTES: Final = 400
"""Number of groups of users. The users of a group like the same part of the catalogue."""


class SyntheticLog:
    """A LogReader over ``events`` likes of ``users`` users on ``items`` items, in ``partitions`` partitions.

    The frequency of items follows Zipf's law, the activity of users is lognormal. Seven of ten interactions are in the
    user's own part of the catalogue, so that a model can learn something.
    """

    def __init__(self, events: int, users: int, items: int, partitions: int = 8, seed: int = 1) -> None:
        self._each, self._users, self._items = events // partitions, users, items
        self._partitions, self._seed = partitions, seed
        random = np.random.default_rng(seed)
        activity = np.cumsum(random.lognormal(sigma=0.8, size=users // partitions))
        self._activity = activity / activity[-1]
        self._chunk = lru_cache(maxsize=2)(self._make)

    def log_id(self, topic: str) -> str:
        """Returns an id that depends on the sizes and the seed."""
        return f"synthetic-{topic}-{self._each}-{self._users}-{self._items}-{self._seed}"

    def partitions(self, topic: str) -> int:
        """Returns the number of partitions, the same for every topic."""
        return self._partitions

    def bounds(self, topic: str, partition: int) -> tuple[int, int]:
        """Returns the bounds of a partition. Only the events topic has records."""
        return 0, self._each if topic == topics.EVENTS else 0

    def read(self, topic: str, partition: int, offset: int, limit: int) -> list[Record]:
        """Returns records, computed from the seed."""
        _, end = self.bounds(topic, partition)
        number = offset // _CHUNK
        until = min(end, offset + limit, (number + 1) * _CHUNK)
        return (
            self._chunk(partition, number)[offset - number * _CHUNK : until - number * _CHUNK] if until > offset else []
        )

    def close(self) -> None:
        """Does nothing."""

    def _make(self, partition: int, number: int) -> list[Record]:
        random = np.random.default_rng((self._seed, partition, number))
        count = min(_CHUNK, self._each - number * _CHUNK)
        users = np.searchsorted(self._activity, random.random(count)) * self._partitions + partition
        tastes = users % _TASTES
        ranks = (self._items ** random.random(count)).astype(np.int64) - 1
        width = max(1, self._items // _TASTES)
        own = (tastes * width + (width ** random.random(count)).astype(np.int64) - 1) % self._items
        items = np.where(random.random(count) < 0.7, own, ranks * 7_919 % self._items)
        begin = number * _CHUNK
        times = _BEGAN_MS + (np.arange(begin, begin + count) * (30 * 86_400_000 // self._each))
        stamps = np.datetime_as_string(times.astype("datetime64[ms]"), unit="ms").tolist()
        return [
            Record(
                topics.EVENTS,
                partition,
                begin + place,
                time,
                f"u{user}".encode(),
                _event(partition, begin + place, user, item, stamp),
            )
            for place, (user, item, time, stamp) in enumerate(
                zip(users.tolist(), items.tolist(), times.tolist(), stamps, strict=True)
            )
        ]


def _event(partition: int, offset: int, user: int, item: int, stamp: str) -> bytes:
    return (
        f'{{"event_id":"{partition}-{offset}","type":"like","user_id":"u{user}","item_id":"i{item}",'
        f'"occurred_at":"{stamp}Z","received_at":"{stamp}Z","schema_version":1}}'
    ).encode()
