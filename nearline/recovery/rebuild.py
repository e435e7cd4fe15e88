"""Folds the log again beside the stored signals, compares both byte for byte, and replaces those that differ.

It works under traffic. A partition that differs is replaced by the fold up to a record before the stored fence. So its worker
finds a fence that went back, drops its memory, and folds the records after it as after a restart.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from nearline.recovery.verify import PartitionFold, SignalCheck, StoredSignal, compare, read_stored
from schemas.log import topics
from schemas.log.fence import Fence
from schemas.ports import LogReader, Replacement, SignalStore


class Rebuilt(NamedTuple):
    """The comparison of one partition of one topic, and whether its signals were replaced."""

    checks: tuple[SignalCheck, ...]
    replaced: bool


def rebuild(reader: LogReader, store: SignalStore) -> Iterator[Rebuilt]:
    """Compare each partition of each topic with a fold of ``reader``, and replace its signals if a value differs.

    A partition is left as it is if it has no values, if it follows another log, or if ``reader`` lacks its first records:
    ``problem`` of its checks says so. Raises LogUnavailable, StoreUnavailable, FenceMoved.
    """
    for topic in topics.FACTS:
        log_id = reader.log_id(topic)
        for partition in range(reader.partitions(topic)):
            yield _rebuild_partition(reader, store, topic, partition, log_id)


def _rebuild_partition(reader: LogReader, store: SignalStore, topic: str, partition: int, log_id: str) -> Rebuilt:
    stored = read_stored(store, topic, partition)
    fold = PartitionFold(reader, topic, partition, log_id)
    to = max(-1, min(signal.first() for signal in stored) - 1)
    fold.fold_through(to)
    values = {signal.signal: fold.values(signal.signal) for signal in stored}
    checks = tuple(compare(reader, fold, topic, partition, stored))
    differs = any(check.differences for check in checks)
    if differs and all(check.problem is None for check in checks):
        _replace(store, partition, stored, values, Fence(log_id, to))
        return Rebuilt(checks, replaced=True)
    return Rebuilt(checks, replaced=False)


def _replace(
    store: SignalStore, partition: int, stored: list[StoredSignal], values: dict[str, dict[str, bytes]], fence: Fence
) -> None:
    """Replace all signals of the topic together: a user's history must not lack what ``aggregates`` has to read again."""
    replacements = [
        Replacement(signal.signal, signal.after, fence, [signal.guests.split(values[signal.signal])])
        for signal in stored
    ]
    store.replace(partition, replacements, back=True)
