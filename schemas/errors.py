"""The named failures that one part of Freshet can raise to another."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from schemas.log.fence import Fence


UNREADABLE: Final = (msgspec.MsgspecError, ValueError, RecursionError, OverflowError, LookupError, TypeError)
"""What decoding raises at bytes that nobody of this system wrote."""


class FreshetError(Exception):
    """Base of all named failures. Its text is a sentence that says what to do."""


class LogUnavailable(FreshetError):
    """The log did not confirm a write, or cannot be read; the caller may try again."""


class LogBusy(LogUnavailable):
    """The log's queue is full: slow down and try again."""


class TopicMissing(LogUnavailable):
    """The log has no such topic yet."""


class RecordTooLarge(LogUnavailable):
    """The log does not take a record of this size, however often it is sent."""


class StoreUnavailable(FreshetError):
    """A signal or model store did not answer in time."""


class StoreFull(StoreUnavailable):
    """A signal store has no room for a commit."""


class FormatUnknown(StoreUnavailable):
    """Stored values were written by a later release, in a form that this release cannot read."""


class SnapshotsUnavailable(StoreUnavailable):
    """The place of snapshots did not answer, or does not take a write."""


class ArchiveDamaged(LogUnavailable):
    """A file of the archive, with the records of a range of offsets, is damaged."""

    def __init__(self, path: object, begin: int, end: int, reason: str) -> None:
        super().__init__(
            f"the archive's file {path} is damaged ({reason}): put it back from a backup, or move it away if the log still "
            f"holds offsets {begin} to {end - 1}"
        )
        self.begin, self.end = begin, end
        """The file is for offsets ``[begin, end)``."""


class SnapshotUnusable(FreshetError):
    """A snapshot is incomplete or damaged, or was written by a later release."""


class SnapshotAbandoned(FreshetError):
    """Values changed in a way that a snapshot under way cannot follow; a later one will."""


class BackupUnavailable(FreshetError):
    """The place of a backup, or what is backed up, cannot be read or written."""


class BackupInvalid(FreshetError):
    """A backup is incomplete or damaged, or does not fit the site."""


class ModelStoreUnavailable(StoreUnavailable):
    """The model store did not answer in time."""


class FenceMoved(FreshetError):
    """A commit lost its compare-and-set: another writer moved the fence, or the store went back."""

    def __init__(self, partition: int, signal: str, actual: Fence | None) -> None:
        super().__init__(f"partition {partition}: the fence of '{signal}' is at {actual}, not where it was left")
        self.partition = partition
        self.signal = signal
        self.actual = actual


class ValueCorrupt(FreshetError):
    """Stored values of a signal, or its fence, are not as this system writes them. The worker makes them anew from the log.

    ``keys`` are those of the values at fault. Without keys, the fence or all values of the partition are at fault.
    """

    def __init__(self, partition: int, signal: str, keys: Sequence[str], reason: object) -> None:
        named = ", ".join(repr(key) for key in keys[:3]) or "the fence or all values"
        super().__init__(
            f"partition {partition} of '{signal}': {named} cannot be read ({reason}); the worker rebuilds it from the log"
        )
        self.partition, self.signal, self.keys = partition, signal, tuple(keys)


class LogReplaced(FreshetError):
    """The log of a running worker was replaced by another log."""


class Undecodable(FreshetError):
    """The bytes of a record do not have the form of their topic."""


class InvalidToken(FreshetError):
    """An offset token is not of the form 'partition:offset'."""


class PointerMoved(FreshetError):
    """A publish or rollback lost its compare-and-set: the active version has changed."""

    def __init__(self, expected: str | None, actual: str | None) -> None:
        super().__init__(f"the active version is {actual or 'none'}, not {expected or 'none'}; look again and retry")
        self.expected = expected
        self.actual = actual


class VersionUnknown(FreshetError):
    """The store has no model version of this id."""


class VersionExists(FreshetError):
    """The store already has a model version of this id, and versions never change."""


class ExportFailed(FreshetError):
    """A version could not be written to, or removed from, a target outside the model store."""


class ModelRefused(FreshetError):
    """A newly trained version did not pass the gate. The store keeps it, but it is not active."""


class PublicationInvalid(FreshetError):
    """Similarities, lists or factors of an external model are not valid."""

    def __init__(self, detail: str, *, field: str | None = None, row: int | None = None) -> None:
        super().__init__(detail)
        self.field = field
        """The column at fault."""
        self.row = row
        """The row at fault, from 0."""


class FolderLocked(FreshetError):
    """Another process is the nearline writer of this data folder."""


class PortInUse(FreshetError):
    """Another process listens on the address."""


class ServerMissing(FreshetError):
    """A server that this command needs does not answer."""


class DatasetUnknown(FreshetError):
    """A folder or file is not a data set that an importer recognises."""


class NotFetched(FreshetError):
    """A published file could not be downloaded."""


class ConfigurationInvalid(FreshetError):
    """A setting or an option has a value that cannot work."""


class DriverMissing(FreshetError):
    """An optional package that the chosen log or store needs is not installed."""


class SparkFailed(FreshetError):
    """Spark, or its Java process, failed at a job. ``trace`` is what it said, for the job's log."""

    def __init__(self, message: str, trace: str = "") -> None:
        super().__init__(message)
        self.trace = trace


class NothingToTrain(FreshetError):
    """The log holds no interactions to train on."""


class TrainingTooLarge(FreshetError):
    """A training would need more memory than it may use."""


class LetterUnknown(FreshetError):
    """There is no dead letter at this position."""


class DeadLetterRefused(FreshetError):
    """A dead letter, original or mended, is still not valid."""


class FilterInvalid(FreshetError):
    """A filter expression cannot be read; ``column`` is the position of the fault, from 1."""

    def __init__(self, reason: str, column: int) -> None:
        super().__init__(f"column {column}: {reason}")
        self.column = column


class ExportStopped(FreshetError):
    """The export of what is held on a person was given up: it took too long, or nobody reads it any more."""


class AnswerUnknown(FreshetError):
    """No decision record of this id was found."""


class JobStoreUnavailable(StoreUnavailable):
    """The store of leases, runs and documents cannot be read or written."""


class LeaseTaken(FreshetError):
    """Another process does this job now."""

    def __init__(self, name: str, holder: str, since: datetime) -> None:
        super().__init__(
            f"'{name}' runs already: {holder}, since {since:%Y-%m-%d %H:%M:%S} UTC; "
            "wait for it (`freshet jobs list` shows how far it is), or end that process"
        )
        self.name = name
        self.holder = holder
        self.since = since


class LeaseLost(FreshetError):
    """The process paused for so long that another one may do its job now."""


class JobUnknown(FreshetError):
    """There is no record of a run with this id."""


class NotDelivered(FreshetError):
    """The receiver of a webhook did not accept a message."""

    def __init__(self, reason: str, *, final: bool = False) -> None:
        super().__init__(reason)
        self.final = final
        """True if another attempt would fail too."""
