"""The result cache: lists that were ranked a moment ago, given again while nothing that they depend on has changed.

A list's key holds everything that it depends on. The user stands in it with the packed values that were read for
this very request, so that an event that counts gives another key and is never hidden.
"""

from __future__ import annotations

import math
from collections import OrderedDict
from dataclasses import dataclass
from functools import cached_property
from typing import Final, NamedTuple

import msgspec
import numpy as np

from schemas.answers import Answer, Decision
from serving import metrics
from serving.ranking.pipeline import RankedList
from serving.service.decision_log import Receipt
from serving.service.preparation import PreparedRequest
from serving.service.response import VARIANT, Versions, brief_decision
from serving.state.catalogue import Catalogue

_ENCODE: Final = msgspec.msgpack.Encoder().encode
_SPREAD: Final = 1 / 3
"""The largest part of a list's time that is taken off it."""
_GOLDEN: Final = (math.sqrt(5) - 1) / 2
"""Steps of this length fall evenly, wherever they stop."""


class Key(NamedTuple):
    """What a list depends on. The time is not in it: it may be some seconds old."""

    route: str
    request: bytes
    """The request without its time. Where exploration draws for each request, no two are equal."""
    inputs: tuple[tuple[str, bytes], ...]
    """The packed values of the user and of linked anonymous users; each holds the offset of its last event."""
    model_version: str | None
    aggregates_version: str | None
    """None for a known user, whose list may lag behind the aggregates; a cold-start user's list is made of them alone."""
    catalogue_version: str
    config_id: str
    variant: str


@dataclass
class CachedResult:
    """A ranked list and the first answer that held it."""

    ranked: RankedList
    answer: Answer
    decision: Decision | None = None
    """The answer's record, where answers are recorded; its ``request.now`` is the time at which the list was made."""
    receipt: Receipt | None = None

    @property
    def repeated_decision(self) -> Decision | None:
        """The record of a repetition, but for the id and time; whole until the first record is known to be written."""
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
    """A result with its ends: by age (steady seconds), by a change of the catalogue, by an item's window (seconds since 1970)."""

    ends_at: float
    changes: int
    until: float
    result: CachedResult


class ResultCache:
    """Holds up to ``limit`` results, each for ``seconds`` or up to a third less; the least recently used goes first."""

    def __init__(self, catalogue: Catalogue, seconds: float, limit: int) -> None:
        self._catalogue, self._seconds, self._limit = catalogue, seconds, limit
        self._shortening = 1.0 - _GOLDEN
        self._entries: OrderedDict[Key, _Entry] = OrderedDict()
        self._hit, self._miss = (metrics.RESULT_SETS.labels(outcome) for outcome in ("hit", "miss"))

    def __len__(self) -> int:
        return len(self._entries)

    def find(self, key: Key, now: float, steady: float) -> CachedResult | None:
        """Returns the result under this key, unless it is too old or one of its items may no longer be shown at ``now``."""
        entry = self._entries.get(key)
        if entry is None or not self._is_valid(entry, now, steady):
            self._miss.inc()
            return None
        self._entries.move_to_end(key)
        self._hit.inc()
        return entry.result

    def keep(self, key: Key, result: CachedResult, steady: float) -> None:
        """Keep a result that was made at ``steady``."""
        if self._seconds <= 0 or self._limit <= 0:
            return
        until = self._catalogue.column("closes")[result.ranked.positions].min(initial=np.inf)
        # Results made at once, as after a restart, must not all end at once, again and again.
        self._shortening = (self._shortening + _GOLDEN) % 1.0
        ends_at = steady + self._seconds * (1.0 - _SPREAD * self._shortening)
        self._entries[key] = _Entry(ends_at, self._catalogue.changes, float(until), result)
        self._entries.move_to_end(key)
        if len(self._entries) > self._limit:
            self._entries.popitem(last=False)

    def _is_valid(self, entry: _Entry, now: float, steady: float) -> bool:
        # The catalogue's version is in the key too, but moves only once all changes of a read are applied.
        return steady < entry.ends_at and now < entry.until and entry.changes == self._catalogue.changes
