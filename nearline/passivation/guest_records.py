"""Reads the records of guests from the archive, and from the log what the archive lacks, and folds them."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import closing, contextmanager
from datetime import date
from itertools import islice
from typing import Final, NamedTuple

import structlog

from nearline import metrics
from nearline.passivation.guests import ReturnedGuest
from nearline.recovery.value_fold import ValueFold
from schemas.errors import ArchiveDamaged, LogUnavailable
from schemas.keys import Signal
from schemas.log import topics
from schemas.log.reading import records_between
from schemas.log.records import Record
from schemas.ports import Archive, LogReader
from schemas.values.passivated import checksum_of
from signals import user_codec, users

_BATCH: Final = 1_000

_log = structlog.get_logger(__name__)


class GuestRecords(NamedTuple):
    """The archive, and the log. Each call may come from another thread."""

    archive: Archive
    open_reader: Callable[[], LogReader]
    """Opens a reader with connections of its own."""

    def complete_end(self, log_id: str, partition: int, day: date | None = None) -> int:
        """See ``Archive.complete_end``."""
        with _translate_errors():
            return self.archive.complete_end(topics.EVENTS, log_id, partition, day)

    def fold(self, log_id: str, partition: int, returned: Mapping[str, ReturnedGuest]) -> dict[str, users.UserValue]:
        """Returns the values of these guests. Raises LogUnavailable.

        At first only records are read whose key is the id of a guest. If a value then differs from the one that was let go,
        some producer writes other keys, and all records are read.
        """
        with _translate_errors():
            values = self._fold(log_id, partition, returned, {key[2:].encode() for key in returned})
            if differing := _differing(values, returned):
                values |= self._fold(log_id, partition, differing, None)
                differing = _differing(values, differing)
        _report(partition, len(returned), len(differing))
        return values

    def _fold(
        self, log_id: str, partition: int, returned: Mapping[str, ReturnedGuest], keys: Collection[bytes] | None
    ) -> dict[str, users.UserValue]:
        ends = {key: guest.end for key, guest in returned.items()}
        fold = ValueFold(topics.EVENTS, partition, log_id, Signal.USERS, ends)
        records = self._read(log_id, partition, max(ends.values()), keys)
        while batch := list(islice(records, _BATCH)):
            fold.fold(batch)
        return {key: user_codec.decode(data) for key, data in fold.values().items()}

    def _read(self, log_id: str, partition: int, end: int, keys: Collection[bytes] | None) -> Iterator[Record]:
        archived = min(self.complete_end(log_id, partition), end)
        if archived < end:
            with closing(self.open_reader()) as reader:
                begin, _ = reader.bounds(topics.EVENTS, partition)
                archived = min(end, max(archived, begin))
                yield from self._archived(log_id, partition, archived, keys)
                yield from records_between(reader, topics.EVENTS, partition, archived, end)
        else:
            yield from self._archived(log_id, partition, end, keys)

    def _archived(self, log_id: str, partition: int, end: int, keys: Collection[bytes] | None) -> Iterator[Record]:
        """The archive's records up to ``end``; those of a damaged file come from the log, as far as it still holds them."""
        upcoming = 0
        while upcoming < end:
            try:
                for record in self.archive.read(topics.EVENTS, log_id, partition, upcoming, end, keys):
                    yield record
                    upcoming = record.offset + 1
                upcoming = end
            except ArchiveDamaged as damage:
                metrics.ARCHIVE_DAMAGED.inc()
                _log.error("archive_damaged", partition=partition, reason=str(damage))
                yield from self._logged(partition, max(upcoming, damage.begin), min(damage.end, end))
                upcoming = max(upcoming, damage.end)

    def _logged(self, partition: int, begin: int, end: int) -> Iterator[Record]:
        with closing(self.open_reader()) as reader:
            log_begin, _ = reader.bounds(topics.EVENTS, partition)
            yield from records_between(reader, topics.EVENTS, partition, max(begin, log_begin), end)


@contextmanager
def _translate_errors() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise LogUnavailable(
            f"the archive cannot be read ({error}): see that FRESHET_ARCHIVE names a folder that this process may read"
        ) from error


def _differing(
    values: Mapping[str, users.UserValue], returned: Mapping[str, ReturnedGuest]
) -> dict[str, ReturnedGuest]:
    return {
        key: guest for key, guest in returned.items() if checksum_of(user_codec.encode(values[key])) != guest.checksum
    }


def _report(partition: int, count: int, differing: int) -> None:
    metrics.RETURNED.labels("equal").inc(count - differing)
    metrics.RETURNED.labels("differs").inc(differing)
    if differing:
        _log.error(
            "returned_guests_differ",
            partition=partition,
            guests=differing,
            reason="archive and log do not give the value that was let go: records are missing or were erased, "
            "or another release let it go",
        )
