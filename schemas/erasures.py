"""Erasures: the notice of a ``forget``, and the receipt that says what has become of each place that held the person."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Final, Literal

import msgspec

from schemas.errors import Undecodable
from schemas.ports import Documents

PlaceState = Literal["pending", "done", "expires", "at_next_training", "kept", "failed"]
"""``pending``: not begun or not finished. ``done``: nothing of the person is there. ``expires``: the place removes its
records by age, the last of the person at ``at``. ``at_next_training``: the models learned from the person among others,
and the next training does not. ``kept``: copies out of reach, which whoever keeps them has to remove; ``detail`` names them.
``failed``: the last try failed; it is tried again."""

HINTS: Final = "erasures/hints"
"""The document that tells the online processes what to drop from their memory."""
MOST_HINTS: Final = 1_000
REBUILDS: Final = "erasures/rebuilds"
"""The document that lists when the log has removed the records of each erased person, in seconds since 1970. From then on
a rebuild of the signals leaves nothing of the person in the counters of a cluster."""
REBUILT: Final = "erasures/rebuilt"
"""The document that says when the last rebuild of the signals began, in seconds since 1970."""
BUCKETS: Final = 256
"""Number of buckets of user ids. A bucket says which cached lists to drop, and does not say whose they are."""


NO_BUCKET: Final = -1
"""The bucket of a hint that is about no user's rows."""


class ForgetNotice(msgspec.Struct, frozen=True, kw_only=True):
    """A worker has applied a ``forget``. ``links`` are the anonymous ids that the user's value named."""

    event_id: str
    subject: str
    """The key of the value that was emptied (``schemas.keys``)."""
    links: tuple[str, ...]
    log_id: str
    partition: int
    offset: int
    at: datetime


class ErasedPlace(msgspec.Struct, frozen=True, kw_only=True):
    """One place that holds data of people, and what has become of the person's."""

    place: str
    state: PlaceState
    at: datetime | None = None
    """When the state was reached; for ``expires`` and ``at_next_training`` when it is going to end, None if not known."""
    detail: str = ""


class ErasureReceipt(msgspec.Struct, frozen=True, kw_only=True):
    """What has become of one person's data. It names the person by a keyed hash only."""

    erasure_id: str
    person: str
    requested_at: datetime
    places: tuple[ErasedPlace, ...]
    complete_by: datetime | None = None
    """The last of the places' times; None if one of them is not known."""
    signature: str = ""
    """HMAC-SHA256 over the receipt with an empty signature, as JSON with sorted keys and no blanks."""


class ErasureHints(msgspec.Struct, frozen=True):
    """Numbered hints, the newest last, and the number of the next."""

    upcoming: int = 0
    hints: tuple[ErasureHint, ...] = ()


class ErasureHint(msgspec.Struct, frozen=True):
    """Rows of these users' bucket were removed from the model store; factors were removed from these versions."""

    number: int
    bucket: int
    versions: tuple[str, ...] = ()
    refolded: tuple[int, ...] = ()
    """Partitions whose aggregates were folded again at the fence where they stood, so that followers have to read all of them."""


_ENCODER: Final = msgspec.json.Encoder()
_NOTICE: Final = msgspec.json.Decoder(ForgetNotice)
_RECEIPT: Final = msgspec.json.Decoder(ErasureReceipt)
_TIMES: Final = msgspec.json.Decoder(list[float])
_HINTS: Final = msgspec.json.Decoder(ErasureHints)


def encode_notice(notice: ForgetNotice) -> bytes:
    """The notice as JSON."""
    return _ENCODER.encode(notice)


def decode_notice(value: bytes) -> ForgetNotice:
    """Reads a notice; raises Undecodable."""
    try:
        return _NOTICE.decode(value)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise Undecodable(f"not the notice of a forget: {error}") from error


def encode_receipt(receipt: ErasureReceipt) -> bytes:
    """The receipt as JSON, its keys sorted: the same receipt gives the same bytes."""
    return msgspec.json.encode(receipt, order="sorted")


def decode_receipt(value: bytes) -> ErasureReceipt:
    """Reads a receipt; raises Undecodable."""
    try:
        return _RECEIPT.decode(value)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise Undecodable(f"not the receipt of an erasure: {error}") from error


def encode_hints(hints: ErasureHints) -> bytes:
    """The hints as JSON."""
    return _ENCODER.encode(hints)


def decode_hints(value: bytes | None) -> ErasureHints:
    """Reads hints; None are no hints. Raises Undecodable."""
    try:
        return ErasureHints() if value is None else _HINTS.decode(value)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise Undecodable(f"not hints of erasures: {error}") from error


def decode_times(value: bytes | None) -> list[float]:
    """Reads the times of REBUILDS or REBUILT; None are none. Raises Undecodable."""
    try:
        return [] if value is None else _TIMES.decode(value)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise Undecodable(f"not times of rebuilds: {error}") from error


def encode_times(times: Iterable[float]) -> bytes:
    """Times as JSON, in order."""
    return _ENCODER.encode(sorted(times))


def rebuilds_due(documents: Documents, now: float) -> int:
    """The number of erased people for whose sake the signals are to be rebuilt now. Raises JobStoreUnavailable, Undecodable."""
    rebuilt = max(decode_times(documents.read(REBUILT)), default=0.0)
    return sum(rebuilt < due <= now for due in decode_times(documents.read(REBUILDS)))
