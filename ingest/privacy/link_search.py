"""Searches the values of all users for links to erased guests: one pass for all erasures that wait, in short steps.

A step reads for some milliseconds and leaves the store to others until the next one. So a large site answers as before, and
a new erasure does not wait for a pass that goes on. Links and passes are in memory: after a crash a pass begins anew.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from typing import Final, NamedTuple

from schemas.errors import UNREADABLE, FreshetError, StoreUnavailable
from schemas.keys import Signal, user_key
from schemas.ports import SignalStore
from signals import user_codec

PAGE: Final = 200
"""Number of values that one command reads."""
STEP_SECONDS: Final = 0.05
"""Time after which a step begins no further page."""
_USER: Final = user_key("")


class Link(NamedTuple):
    """A remaining user's link to an erased guest."""

    user_id: str
    guest: str


class LinkRequest(NamedTuple):
    """What an erasure searches for. Values have to be read after the events before ``ends`` were applied."""

    erasure_id: str
    guests: frozenset[str]
    ends: tuple[int, ...]
    """The end of each partition of events."""


class LinkSearch:
    """The passes of one process; for one thread."""

    def __init__(
        self, signals: SignalStore, partitions: Callable[[], int], steady: Callable[[], float] = time.perf_counter
    ) -> None:
        """``partitions`` returns the number of partitions of the events."""
        self._signals, self._partitions, self._steady = signals, partitions, steady
        self._waiting: set[LinkRequest] = set()
        self._reading: set[LinkRequest] = set()
        self._found: dict[LinkRequest, list[Link] | FreshetError] = {}
        self._pass: Iterator[None] | None = None

    @property
    def is_reading(self) -> bool:
        """True while a pass goes on."""
        return self._pass is not None

    def find(self, request: LinkRequest) -> list[Link] | None:
        """Returns the links to these guests in the values of all users; None until a pass that began later has ended.

        Raises the error with which that pass failed. The next call waits for another pass.
        """
        found = self._found.pop(request, None)
        if isinstance(found, FreshetError):
            raise found
        if found is None and request not in self._reading:
            self._waiting.add(request)
        return found

    def step(self) -> bool:
        """Reads some values for those that wait. Returns False if nobody waits."""
        if self._pass is None and not self._waiting:
            return False
        if self._pass is None:
            self._found.clear()
            self._reading, self._waiting = self._waiting, set()
            self._pass = self._read()
        until = self._steady() + STEP_SECONDS
        try:
            while next(self._pass, self) is not self:
                if self._steady() >= until:
                    return True
        except FreshetError as error:
            self._found |= dict.fromkeys(self._reading, error)
        self._pass, self._reading = None, set()
        return True

    def _read(self) -> Iterator[None]:
        """Reads a page at a time. At the end, each request has its links."""
        guests = frozenset[str]().union(*(request.guests for request in self._reading))
        links: dict[Link, None] = {}  # a key may come twice
        for partition in range(self._partitions()):
            values = self._signals.scan(partition, Signal.USERS, PAGE)
            while page := list(islice(values, PAGE)):
                links |= dict.fromkeys(_links(partition, page, guests))
                yield
        for request in self._reading:
            self._found[request] = [link for link in links if link.guest in request.guests]


def _links(partition: int, values: Iterable[tuple[str, bytes]], guests: frozenset[str]) -> Iterator[Link]:
    """The links of users to these guests. Raises StoreUnavailable; its text comes into receipts, so it names no other user."""
    for key, data in values:
        if key.startswith(_USER):
            try:
                linked = user_codec.head(data).links
            except UNREADABLE as error:
                reason = f"a value of partition {partition} cannot be read; the worker makes it anew from the log"
                raise StoreUnavailable(reason) from error
            yield from (Link(key.removeprefix(_USER), guest) for guest in linked if guest in guests)
