"""The valid events of a data set, each once: what an import appends, and what a replay and a comparison read."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from itertools import islice
from typing import Any, Final, NamedTuple, TypeVar

import numpy as np

from ingest.import_pipeline.base import FileRow, RowFaults
from ingest.import_pipeline.hash_set import HASH
from ingest.import_pipeline.ledger import RowLedger
from ingest.import_pipeline.row_ids import RowIds
from ingest.validation.fast_path import accept_simple_event
from ingest.validation.validate import Policy, Rejection, validate_event
from schemas.log.records import LogEntry

BATCH: Final = 2_000
_MISSING: Final = frozenset({"missing", "value-error", "string-too-short"})
"""Codes of fields that an event needs and does not have."""
T = TypeVar("T")


class ValidEvent(NamedTuple):
    """An event as its importer gave it, with its id, and its entry for the log."""

    row: dict[str, Any]
    entry: LogEntry


ByHash = Mapping[int, ValidEvent]
"""Events by the hashes of their ids."""


class ValidEvents:
    """Reads events in batches without those that the ledger holds or that came before; counts what it leaves out."""

    def __init__(self, policy: Policy, now: datetime, ledger: RowLedger, faults: RowFaults) -> None:
        self._policy, self._now, self._ledger, self._faults = policy, now, ledger, faults
        self._ids = RowIds()
        self.repeated = 0

    def batches(self, events: Iterable[dict[str, Any]]) -> Iterator[ByHash]:
        """Events by batches of rows. The caller notes them in the ledger before it takes the next batch."""
        for rows in in_batches(events):
            hashes = self._ids.assign(rows)
            held = self._ledger.contains(hashes)
            batch: dict[int, ValidEvent] = {}
            for row, row_hash, is_held in zip(rows, hashes.tolist(), held.tolist(), strict=True):
                if is_held or row_hash in batch:
                    self.repeated += 1
                elif (entry := self._entry(row)) is not None:
                    batch[row_hash] = ValidEvent(row, entry)
            yield batch

    def note(self, events: ByHash) -> None:
        """Notes in the ledger that these events have been appended."""
        self._ledger.add(np.fromiter(events, HASH, len(events)))

    def _entry(self, row: dict[str, Any]) -> LogEntry | None:
        try:
            simple = accept_simple_event(row, self._now, self._policy)
            return (simple or validate_event(row, self._now, lambda: "", self._policy)).entry
        except Rejection as error:
            refuse(self._faults, "event", row, error)
            return None


def refuse(faults: RowFaults, what: str, row: dict[str, Any], error: Rejection) -> None:
    """Counts a row that is not valid."""
    if isinstance(row, FileRow):
        faults.note(row.source_line, str(error), _reason(error), cells=row.cells)
    else:
        faults.note(f"{what} {row.get(f'{what}_id')}", str(error), _reason(error), row)


def _reason(error: Rejection) -> str:
    """The code of a refusal after its field, without the parts of a nested one: a few reasons for all rows."""
    code = "missing" if error.code in _MISSING else error.code
    return f"{error.field.partition('.')[0]}: {code}" if error.field else code


def in_batches(rows: Iterable[T]) -> Iterator[list[T]]:
    """The rows in lists of ``BATCH``."""
    source = iter(rows)
    while batch := list(islice(source, BATCH)):
        yield batch
