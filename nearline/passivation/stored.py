"""The stored buckets of passivated guests, for those who compare the stored values with a fold of the log."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

from schemas.errors import UNREADABLE, ValueCorrupt
from schemas.keys import Signal
from schemas.ports import SignalStore
from schemas.values.passivated import ALL_BUCKETS, Bucket, bucket_key, checksum_of, decode_bucket, encode_bucket
from signals import user_codec

Buckets = Mapping[str, Bucket]
"""Buckets by their keys."""


class StoredGuests(NamedTuple):
    """The buckets of a partition before and after its values were read. A guest may leave or return meanwhile."""

    before: Buckets
    after: Buckets

    @property
    def number(self) -> int:
        """Number of passivated guests."""
        return sum(map(len, self.after.values()))

    def holds(self, key: str, value: bytes | None) -> bool:
        """True if this value is the one that was let go of a passivated guest."""
        return value is not None and any(_holds(buckets, key, value) for buckets in (self.before, self.after))

    def split(self, values: Mapping[str, bytes]) -> dict[str, bytes]:
        """Returns what to store of these values: all but those that were let go, and the buckets of those."""
        let_go = {key for key, value in values.items() if _holds(self.after, key, value)}
        checksums: dict[str, dict[str, bytes]] = {}
        for key in let_go:
            checksums.setdefault(bucket_key(key), {})[key] = checksum_of_stored(values[key])
        buckets = {name: Bucket().added(guests, self.after[name].before) for name, guests in checksums.items()}
        encoded = {name: data for name, bucket in buckets.items() if (data := encode_bucket(bucket)) is not None}
        return {key: value for key, value in values.items() if key not in let_go} | encoded


NO_GUESTS: Final = StoredGuests({}, {})


def read_buckets(store: SignalStore, partition: int, signal: str) -> Buckets:
    """Returns the buckets that a signal has. Raises StoreUnavailable, ValueCorrupt."""
    return decode_buckets(partition, store.load(partition, signal, ALL_BUCKETS)) if signal == Signal.USERS else {}


def decode_buckets(partition: int, stored: Sequence[bytes | None]) -> dict[str, Bucket]:
    """Returns the buckets by their keys; ``stored`` has the bytes of ALL_BUCKETS. Raises ValueCorrupt."""
    buckets: dict[str, Bucket] = {}
    for name, data in zip(ALL_BUCKETS, stored, strict=True):
        try:
            buckets[name] = decode_bucket(data)
        except UNREADABLE as error:
            raise ValueCorrupt(partition, Signal.USERS, [name], error) from error
    return buckets


def checksum_of_stored(value: bytes) -> bytes:
    """Returns the checksum of a value, which does not depend on the form that the store keeps. Raises UNREADABLE."""
    return checksum_of(user_codec.encode(user_codec.decode(value)))


def _holds(buckets: Buckets, key: str, value: bytes) -> bool:
    bucket = buckets.get(bucket_key(key))
    return bucket is not None and bucket.checksum(key) == checksum_of_stored(value)
