"""Reads all stored values once in a while and looks whether each can be read (scrubbing).

A worker reads a value only when an event needs it, and online processes cannot write. So without this a value that nobody
writes would stay corrupt. A look takes little at a time, on the thread of the watch or of the embedded loop.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from time import perf_counter
from typing import Final

from nearline.partition_worker import PartitionWorker
from nearline.processor import SIGNALS
from schemas.catalogue import decode_item, decode_profile
from schemas.errors import UNREADABLE, ValueCorrupt
from schemas.keys import Signal
from schemas.ports import SignalStore
from schemas.values.passivated import decode_bucket, is_bucket_key
from signals import aggregates, user_codec

SECONDS: Final = 0.02
"""Time that one look takes, at most by one page of values more."""
VALUES_AT_ONCE: Final = 50
"""Values that one command reads. Those of users may be large."""
BYTES: Final = 1_048_576
"""Limit of bytes that one look reads."""

_DECODERS: Final[dict[Signal, Callable[[str, bytes], object]]] = {
    Signal.USERS: lambda key, data: decode_bucket(data) if is_bucket_key(key) else user_codec.decode(data),
    Signal.AGGREGATES: aggregates.decode,
    Signal.ITEMS: lambda _, data: decode_item(data),
    Signal.PROFILES: lambda _, data: decode_profile(data),
}


class Scrub:
    """Goes through the values of partition after partition. For one thread."""

    def __init__(self, store: SignalStore) -> None:
        self._store = store
        self._place: tuple[PartitionWorker, Signal] | None = None
        self._values: Iterator[tuple[str, bytes]] = iter(())
        self._turn = 0

    def look(self, workers: list[PartitionWorker]) -> None:
        """Look at some more values, and tell the worker of each that cannot be read. Raises StoreUnavailable."""
        end, size = perf_counter() + SECONDS, 0
        places = [(worker, signal) for worker in workers if worker.opened for signal in SIGNALS[worker.topic]]
        for _ in range(len(places) + 1):
            if self._place not in places and not self._next_place(places):
                return
            assert self._place is not None
            worker, signal = self._place
            try:
                for key, data in self._values:
                    self._check(worker, signal, key, data)
                    size += len(data)
                    if perf_counter() >= end or size >= BYTES:
                        return
            except ValueCorrupt as corrupt:
                worker.report_corrupt(corrupt)
            self._place = None

    def _next_place(self, places: list[tuple[PartitionWorker, Signal]]) -> bool:
        if not places:
            return False
        self._turn = (self._turn + 1) % len(places)
        self._place = worker, signal = places[self._turn]
        self._values = self._store.scan(worker.partition, signal, VALUES_AT_ONCE)
        return True

    @staticmethod
    def _check(worker: PartitionWorker, signal: Signal, key: str, data: bytes) -> None:
        try:
            _DECODERS[signal](key, data)
        except UNREADABLE as error:
            worker.report_corrupt(ValueCorrupt(worker.partition, signal, (key,), error))
