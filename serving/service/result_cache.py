"""The result cache: a list that was ranked a few seconds ago serves an equal request while its inputs are the same.

The key holds everything that the list depends on. One part is the packed user values that this request has read. So a new
event of the user changes the key, and the cache never hides it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import Final, NamedTuple

import msgspec
import numpy as np

from schemas.answers import Answer, Decision, Encoded
from serving import metrics
from serving.ranking.pipeline import RankedList
from serving.service.decision_log import Receipt
from serving.service.preparation import PreparedRequest
from serving.service.response import VARIANT, Versions, brief_decision
from serving.sized_cache import MIB, SizedCache
from serving.state.catalogue import Catalogue

_ENCODE: Final = msgspec.msgpack.Encoder().encode
_JSON: Final = msgspec.json.Encoder().encode
_FIXED_BYTES, _ITEM_BYTES, _REASON_BYTES = 8_192, 600, 200
"""Measured by tracemalloc with lists of 20 and 300 items; rather too much than too little."""
_SPREAD: Final = 1 / 3
"""Largest share by which the lifetime of an entry is shortened."""
_GOLDEN: Final = (math.sqrt(5) - 1) / 2
"""Golden ratio: steps of this length, modulo 1, spread evenly however many there are."""


class Key(NamedTuple):
    """Everything that a list depends on, except the time: a cached list may be some seconds old."""

    route: str
    request: bytes
    """The request without its time. With exploration each request has its own random seed, so no two are equal."""
    inputs: tuple[tuple[str, bytes], ...]
    """The packed values of the user and of linked anonymous users; each holds the offset of its last event."""
    model_version: str | None
    aggregates_version: str | None
    """None for a personal list: new aggregates do not make it invalid, so its aggregates may be as old as the entry."""
    catalogue_version: str
    config_id: str
    variant: str


@dataclass
class CachedResult:
    """A ranked list and the first answer that contained it."""

    ranked: RankedList
    answer: Answer
    decision: Decision | None = None
    """The decision record of that answer; None where answers are not recorded. Its ``request.now`` is the time of ranking."""
    receipt: Receipt | None = None

    @property
    def json(self) -> bytes | msgspec.Raw:
        """The items of the answer as JSON, which the answer is about to need."""
        items = self.answer.items
        return items.json if isinstance(items, Encoded) else _JSON(items)

    @property
    def repeated_decision(self) -> Decision | None:
        """The record for a repeated answer, except id and time. It is brief only once the first record is on the log."""
        return self._brief if self.receipt is not None and self.receipt.written else self.decision

    @cached_property
    def _brief(self) -> Decision | None:
        return self.decision and brief_decision(self.decision)


def key_of(prepared: PreparedRequest, versions: Versions) -> Key:
    """Returns the key of a request's list."""
    inputs = tuple(prepared.user_state.inputs.items())
    return Key(
        route=prepared.route,
        request=_ENCODE(msgspec.structs.replace(prepared.request, now=0.0)),
        inputs=inputs,
        model_version=prepared.models.version,
        aggregates_version=None if inputs else versions.aggregates,
        catalogue_version=versions.catalogue,
        config_id=versions.config_id,
        variant=VARIANT,
    )


class _Entry(NamedTuple):
    """A result, and when it becomes invalid: at a steady time, with a change of the catalogue, or when an item's window ends."""

    ends_at: float
    changes: int
    until: float
    result: CachedResult


class Limits(NamedTuple):
    """What a result cache may hold."""

    seconds: float
    """The longest life of a result."""
    results: int
    size: int = 128 * MIB
    """In bytes."""


class ResultCache:
    """Holds results within ``limits``, each for ``limits.seconds`` or up to a third less; the least recently used goes first."""

    def __init__(self, catalogue: Catalogue, limits: Limits) -> None:
        self._catalogue, self._seconds = catalogue, limits.seconds
        self._shortening = 1.0 - _GOLDEN
        self._entries = SizedCache[Key, _Entry](limits.size, limits.results if limits.seconds > 0 else 0)
        self._hit, self._miss = (metrics.RESULT_SETS.labels(outcome) for outcome in ("hit", "miss"))

    def __len__(self) -> int:
        return len(self._entries)

    @property
    def size(self) -> int:
        """Bytes of all results, about."""
        return self._entries.size

    def find(self, key: Key, now: float, steady: float) -> CachedResult | None:
        """Returns the result under this key, unless it is too old or one of its items may no longer be shown at ``now``."""
        entry = self._entries.get(key)
        if entry is None or not self._is_valid(entry, now, steady):
            self._miss.inc()
            return None
        self._hit.inc()
        return entry.result

    def keep(self, key: Key, result: CachedResult, steady: float) -> None:
        """Keep a result that was made at ``steady``."""
        if self._seconds <= 0:
            return
        until = self._catalogue.column("closes")[result.ranked.positions].min(initial=np.inf)
        # Entries that were made at the same time, as after a restart, must not all expire at the same time.
        self._shortening = (self._shortening + _GOLDEN) % 1.0
        ends_at = steady + self._seconds * (1.0 - _SPREAD * self._shortening)
        entry = _Entry(ends_at, self._catalogue.changes, float(until), result)
        self._entries.put(key, entry, _size_of(key, result))

    def let_go(self, steady: float) -> None:
        """Drop the results that are too old at ``steady``: nobody may ask for them again."""
        self._entries.remove_where(lambda _, entry: entry.ends_at <= steady)

    def clear(self) -> None:
        """Drop all results, as when a person was erased: they live for seconds only."""
        self._entries.clear()

    def _is_valid(self, entry: _Entry, now: float, steady: float) -> bool:
        # The catalogue's version is in the key too, but moves only once all changes of a read are applied.
        return steady < entry.ends_at and now < entry.until and entry.changes == self._catalogue.changes


def _size_of(key: Key, result: CachedResult) -> int:
    """About the bytes that a result holds: its items as objects, as the answer's JSON, and as the two records' JSON."""
    items = result.ranked.items
    reasons = sum(len(item.reasons) for item in items)
    packed = len(key.request) + sum(len(value) for _, value in key.inputs)
    return _FIXED_BYTES + packed + len(result.json) + _ITEM_BYTES * len(items) + _REASON_BYTES * reasons
