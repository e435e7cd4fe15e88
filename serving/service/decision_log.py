"""Recording answers on the ``answers`` topic, off the request path: a full queue drops records and counts them.

The log of answers shares no queue with events, so nothing that is recorded here keeps an event waiting.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Sequence
from concurrent.futures import Future
from functools import partial
from typing import Final, NamedTuple
from zlib import crc32

import msgspec
import structlog

from schemas.answers import Decision
from schemas.background import BackgroundTask
from schemas.decision_codec import encode_decision
from schemas.errors import UNREADABLE, LogUnavailable
from schemas.log import topics
from schemas.log.records import LogEntry
from schemas.ports import Appended, LogWriter
from serving import metrics
from serving.sized_cache import MIB
from signals.compact import compact

_log = structlog.get_logger(__name__)
_BATCH: Final = 2
"""Records handed over at once: half a millisecond, in which no request is answered."""
_PAUSE_SECONDS: Final = 0.1
_OBJECTS: Final = 8
"""Bytes of JSON values in memory for each byte of their text, at most about."""
_FIXED_BYTES, _ITEM_BYTES, _ID_BYTES = 4_096, 800, 180
"""Measured by tracemalloc with lists of 20 and 300 items; rather too much than too little."""


class Receipt:
    """Whether the log is known to have a record."""

    __slots__ = ("written",)

    def __init__(self) -> None:
        self.written = False


class _Waiting(NamedTuple):
    """A record that waits, its receipt, and about its bytes."""

    decision: Decision
    receipt: Receipt
    size: int


class DecisionLog:
    """A bounded queue of decisions and the task that writes them."""

    def __init__(self, log: LogWriter, limit: int, sample: float = 1.0, limit_bytes: int = 64 * MIB) -> None:
        """At most ``limit`` records of ``limit_bytes`` wait; ``sample`` is the share of answers that are recorded."""
        self._log, self._limit, self._sample, self._limit_bytes = log, limit, sample, limit_bytes
        self.size = 0
        """Bytes of the records that wait, about."""
        self._waiting: deque[_Waiting] = deque()
        self._task = BackgroundTask("recording answers")

    def record(self, decision: Decision) -> Receipt:
        """Queue a record, or drop it where too many wait or it is not in the sample."""
        receipt = Receipt()
        if not _is_sampled(decision.recommendation_id, self._sample):
            metrics.DECISIONS.labels("not_sampled").inc()
        elif len(self._waiting) >= self._limit or self.size + (size := _size_of(decision)) > self._limit_bytes:
            metrics.DECISIONS.labels("dropped").inc()
        else:
            self._waiting.append(_Waiting(decision, receipt, size))
            self.size += size
        return receipt

    async def run(self) -> None:
        """Write what waits, until cancelled."""
        while True:
            with self._task.step():
                await self.flush()
            await asyncio.sleep(self._task.pause(_PAUSE_SECONDS))

    async def flush(self) -> None:
        """Hand all that waits to the log, with room for requests in between.

        Not in a thread: an append does not wait, and another thread would keep the interpreter from requests for longer.
        """
        while self._waiting:
            batch = [self._waiting.popleft() for _ in range(min(_BATCH, len(self._waiting)))]
            self.size -= sum(waiting.size for waiting in batch)
            self._write(batch)
            await asyncio.sleep(0)

    def _write(self, batch: list[_Waiting]) -> None:
        try:
            written = self._log.append(topics.ANSWERS, [_entry(waiting.decision) for waiting in batch])
        except LogUnavailable as error:
            metrics.DECISIONS.labels("failed").inc(len(batch))
            _log.warning("decisions_not_written", records=len(batch), error=str(error))
        else:
            written.add_done_callback(partial(_settle, [waiting.receipt for waiting in batch]))


def _entry(decision: Decision) -> LogEntry:
    request, list_of = decision.request, decision.same_as or decision.recommendation_id
    key = request.user_id or request.anonymous_id or list_of
    return LogEntry(key.encode(), encode_decision(_with_compact_inputs(decision)))


def _with_compact_inputs(decision: Decision) -> Decision:
    if not decision.inputs:
        return decision
    alone = len(decision.inputs) == 1
    try:
        inputs = {name: compact(data, alone=alone) for name, data in decision.inputs.items()}
    except UNREADABLE as error:
        _log.warning("inputs_not_recorded", recommendation_id=decision.recommendation_id, error=str(error))
        inputs = {}
    return msgspec.structs.replace(decision, inputs=inputs)


def _size_of(decision: Decision) -> int:
    """About the bytes that a record takes while it waits, as if it shared nothing with the result cache."""
    request = decision.request
    texts = len(request.filter) + len(request.shown_hashes) + sum(map(len, decision.inputs.values()))
    texts += sum(map(len, request.context.values()))
    texts += len(msgspec.json.encode(request.attributes)) * _OBJECTS if request.attributes else 0
    ids = len(request.exclude) + len(request.include) + len(request.categories) + len(request.context)
    return _FIXED_BYTES + texts + _ID_BYTES * ids + _ITEM_BYTES * len(decision.items)


def _is_sampled(recommendation_id: str, share: float) -> bool:
    """True for this share of ids. Whoever knows the id can tell whether the answer was to be recorded."""
    return share >= 1.0 or crc32(recommendation_id.encode()) < share * 2**32


def _settle(receipts: Sequence[Receipt], written: Future[list[Appended]]) -> None:
    if written.cancelled() or (error := written.exception()) is not None:
        metrics.DECISIONS.labels("failed").inc(len(receipts))
        _log.warning("decisions_not_written", error="cancelled" if written.cancelled() else str(error))
        return
    for receipt, each in zip(receipts, written.result(), strict=True):
        receipt.written = not isinstance(each, Exception)
    landed = sum(receipt.written for receipt in receipts)
    metrics.DECISIONS.labels("failed").inc(len(receipts) - landed)
    metrics.DECISIONS.labels("written").inc(landed)
