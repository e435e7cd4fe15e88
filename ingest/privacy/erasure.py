"""One erasure as it is stored between two steps: its receipt, and what the next step has to know.

It holds no id of the person: ids are read from the notices on the log, for as long as they are there.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Final

import msgspec

from schemas.erasures import ErasedPlace, ErasureReceipt
from schemas.errors import Undecodable
from schemas.log.records import OffsetToken
from schemas.ports import Documents

OPEN: Final = "erasures/open"
"""The document that lists the erasures that are not complete."""
ENDED: Final = frozenset({"done", "expires", "kept"})
"""States that end by themselves or have ended, and those that Freshet cannot change."""

PLACES: Final = (
    "signals",
    "attributes",
    "lists",
    "caches",
    "links",
    "snapshots",
    "decision_records",
    "log",
    "attributes_log",
    "counters",
    "archive",
    "dead_letters",
    "refused_rows",
    "exports",
    "backups",
    "remnants",
    "models",
)
"""All places, in the order in which receipts name them and the erasure reaches them."""


class Erasure(msgspec.Struct, kw_only=True):
    """An erasure and its progress."""

    receipt: ErasureReceipt
    notices: list[OffsetToken] = []
    """Where the topic of erasures holds its notices."""
    forgets: list[tuple[str, int, int]] = []
    """Log id, partition and offset of each ``forget``."""
    sent: list[str] = []
    """Keyed hashes of the subjects whose ``forget`` was appended."""
    deletes: dict[str, str] = {}
    """By keyed hash of the user, where the topic of users ends the attributes."""
    versions: list[str] = []
    """Model versions that hold no row of the person any more."""
    changed: list[str] = []
    """Model versions that held a row of the person, and are exported anew."""
    masked: list[str] = []
    """Model versions whose factors held the person."""
    link_ends: list[int] = []
    """The end of each partition of events when links to the guests were first searched; before it, they are the same guests."""
    links_searched: bool = False
    """True if an event on the log removes each link that was found."""
    unlinked: dict[str, str] = {}
    """By keyed hash of a link, where the log removes it."""
    searched: int = 0
    """Number of subjects that were known when records were last searched for further ones."""

    def place(self, name: str) -> ErasedPlace:
        """The state of a place."""
        return next(place for place in self.receipt.places if place.place == name)

    def add_missing_places(self) -> None:
        """Adds the places that an earlier release, which began the erasure, did not know."""
        known = {place.place: place for place in self.receipt.places}
        places = tuple(known.get(name) or ErasedPlace(place=name, state="pending") for name in PLACES)
        self.receipt = msgspec.structs.replace(self.receipt, places=places)

    def put(self, changed: ErasedPlace) -> None:
        """Sets the state of a place."""
        places = tuple(changed if place.place == changed.place else place for place in self.receipt.places)
        self.receipt = msgspec.structs.replace(self.receipt, places=places, complete_by=complete_by(places))

    def ended(self, names: Iterable[str] = PLACES) -> bool:
        """True if nothing is left to do in these places."""
        return all(self.place(name).state in ENDED for name in names)


def new_erasure(erasure_id: str, person: str, requested_at: datetime) -> Erasure:
    """An erasure that has reached no place yet."""
    places = tuple(ErasedPlace(place=name, state="pending") for name in PLACES)
    return Erasure(
        receipt=ErasureReceipt(erasure_id=erasure_id, person=person, requested_at=requested_at, places=places)
    )


def complete_by(places: Iterable[ErasedPlace]) -> datetime | None:
    """The last of the places' times; None while one of them is not known. Copies that are kept elsewhere do not count."""
    times = [place.at for place in places if place.state != "kept"]
    known = [time for time in times if time is not None]
    return max(known) if known and len(known) == len(times) else None


class Erasures:
    """The stored erasures. Only the holder of the lease writes them, but for the first state of each."""

    def __init__(self, documents: Documents) -> None:
        self._documents = documents

    def find(self, erasure_id: str) -> Erasure | None:
        """An erasure, or None; raises JobStoreUnavailable."""
        stored = self._documents.read(_name(erasure_id))
        return None if stored is None else _decode(stored)

    def put(self, erasure: Erasure) -> None:
        """Writes an erasure; raises JobStoreUnavailable."""
        self._documents.write(_name(erasure.receipt.erasure_id), msgspec.json.encode(erasure))

    def open(self) -> list[str]:
        """The ids of those that are not complete; raises JobStoreUnavailable."""
        return msgspec.json.decode(self._documents.read(OPEN) or b"[]", type=list[str])

    def set_open(self, erasure_ids: Iterable[str]) -> None:
        """Writes the ids of those that are not complete; raises JobStoreUnavailable."""
        self._documents.write(OPEN, msgspec.json.encode(list(dict.fromkeys(erasure_ids))))


def _name(erasure_id: str) -> str:
    return f"erasures/by-id/{erasure_id}"


def _decode(stored: bytes) -> Erasure:
    try:
        return msgspec.json.decode(stored, type=Erasure)
    except msgspec.DecodeError as error:
        raise Undecodable(f"not a stored erasure: {error}") from error
