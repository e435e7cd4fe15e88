"""The ports between tiers and drivers: small protocols, each with its guarantees.

Adapters in ``adapters/`` implement them. One contract suite (``tests/contract``) runs every adapter of a port.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from datetime import date
from typing import Final, NamedTuple, Protocol

from schemas.log.fence import Fence
from schemas.log.records import LogEntry, OffsetToken, Record
from schemas.offline.jobs import Run
from schemas.offline.manifest import Manifest
from schemas.snapshots import Snapshot, SnapshotFile

PAGE: Final = 1_000
"""Values that one command of a scan reads, so that no command holds up a store for long."""
Appended = OffsetToken | Exception
"""The position of an appended entry, or the LogUnavailable that says why it was not confirmed."""


class Clock(Protocol):
    """Returns the time. Tests and replays pass their own clock."""

    def __call__(self) -> float:
        """Seconds since 1970, UTC."""


class LogWriter(Protocol):
    """Appends to the log. Safe to call from several threads."""

    def append(self, topic: str, entries: Sequence[LogEntry]) -> Future[list[Appended]]:
        """Appends entries, each to the partition of its key. Entries of one key keep their order.

        Returns at once. The future ends when the result of each entry is known: an OffsetToken if the log has
        stored it durably, else a LogUnavailable. Raises LogBusy, and appends nothing, if the queue is full.
        """

    def close(self) -> None:
        """Waits for pending appends, then closes the log."""


class LogReader(Protocol):
    """Reads the log. Calls block, one thread at a time may call, and all raise LogUnavailable."""

    def log_id(self, topic: str) -> str:
        """The log's own id. It changes if the topic is wiped and created again."""

    def partitions(self, topic: str) -> int:
        """The number of partitions of the topic."""

    def bounds(self, topic: str, partition: int) -> tuple[int, int]:
        """``[begin, end)``: the first offset that the log still has, and the offset after the last."""

    def ends(self) -> dict[tuple[str, int], int]:
        """The offset after the last, for each topic and partition that has records."""

    def read(self, topic: str, partition: int, offset: int, limit: int) -> list[Record]:
        """At most ``limit`` records from ``offset`` on, in order; empty only at the end of the partition.

        If retention has deleted ``offset``, reading begins at the first record that the log still has.
        """

    def close(self) -> None:
        """Closes the log."""


class SignalValues(NamedTuple):
    """Values, and the fence that the store held at the same moment."""

    fence: Fence | None
    values: list[bytes | None]


class SignalChanges(NamedTuple):
    """Changed values of a followed signal, and the fence up to which they are complete."""

    fence: Fence | None
    values: dict[str, bytes]
    whole: bool
    """True if ``values`` holds all values: at the first read, after a reset or for another log, or if ``since`` is too old."""


class Replacement(NamedTuple):
    """The values of one signal and their fence, to be put in place of those at the expected fence."""

    signal: str
    expected: Fence | None
    fence: Fence
    batches: Iterable[Mapping[str, bytes | None]]
    """Values by key. A later batch overwrites an earlier one; None removes a key."""


class SignalStore(Protocol):
    """Stores each signal's values for each partition, with their fence. Calls block and raise StoreUnavailable.

    A value of a signal of IN_PARTS may be stored as a base and a tail (``schemas.values.tails``). ``load``, ``scan`` and
    ``SignalReader.read`` give both as one value, as of one moment. A key of a tail is written as any other key.

    All calls but ``discard`` and ``discard_aside`` raise ValueCorrupt without keys if something foreign is in place of the
    fence or of all values.
    """

    def fence(self, partition: int, signal: str) -> Fence | None:
        """The stored fence."""

    def load(self, partition: int, signal: str, keys: Sequence[str]) -> list[bytes | None]:
        """The values of these keys, in their order."""

    def commit(
        self, partition: int, signal: str, expected: Fence | None, fence: Fence, values: Mapping[str, bytes | None]
    ) -> None:
        """Writes values and the new fence in one atomic step, or nothing at all. None removes a value with its tail.

        Raises FenceMoved, with the stored fence, if that is not ``expected``.
        """

    def reset(self, partition: int, signal: str, expected: Fence | None, fence: Fence) -> None:
        """Sets all values of the partition aside with their fence, and sets the new fence, in one step; raises FenceMoved.

        No call but ``restore`` reads values that are set aside. If there are some already, they stay, and the present
        values, which come from a rebuild that did not end, are removed.
        """

    def aside(self, partition: int, signal: str) -> Fence | None:
        """The fence of the values that are set aside; None if there are none."""

    def restore(self, partition: int, signal: str, expected: Fence | None) -> None:
        """Puts the values that are set aside, with their fence, in place of the present ones; raises FenceMoved."""

    def discard_aside(self, partition: int, signal: str) -> None:
        """Removes the values that are set aside."""

    def discard(self, partition: int, signal: str) -> None:
        """Removes the fence and all values of the partition, whatever is stored in their place."""

    def replace(self, partition: int, replacements: Sequence[Replacement], *, back: bool = False) -> None:
        """Puts other values with their fences in place of all values of these signals, in one step for all of them.

        Readers see everything before or everything after, also if the process ends. ``back`` also accepts a stored fence
        that has moved on from the expected one, on the log of the new fence and to its offset or a later one. Raises
        FenceMoved, and what ``batches`` raises; then nothing has changed.
        """

    def scan(self, partition: int, signal: str, page: int = PAGE) -> Iterator[tuple[str, bytes]]:
        """All values of the partition, in any order, about ``page`` of them at a time. Not for requests."""

    def close(self) -> None:
        """Closes the store."""


Rows = Iterable[tuple[str, bytes | None]]
"""Keys and values. The last row of a key counts; None removes it."""


class SnapshotStore(Protocol):
    """Keeps snapshots of signals. Calls block and raise SnapshotsUnavailable; several threads may call."""

    name: str
    """The address of the snapshots, as its operator wrote it."""

    def write_values(
        self, topic: str, partition: int, snapshot_id: str, signal: str, rows: Rows, offset: Callable[[], int]
    ) -> SnapshotFile:
        """Writes the values of one signal. ``offset`` is called after the last row. It raises the errors of ``rows``.

        For readers, the values do not exist before ``publish``.
        """

    def publish(self, snapshot: Snapshot) -> None:
        """Writes the manifest, after all values."""

    def snapshots(self, topic: str, partition: int) -> list[Snapshot]:
        """The published snapshots of a partition, newest first. Damaged manifests are left out."""

    def values(self, snapshot: Snapshot, signal: str) -> Iterator[dict[str, bytes | None]]:
        """The values of one signal in batches, once the digest of the file was found right; raises SnapshotUnusable."""

    def delete(self, topic: str, partition: int, snapshot_id: str) -> None:
        """Removes a snapshot, its manifest first. A missing snapshot is not an error."""

    def delete_unpublished(self, topic: str, partition: int, before: float) -> None:
        """Removes what writers that began before this time (seconds since 1970) have left behind unpublished."""


class SignalReader(Protocol):
    """Reads signals for the online layer, from one event loop. Raises StoreUnavailable, and ValueCorrupt as SignalStore does."""

    async def read(self, partition: int, signal: str, keys: Sequence[str]) -> SignalValues:
        """The values of these keys and the fence at one moment, in one round trip."""

    async def fences(self, signal: str, partitions: Sequence[int]) -> dict[int, Fence]:
        """The fences of these partitions that have one that can be read, in one round trip."""

    async def changes(self, partition: int, signal: str, since: Fence | None) -> SignalChanges:
        """The values of a followed signal that commits wrote after ``since``; all values if that is None or too old."""

    async def close(self) -> None:
        """Closes the store."""


class ModelStore(Protocol):
    """Immutable model versions and the pointer to the active one. Calls block and raise ModelStoreUnavailable."""

    def write(
        self,
        manifest: Manifest,
        values: Mapping[str, bytes],
        lists: Mapping[str, Iterator[tuple[str, bytes]]],
    ) -> None:
        """Writes one version: values by name, lists by kind (``users``, ``items``) and key, and the manifest last.

        For readers, a version without a manifest does not exist, so a crash leaves no incomplete version.
        """

    def activate(self, version: str, expected: str | None) -> None:
        """Sets the pointer to this version if it is still at ``expected``.

        Raises PointerMoved if it is not, and VersionUnknown if the version is not complete.
        """

    def active(self) -> str | None:
        """The active version, or None before the first publish."""

    def hold(self, version: str | None) -> None:
        """Makes a complete version the challenger, instead of an earlier one; None removes the challenger.

        Raises VersionUnknown. The last caller wins: no request uses the challenger before somebody promotes it.
        """

    def challenger(self) -> str | None:
        """The challenger, or None."""

    def versions(self) -> list[Manifest]:
        """The manifests of all complete versions, newest first."""

    def manifest(self, version: str) -> Manifest:
        """A version's manifest; raises VersionUnknown."""

    def value(self, version: str, name: str) -> bytes:
        """One stored value of a version; raises VersionUnknown."""

    def entry(self, version: str, kind: str, key: str) -> bytes | None:
        """One precomputed list, or None if this key has none."""

    def entries(self, version: str, kind: str) -> Iterator[tuple[str, bytes]]:
        """All lists of a kind, each once, in a fixed order. For exports and copies, not for requests."""

    def delete(self, version: str) -> None:
        """Removes a version, its manifest first; raises PointerMoved if it is active or the challenger."""

    def erase(self, version: str, kind: str, keys: Sequence[str]) -> int:
        """Removes the lists of these keys, for the erasure of a person; returns the number of those that there were.

        The manifest counts them no more. Nothing else of a version changes.
        """

    def replace_value(self, version: str, name: str, value: bytes) -> None:
        """Puts a value from which a person was erased in the place of a stored one; raises VersionUnknown."""

    def close(self) -> None:
        """Closes the store."""


class ListRow(NamedTuple):
    """One precomputed list in decoded form: item ids with their scores, best first."""

    key: str
    item_ids: Sequence[str]
    scores: Sequence[float]


class VersionTarget(Protocol):
    """A target outside the store to which complete versions are exported. Calls block and raise ExportFailed."""

    name: str
    """The address of the target, as its operator wrote it."""

    def write(
        self, manifest: Manifest, values: Iterable[tuple[str, bytes]], lists: Mapping[str, Iterable[ListRow]]
    ) -> None:
        """Writes one version completely or not at all. A version that exists already stays as it is.

        It may be called again after a failure. It raises the errors of the iterators.
        """

    def delete(self, version: str) -> None:
        """Removes a version. A missing version is not an error."""


class ListReader(Protocol):
    """Reads precomputed lists for the online layer, from one event loop. Raises ModelStoreUnavailable."""

    async def read(self, version: str, kind: str, key: str) -> bytes | None:
        """One precomputed list, or None if this key has none.

        Raises VersionUnknown if it can tell that the version does not exist.
        """

    async def close(self) -> None:
        """Closes the store."""


class ArchivedRange(NamedTuple):
    """The range of one archived file: the offsets ``[begin, end)`` of one partition of one log."""

    log_id: str
    partition: int
    begin: int
    end: int


class Archive(Protocol):
    """Keeps raw records in Parquet files, which are named by their offsets. Calls block."""

    def write(self, log_id: str, records: Sequence[Record]) -> None:
        """Archives consecutive records of one partition. A second write of a range overwrites it."""

    def ranges(self, topic: str) -> list[ArchivedRange]:
        """The archived ranges, ordered by log, partition and offset."""

    def read(
        self, topic: str, log_id: str, partition: int, begin: int, end: int, keys: Collection[bytes] | None = None
    ) -> Iterator[Record]:
        """Archived records with offsets in ``[begin, end)``, in order, each once; with ``keys`` only records of these keys.

        Raises ArchiveDamaged at a file that is there and cannot be decoded.
        """

    def complete_end(self, topic: str, log_id: str, partition: int, day: date | None = None) -> int:
        """The offset before which the archive holds every record of the partition, from offset 0 on.

        With ``day``: before which all of them were received on an earlier day (UTC).
        """

    def files(self, topic: str) -> list[str]:
        """Paths of the topic's Parquet files, for SQL engines.

        Columns: log_id, topic, partition, offset, timestamp_ms, key, value.
        """


Change = Callable[[str, Record], Record]
"""Takes the id of a log and one of its records; returns the record to keep in its place, at the same coordinates."""


class Rewritable(Protocol):
    """Stored records that the erasure of a person changes in place. Calls block, and raise OSError and LogUnavailable."""

    def find(self, topic: str, texts: Sequence[bytes]) -> Iterator[tuple[str, Record]]:
        """The records whose key or value holds one of these texts, with the ids of their logs; all records without texts."""

    def rewrite(self, topic: str, texts: Sequence[bytes], change: Change) -> int:
        """Replaces the records that ``find`` finds and ``change`` changes; returns their number. It may be called again.

        A record without key and value (``b""`` and None) stays as a tombstone, so that no offset is missing.
        """


class LeaseRecord(NamedTuple):
    """A lease that a process holds."""

    holder: str
    since: float
    """Seconds since 1970."""
    token: int


class Lease(Protocol):
    """Lets one process at a time do a job. Calls block and raise JobStoreUnavailable; several threads may call."""

    seconds: float
    """Seconds after which a lease that is not renewed is lost; infinite if only the end of its process ends it."""

    def acquire(self, name: str, holder: str, now: float) -> int:
        """Takes the lease; returns its fencing token, which is larger than all earlier tokens of this name.

        If another process holds it, raises LeaseTaken with the holder and the time since which it holds the lease.
        """

    def renew(self, name: str, token: int) -> None:
        """Keeps the lease; raises LeaseLost if this token no longer holds it."""

    def release(self, name: str, token: int) -> None:
        """Releases the lease if this token still holds it."""

    def held(self, name: str) -> LeaseRecord | None:
        """The record of the current holder, or None. The holder may change before the caller reads the record."""

    def close(self) -> None:
        """Releases all leases that this object holds, and closes the store."""


class RunStore(Protocol):
    """Keeps the records of jobs' runs. Calls block and raise JobStoreUnavailable; several threads may call."""

    def put(self, run: Run) -> None:
        """Writes a run's record; replaces the record of the same id."""

    def runs(self, limit: int = 50) -> list[Run]:
        """The newest runs, newest first."""

    def expire(self, keep: int) -> int:
        """Removes all records except the newest ``keep``; returns the number of removed records."""

    def close(self) -> None:
        """Closes the store."""


class Documents(Protocol):
    """Documents that jobs publish. Calls block and raise JobStoreUnavailable; several threads may call."""

    def write(self, name: str, value: bytes) -> None:
        """Writes a document completely or not at all; replaces the document of the same name."""

    def read(self, name: str) -> bytes | None:
        """The document, or None if it does not exist."""

    def names(self) -> list[str]:
        """The names of all documents, in alphabetical order."""

    def close(self) -> None:
        """Closes the store."""


class NonceStore(Protocol):
    """Remembers names that count once on a site. Calls block and raise StoreUnavailable; several threads may call."""

    def add(self, name: str, seconds: float) -> bool:
        """Remembers a name for so long; False if it is remembered already. One of several callers at once gets True."""

    def close(self) -> None:
        """Closes the store."""


class Poster(Protocol):
    """Sends a message by HTTP. Calls block; several threads may call."""

    def __call__(self, url: str, headers: Mapping[str, str], body: bytes, seconds: float) -> None:
        """Posts once, within ``seconds``; any 2xx is a success.

        Raises NotDelivered, which says if another attempt makes sense. Redirects are not followed.
        """
