"""Every failure that one part of Freshet can hand to another has a name here."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import datetime

    from schemas.log.fence import Fence


class FreshetError(Exception):
    """Base of all named failures; its text is a sentence a user can act on."""


class LogUnavailable(FreshetError):
    """The log did not confirm a write, or cannot be read; the caller may try again."""


class LogBusy(LogUnavailable):
    """The log's queue is full: slow down and try again."""


class StoreUnavailable(FreshetError):
    """A signal or model store did not answer in time."""


class ModelStoreUnavailable(StoreUnavailable):
    """The model store did not answer in time."""


class FenceMoved(FreshetError):
    """A commit lost its compare-and-set: another writer moved the fence, or the store went back."""

    def __init__(self, partition: int, signal: str, actual: Fence | None) -> None:
        super().__init__(f"partition {partition}: the fence of '{signal}' is at {actual}, not where it was left")
        self.partition = partition
        self.signal = signal
        self.actual = actual


class LogReplaced(FreshetError):
    """The log under a running worker is another one than it started with."""


class Undecodable(FreshetError):
    """The bytes of a record are not what their topic promises."""


class InvalidToken(FreshetError):
    """An offset token is not of the form 'partition:offset'."""


class PointerMoved(FreshetError):
    """A publish or rollback lost its compare-and-set: the active version is another one by now."""

    def __init__(self, expected: str | None, actual: str | None) -> None:
        super().__init__(f"the active version is {actual or 'none'}, not {expected or 'none'}; look again and retry")
        self.expected = expected
        self.actual = actual


class VersionUnknown(FreshetError):
    """No model version of that id is in the store."""


class VersionExists(FreshetError):
    """A model version of that id is in the store already; versions never change."""


class ExportFailed(FreshetError):
    """A version could not be written to, or removed from, a place outside the model store."""


class ModelRefused(FreshetError):
    """A newly trained version did not pass the gate; it is kept, and not active."""


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
    """The address to listen on is taken."""


class ServerMissing(FreshetError):
    """A server that this command needs does not answer."""


class DatasetUnknown(FreshetError):
    """A folder or file is not a data set that an importer recognises."""


class NotFetched(FreshetError):
    """A file could not be fetched from where it is published."""


class ConfigurationInvalid(FreshetError):
    """A setting or an option has a value that cannot work."""


class NothingToTrain(FreshetError):
    """The log holds no interactions to train on."""


class TrainingTooLarge(FreshetError):
    """A training would need more memory than it may take."""


class LetterUnknown(FreshetError):
    """No dead letter stands at that place."""


class ReplayRefused(FreshetError):
    """A dead letter, as it is or as it was mended, is still not valid."""


class FilterInvalid(FreshetError):
    """A filter expression cannot be read; ``column`` is where, from 1."""

    def __init__(self, reason: str, column: int) -> None:
        super().__init__(f"column {column}: {reason}")
        self.column = column


class AnswerUnknown(FreshetError):
    """No decision record of that id is within reach."""


class JobStoreUnavailable(StoreUnavailable):
    """What is kept of jobs (leases, runs, documents) cannot be read or written."""


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
    """The process stood still for so long that another one may do its job by now."""


class JobUnknown(FreshetError):
    """No run of that id is recorded."""


class NotDelivered(FreshetError):
    """A webhook's receiver did not take a message."""

    def __init__(self, reason: str, *, final: bool = False) -> None:
        super().__init__(reason)
        self.final = final
        """Whether another try would end the same."""
