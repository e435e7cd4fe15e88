"""The joints between tiers and drivers: small protocols, each saying what it guarantees.

Adapters live in ``adapters/``; one contract suite (``tests/contract``) runs every adapter of a port.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from typing import NamedTuple, Protocol

from schemas.jobs import Run
from schemas.log.fence import Fence
from schemas.log.records import LogEntry, OffsetToken, Record
from schemas.manifest import Manifest

Appended = OffsetToken | Exception
"""Where an entry landed, or the LogUnavailable that says why it did not."""


class Clock(Protocol):
    """Where the time comes from, so that tests and replays can hand it in."""

    def __call__(self) -> float:
        """Seconds since 1970, UTC."""


class LogWriter(Protocol):
    """Appends to the log. Safe to call from several threads."""

    def append(self, topic: str, entries: Sequence[LogEntry]) -> Future[list[Appended]]:
        """Append entries, each to the partition of its key; entries of one key keep their order.

        The future ends once each entry's fate is known: an OffsetToken only after the log has made it
        durable, a LogUnavailable otherwise. Returns at once; raises LogBusy, with nothing appended,
        where the queue is full.
        """

    def close(self) -> None:
        """Wait for what is under way, then let go of the log."""


class LogReader(Protocol):
    """Reads the log. For one thread at a time; blocking; raises LogUnavailable."""

    def log_id(self, topic: str) -> str:
        """The log's own id: another one after the topic was wiped and made anew."""

    def partitions(self, topic: str) -> int:
        """How many partitions the topic has."""

    def bounds(self, topic: str, partition: int) -> tuple[int, int]:
        """The first offset still held, and the one after the last: ``[begin, end)``."""

    def ends(self) -> dict[tuple[str, int], int]:
        """The offset after the last, for each topic and partition that has records."""

    def read(self, topic: str, partition: int, offset: int, limit: int) -> list[Record]:
        """Up to ``limit`` records from ``offset`` on, in order; empty only at the end of the partition.

        Where retention has taken ``offset``, reading begins at the first record still held.
        """

    def close(self) -> None:
        """Let go of the log."""


class SignalValues(NamedTuple):
    """Values read in one step with the fence that stood beside them."""

    fence: Fence | None
    values: list[bytes | None]


class SignalChanges(NamedTuple):
    """Changed values of a followed signal, and the fence up to which they are complete."""

    fence: Fence | None
    values: dict[str, bytes]
    whole: bool
    """True where this is every value there is (first read, the fence went back or to another log, or ``since`` is too old)."""


class SignalStore(Protocol):
    """Holds each signal's values per partition, beside its fence. Blocking; raises StoreUnavailable."""

    def fence(self, partition: int, signal: str) -> Fence | None:
        """The fence as it stands."""

    def load(self, partition: int, signal: str, keys: Sequence[str]) -> list[bytes | None]:
        """The values of these keys, in their order."""

    def commit(
        self, partition: int, signal: str, expected: Fence | None, fence: Fence, values: Mapping[str, bytes | None]
    ) -> None:
        """Write values (None removes one) and the new fence in one atomic step, or nothing at all.

        Raises FenceMoved, with the actual fence, where ``expected`` is not what stands there.
        """

    def reset(self, partition: int, signal: str, expected: Fence | None, fence: Fence) -> None:
        """Remove every value of the partition and set the fence, in one atomic step; raises FenceMoved."""

    def scan(self, partition: int, signal: str) -> Iterator[tuple[str, bytes]]:
        """Every value of the partition, in any order; for verification and snapshots, not for requests."""

    def close(self) -> None:
        """Let go of the store."""


class SignalReader(Protocol):
    """What the online layer reads, from one event loop. Raises StoreUnavailable."""

    async def read(self, partition: int, signal: str, keys: Sequence[str]) -> SignalValues:
        """The values of these keys and the fence, in one round trip, as of one moment."""

    async def fences(self, signal: str, partitions: Sequence[int]) -> dict[int, Fence]:
        """The fences of these partitions that have one, in one round trip."""

    async def changes(self, partition: int, signal: str, since: Fence | None) -> SignalChanges:
        """What a followed signal's commits have written after ``since``; everything where that is None or too long ago."""

    async def close(self) -> None:
        """Let go of the store."""


class ModelStore(Protocol):
    """Immutable model versions and the pointer to the active one. Blocking; raises ModelStoreUnavailable."""

    def write(
        self,
        manifest: Manifest,
        values: Mapping[str, bytes],
        lists: Mapping[str, Iterator[tuple[str, bytes]]],
    ) -> None:
        """Write one version whole: values by name, lists by kind (``users``, ``items``) and key; manifest last.

        A version whose manifest is not there does not exist for readers, so a crash leaves no half version.
        """

    def activate(self, version: str, expected: str | None) -> None:
        """Point to this version if the pointer is still at ``expected``.

        Raises PointerMoved where it is not, VersionUnknown where the version was never written whole.
        """

    def active(self) -> str | None:
        """The active version, or None before the first publish."""

    def hold(self, version: str | None) -> None:
        """Hold a whole version ready beside the active one, in place of the one held before; None holds none.

        Raises VersionUnknown. The last one to say so wins: nothing answers by it before somebody promotes it.
        """

    def challenger(self) -> str | None:
        """The version that is held ready, or None."""

    def versions(self) -> list[Manifest]:
        """Every whole version, newest first."""

    def manifest(self, version: str) -> Manifest:
        """A version's manifest; raises VersionUnknown."""

    def value(self, version: str, name: str) -> bytes:
        """One stored value of a version; raises VersionUnknown."""

    def entry(self, version: str, kind: str, key: str) -> bytes | None:
        """One precomputed list, or None where this key has none."""

    def entries(self, version: str, kind: str) -> Iterator[tuple[str, bytes]]:
        """Every list of a kind, each once, in a fixed order; for exports and copies, not for requests."""

    def delete(self, version: str) -> None:
        """Remove a version, manifest first; raises PointerMoved where it is active or held ready."""

    def close(self) -> None:
        """Let go of the store."""


class ListRow(NamedTuple):
    """One precomputed list laid open: best first, as many scores as items."""

    key: str
    item_ids: Sequence[str]
    scores: Sequence[float]


class VersionTarget(Protocol):
    """A place beside the store that whole versions are exported to. Blocking; raises ExportFailed."""

    name: str
    """The place as its operator named it."""

    def write(
        self, manifest: Manifest, values: Iterable[tuple[str, bytes]], lists: Mapping[str, Iterable[ListRow]]
    ) -> None:
        """Write one version so that it is there whole or not at all; one that is there already stays as it is.

        May be called again after a failure. What the iterators raise is raised.
        """

    def delete(self, version: str) -> None:
        """Remove a version; one that is not there is no error."""


class ListReader(Protocol):
    """Reads precomputed lists for the online layer, from one event loop. Raises ModelStoreUnavailable."""

    async def read(self, version: str, kind: str, key: str) -> bytes | None:
        """One precomputed list, or None where this key has none.

        Raises VersionUnknown where it can tell that the version is not there.
        """

    async def close(self) -> None:
        """Let go of the store."""


class ArchivedRange(NamedTuple):
    """One archived file's records: ``[begin, end)`` of one partition of one log."""

    log_id: str
    partition: int
    begin: int
    end: int


class Archive(Protocol):
    """The long memory: raw records in Parquet, files named by offset range. Blocking."""

    def write(self, log_id: str, records: Sequence[Record]) -> None:
        """Archive consecutive records of one topic's partition; writing a range again overwrites it."""

    def ranges(self, topic: str) -> list[ArchivedRange]:
        """What is archived, ordered by log, partition and offset."""

    def read(self, topic: str, log_id: str, partition: int, begin: int, end: int) -> Iterator[Record]:
        """Archived records with offsets in ``[begin, end)``, in order, each once."""

    def files(self, topic: str) -> list[str]:
        """Paths of the topic's Parquet files, for SQL engines.

        Columns: log_id, topic, partition, offset, timestamp_ms, key, value.
        """


class LeaseRecord(NamedTuple):
    """A lease that somebody holds."""

    holder: str
    since: float
    """Seconds since 1970."""
    token: int


class Lease(Protocol):
    """Lets one process at a time do a job. Blocking; safe to call from several threads; raises JobStoreUnavailable."""

    seconds: float
    """A lease that is not renewed for this long is lost; infinite where it dies with its process alone."""

    def acquire(self, name: str, holder: str, now: float) -> int:
        """Take the lease; returns its fencing token, larger than every earlier one of that name.

        Raises LeaseTaken, with who holds it and since when, where it is held.
        """

    def renew(self, name: str, token: int) -> None:
        """Keep the lease; raises LeaseLost where it is no longer held under this token."""

    def release(self, name: str, token: int) -> None:
        """Give the lease back; one that is no longer held under this token is left alone."""

    def held(self, name: str) -> LeaseRecord | None:
        """Who holds the lease, or None. A look only: the answer may be old when it arrives."""

    def close(self) -> None:
        """Give back every lease that was taken here, and let go of the store."""


class RunStore(Protocol):
    """Keeps the records of jobs' runs. Blocking; safe to call from several threads; raises JobStoreUnavailable."""

    def put(self, run: Run) -> None:
        """Write a run's record, over the one of the same id."""

    def runs(self, limit: int = 50) -> list[Run]:
        """The newest runs, newest first."""

    def expire(self, keep: int) -> int:
        """Remove all records but the newest ``keep``; returns how many were removed."""

    def close(self) -> None:
        """Let go of the store."""


class Documents(Protocol):
    """What jobs leave for others to read. Blocking; safe to call from several threads; raises JobStoreUnavailable."""

    def write(self, name: str, value: bytes) -> None:
        """Put a document in the place of the one of that name, whole or not at all."""

    def read(self, name: str) -> bytes | None:
        """The document, or None where there is none."""

    def close(self) -> None:
        """Let go of the store."""


class Poster(Protocol):
    """Sends a message by HTTP. Blocking; safe to call from several threads."""

    def __call__(self, url: str, headers: Mapping[str, str], body: bytes, seconds: float) -> None:
        """POST once, within so many seconds; any 2xx will do.

        Raises NotDelivered, which says whether another try makes sense. Redirects are not followed.
        """
