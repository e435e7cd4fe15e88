"""Lets go the values of one partition's idle guests, and brings back those of guests who return. For the worker's thread.

A guest is idle if all its records were received so many days before the newest record of the partition. The log says so, and
no clock. The archive must hold all of these records, because the value is folded from them when the guest returns.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from datetime import UTC, date, datetime, timedelta
from itertools import islice
from time import perf_counter
from typing import Final, NamedTuple

import structlog

from nearline import metrics
from nearline.passivation.guest_records import GuestRecords
from nearline.passivation.guests import MAX_IDLE, GuestsReturned, PassivatedGuests, ReturnedGuest
from nearline.passivation.stored import checksum_of_stored
from schemas.errors import UNREADABLE
from schemas.keys import Signal, is_guest_key
from schemas.ports import SignalStore
from signals import user_codec, users

PAGE: Final = 200
"""Number of values that one step looks at."""
PAGE_SECONDS: Final = 0.1
"""Time between two steps."""
BEHIND_SECONDS: Final = 10.0
"""Additional time until the next step if a signal is behind."""

_log = structlog.get_logger(__name__)


class Passivation(NamedTuple):
    """The setting, and what brings values back."""

    records: GuestRecords
    idle_days: int = 0
    """Days after which a guest is idle; 0 lets no value go. Guests who were passivated before come back all the same."""


class Passivator:
    """Works for the processor of one partition of the events."""

    def __init__(self, partition: int, store: SignalStore, passivation: Passivation) -> None:
        self._partition, self._store = partition, store
        self._records, self._idle_days = passivation
        self._guests: PassivatedGuests | None = None
        self._log_id, self._openings = "", 0
        self._sweep: Iterator[None] | None = None
        self._day: date | None = None
        self._next_step = 0.0
        self._folding: _Folding | None = None
        self.newest_ms = 0
        """Time of the newest applied record, in milliseconds since 1970."""

    def open(self, guests: PassivatedGuests | None, log_id: str) -> None:
        """Work for these guests from now on. If their memory was dropped, what was begun for them is dropped too."""
        if guests is self._guests and (guests is None or guests.openings == self._openings):
            return
        self._guests, self._log_id, self._openings = guests, log_id, guests.openings if guests else 0
        self._sweep = self._day = self._folding = None

    def begin_return(self, returned: GuestsReturned) -> None:
        """Begin to fold the values of these guests, in a thread."""
        self._folding = _Folding(self._records, self._log_id, self._partition, returned.guests)

    def is_waiting(self) -> bool:
        """True while values are folded. Hands them over at the end. Raises what the fold raised."""
        if self._folding is None or self._guests is None:
            return False
        if not self._folding.ended.is_set():
            return True
        folding, self._folding = self._folding, None
        self._guests.restore(folding.values())
        return False

    def step(self, now: float) -> None:
        """Look at some more values, and mark those of idle guests. Raises StoreUnavailable, LogUnavailable."""
        guests, paused = self._guests, 0.0 <= self._next_step - now <= BEHIND_SECONDS + PAGE_SECONDS
        if guests is None or not self._idle_days or not self.newest_ms or paused:
            return
        self._next_step = now + PAGE_SECONDS
        if self._sweep is None:
            self._sweep = self._begin(guests)
        elif guests.idle < MAX_IDLE and next(self._sweep, self) is self:
            self._sweep = None

    def _begin(self, guests: PassivatedGuests) -> Iterator[None] | None:
        """Begin to look through the values, once on each day of the log."""
        day = datetime.fromtimestamp(self.newest_ms / 1_000, UTC).date() - timedelta(days=self._idle_days)
        if day == self._day:
            return None
        archived = self._records.complete_end(self._log_id, self._partition, day)
        if archived > guests.end:  # a signal is behind, and still needs the values
            self._next_step += BEHIND_SECONDS
            return None
        earlier, self._day = self._day, day
        if archived:
            return self._marking(guests, archived)
        # The archive of a new site is a few minutes behind, so this is said a day after the worker began at the earliest.
        if earlier is not None and not self._records.complete_end(self._log_id, self._partition):
            _log.warning(
                "guests_kept",
                partition=self._partition,
                reason="the archive does not hold the first records of the partition: run `freshet archive`, and see `freshet doctor`",
            )
        return None

    def _marking(self, guests: PassivatedGuests, before: int) -> Iterator[None]:
        values, count = self._store.scan(self._partition, Signal.USERS, PAGE), 0
        while page := list(islice(values, PAGE)):
            for key, data in page:
                if is_guest_key(key) and (checksum := _checksum_of_idle(data, before)) is not None:
                    guests.mark_idle(key, checksum, before)
                    count += 1
            yield
        if count:
            _log.info("guests_idle", partition=self._partition, guests=count, before=before)


def _checksum_of_idle(data: bytes, before: int) -> bytes | None:
    """Returns the checksum of a value that contains records before an offset only; None of any other."""
    try:
        if user_codec.head(data).offset >= before:
            return None
        return checksum_of_stored(data)
    except UNREADABLE:
        return None  # the scrub finds it


class _Folding:
    """The fold of some guests' values in a daemon thread. It writes nothing, so it may end with the process at any moment."""

    def __init__(
        self, records: GuestRecords, log_id: str, partition: int, returned: Mapping[str, ReturnedGuest]
    ) -> None:
        self.ended = threading.Event()
        self._values: dict[str, users.UserValue] = {}
        self._error: Exception | None = None
        self._arguments = log_id, partition, returned
        threading.Thread(target=self._run, args=(records,), name="guests-return", daemon=True).start()

    def values(self) -> dict[str, users.UserValue]:
        """Returns the values; raises what the fold raised."""
        if self._error is not None:
            raise self._error
        return self._values

    def _run(self, records: GuestRecords) -> None:
        began = perf_counter()
        try:
            self._values = records.fold(*self._arguments)
        except Exception as error:  # noqa: BLE001 - it belongs to the worker, which tries again
            self._error = error
        finally:
            metrics.RETURN_SECONDS.observe(perf_counter() - began)
            self.ended.set()
