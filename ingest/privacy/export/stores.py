"""The ports that an export reads, and the bound on its time."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

from schemas.ports import Archive, LogReader, ModelStore, SignalStore

Check = Callable[[], None]
"""Raises ExportStopped if the export has to end. It is called for each batch of records."""


class ExportStores(NamedTuple):
    """Everything that an export reads; for one thread."""

    reader: LogReader
    archive: Archive
    signals: SignalStore
    models: ModelStore
    answers: Sequence[LogReader]
    """Read decision records."""
