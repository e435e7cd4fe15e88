"""Nearline result sets: what was ranked a moment ago, given again while nothing that it was made from has moved.

A set is known by everything that the list depends on. The person stands in the key with the packed values that were
read for this very request, so an event that counts is another key, and is never hidden.
"""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Final, NamedTuple

import msgspec
import numpy as np

from schemas.answers import Answer, Decision, Encoded
from schemas.ports import Clock
from serving import metrics
from serving.ranking.pipeline import RankedList
from serving.service import response
from serving.service.decision_log import DecisionLog, Receipt
from serving.service.response import VARIANT, Question, Versions
from serving.state.catalogue import Catalogue

_ENCODE: Final = msgspec.msgpack.Encoder().encode
_SPREAD: Final = 1 / 3
"""The part of a list's time that may be taken off it."""
_GOLDEN: Final = (math.sqrt(5) - 1) / 2
"""Steps of this length fall evenly, whenever one stops."""


class Key(NamedTuple):
    """What a list depends on, the time aside: that may be some seconds old."""

    route: str
    request: bytes
    """The request without its time; where exploration draws for each request, no two are equal."""
    inputs: tuple[tuple[str, bytes], ...]
    """The packed values of the person and of linked guests: each holds the offset that it stands at."""
    model_version: str | None
    aggregates_version: str | None
    """None for a known person, whose list may lag behind what everybody does; it is all that a stranger's is made of."""
    catalogue_version: str
    config_id: str
    variant: str


@dataclass
class CachedResult:
    """A ranked list and the answer that it became."""

    ranked: RankedList
    answer: Answer
    decision: Decision | None = None
    """The answer's record, where answers are recorded; its ``request.now`` is the moment of the making."""
    receipt: Receipt | None = None

    @property
    def repeated(self) -> Decision | None:
        """What is recorded where the list is given again, but for the answer's id and time."""
        return self._brief if self.receipt is not None and self.receipt.written else self.decision

    @cached_property
    def _brief(self) -> Decision | None:
        return self.decision and response.brief(self.decision)


def key_of(question: Question, versions: Versions) -> Key:
    """The key of a question's list."""
    inputs = tuple(question.user_state.inputs.items())
    return Key(
        route=question.route,
        request=_ENCODE(msgspec.structs.replace(question.request, now=0.0)),
        inputs=inputs,
        model_version=question.models.version,
        aggregates_version=None if inputs else versions.aggregates,
        catalogue_version=versions.catalogue,
        config_id=versions.config_id,
        variant=VARIANT,
    )


class _Kept(NamedTuple):
    """A list with what ends its time: its age, a change of the catalogue, the end of an item's window (seconds since 1970)."""

    ends_at: float
    changes: int
    until: float
    made: CachedResult


class ResultCache:
    """Up to ``limit`` lists, each given for ``seconds`` or up to a third less; those used longest ago are dropped first.

    ``steady`` is the time in seconds that only move forward.
    """

    def __init__(self, catalogue: Catalogue, seconds: float, limit: int) -> None:
        self._catalogue, self._seconds, self._limit = catalogue, seconds, limit
        self._sooner = 1.0 - _GOLDEN
        self._kept: OrderedDict[Key, _Kept] = OrderedDict()
        self._hit, self._miss = (metrics.RESULT_SETS.labels(outcome) for outcome in ("hit", "miss"))

    def __len__(self) -> int:
        return len(self._kept)

    def find(self, key: Key, now: float, steady: float) -> CachedResult | None:
        """The list under this key, unless it is too old or an item of it may no longer be shown at ``now``."""
        kept = self._kept.get(key)
        if kept is None or not self._holds(kept, now, steady):
            self._miss.inc()
            return None
        self._kept.move_to_end(key)
        self._hit.inc()
        return kept.made

    def keep(self, key: Key, made: CachedResult, steady: float) -> None:
        """Keep a list that was made at ``steady``."""
        if self._seconds <= 0 or self._limit <= 0:
            return
        until = self._catalogue.column("closes")[made.ranked.positions].min(initial=np.inf)
        # What is made at once, as after a restart, must not be made anew at once for ever after.
        self._sooner = (self._sooner + _GOLDEN) % 1.0
        ends = steady + self._seconds * (1.0 - _SPREAD * self._sooner)
        self._kept[key] = _Kept(ends, self._catalogue.changes, float(until), made)
        self._kept.move_to_end(key)
        if len(self._kept) > self._limit:
            self._kept.popitem(last=False)

    def _holds(self, kept: _Kept, now: float, steady: float) -> bool:
        # The catalogue's version is in the key too, but moves only once all changes of a read are taken over.
        return steady < kept.ends_at and now < kept.until and kept.changes == self._catalogue.changes


class Answers:
    """Gives answers, each under an id and with a record of its own: by a list made a moment ago, or by one made now."""

    def __init__(
        self,
        kept: ResultCache,
        catalogue: Catalogue,
        recorder: DecisionLog | None,
        steady: Clock,
        new_id: Callable[[], str],
    ) -> None:
        self._kept, self._catalogue, self._recorder = kept, catalogue, recorder
        self._steady, self._new_id = steady, new_id

    def give(
        self, question: Question, versions: Versions, rank: Callable[[], RankedList], fallback: Callable[[], RankedList]
    ) -> Answer:
        """The answer; ``fallback`` ranks where ``rank`` is at fault."""
        key = key_of(question, versions)
        made = self._made_before(question, key)
        if made is None:
            made = self._made(
                question, versions, response.ranked_or_nothing(rank, fallback, question.user_state.degraded)
            )
            answer = made.answer
            if not question.user_state.degraded:
                self._kept.keep(key, made, self._steady())
        else:
            answer = response.again(made.answer, self._new_id(), question.request.now)
            if self._recorder and made.repeated is not None:
                self._recorder.record(response.of_answer(made.repeated, answer))
        response.count(answer, made.ranked)
        return answer

    def _made_before(self, question: Question, key: Key) -> CachedResult | None:
        """What was made a moment ago; nothing for a request of which something could not be read."""
        if question.user_state.degraded:
            return None
        return self._kept.find(key, question.request.now, self._steady())

    def _made(self, question: Question, versions: Versions, ranked: RankedList) -> CachedResult:
        """A list as an answer, and its record queued."""
        answer = response.answer(question, ranked, versions, self._catalogue, self._new_id())
        answer = msgspec.structs.replace(answer, items=Encoded(answer.items))
        made = CachedResult(ranked._replace(items=Encoded(ranked.items)), answer)
        if self._recorder:
            made.decision = response.decision(question, answer, made.ranked)
            made.receipt = self._recorder.record(made.decision)
        return made
