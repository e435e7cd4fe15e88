"""The ports that an erasure reaches, and the settings of the site about it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final, NamedTuple

from ingest.privacy.secret import SiteSecret
from schemas.errors import LogUnavailable
from schemas.log.records import LogEntry, OffsetToken
from schemas.ports import (
    Archive,
    Clock,
    Documents,
    Lease,
    LogReader,
    LogWriter,
    ModelStore,
    Rewritable,
    SignalStore,
    SnapshotStore,
)

_APPEND_SECONDS: Final = 30.0


class ErasureStores(NamedTuple):
    """Everything that holds data of people."""

    reader: LogReader
    writer: LogWriter
    signals: SignalStore
    models: ModelStore
    documents: Documents
    lease: Lease
    archive: Archive
    archived: Sequence[Rewritable]
    """The archive's records."""
    logged: Sequence[Rewritable]
    """The log's records, and those of answers. Empty: the log removes them by age."""
    days_kept: Callable[[str], float | None]
    """Days after which the log has surely removed a record of a topic; None: never."""
    snapshots: SnapshotStore | None
    """None: no snapshots are taken."""
    refold: Callable[[int], None] | None
    """Folds the aggregates of a partition again, without what is gone from the log. None: they are rebuilt by hand."""
    scrub: Callable[[Sequence[bytes]], bool]
    """Overwrites what removed rows have left in files. False: something is left; it has to be called again."""
    export: Callable[[str], Sequence[str]]
    """Exports a model version anew to every target; returns a sentence for each that failed."""
    next_training: Callable[[], float | None]
    """When the next training is due at the latest, in seconds since 1970; None if nobody trains by a schedule."""
    refused: Path
    """The folder of rows that imports refused."""
    secret: SiteSecret
    clock: Clock


def append_all(writer: LogWriter, topic: str, entries: Sequence[LogEntry]) -> list[OffsetToken]:
    """Appends entries and returns where they stand; raises LogUnavailable unless the log confirms each of them."""
    try:
        results = writer.append(topic, entries).result(_APPEND_SECONDS)
    except TimeoutError as error:
        raise LogUnavailable(f"the log did not confirm within {_APPEND_SECONDS:g} s") from error
    tokens = [result for result in results if not isinstance(result, Exception)]
    if len(tokens) < len(entries):
        raise LogUnavailable("the log did not take all that an erasure appends; it is tried again")
    return tokens
