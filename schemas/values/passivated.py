"""The passivated guests of one partition: those whose values were let go from the signal store, with 12 bytes for each.

They are stored in buckets among the values of ``users``, so that they are written, copied and restored together with them.
The key of a bucket is the key of no user. Of a guest, a bucket holds a hash of the key, and a checksum of the value.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping
from hashlib import blake2b
from typing import Final

import msgspec

from schemas.errors import UNREADABLE

BUCKETS: Final = 256
"""Buckets of a partition. A commit that lets a guest go, or takes one back, writes one of them anew."""
PREFIX: Final = "passivated:"
"""The keys of buckets begin with it."""
_HASH_BYTES: Final = 8
_CHECKSUM_BYTES: Final = 4
_ENTRY_BYTES: Final = _HASH_BYTES + _CHECKSUM_BYTES

ALL_BUCKETS: Final = tuple(f"{PREFIX}{number:02x}" for number in range(BUCKETS))
"""The key of every bucket."""


class Bucket(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """The passivated guests of one bucket."""

    before: int = 0
    """All records of these guests have a smaller offset."""
    entries: bytes = b""
    """The hash and the checksum of each guest, in ascending order."""

    def __len__(self) -> int:
        return len(self.entries) // _ENTRY_BYTES

    def checksum(self, key: str) -> bytes | None:
        """Returns the checksum of the value of a passivated guest; None if this guest is not passivated."""
        wanted = _hash(key)
        position = bisect_left(range(len(self)), wanted, key=lambda number: self._entry(number)[:_HASH_BYTES])
        entry = self._entry(position)
        return entry[_HASH_BYTES:] if entry.startswith(wanted) else None

    def added(self, checksums: Mapping[str, bytes], before: int) -> Bucket:
        """Returns the bucket with these guests: the key of each, and the checksum of its value."""
        entries = dict(self._entries()) | {_hash(key): checksum for key, checksum in checksums.items()}
        return Bucket(max(self.before, before), _packed(entries))

    def removed(self, keys: Iterable[str]) -> Bucket:
        """Returns the bucket without these guests."""
        hashes = {_hash(key) for key in keys}
        return Bucket(
            self.before, _packed({hashed: entry for hashed, entry in self._entries() if hashed not in hashes})
        )

    def _entry(self, number: int) -> bytes:
        return self.entries[number * _ENTRY_BYTES : (number + 1) * _ENTRY_BYTES]

    def _entries(self) -> Iterator[tuple[bytes, bytes]]:
        for number in range(len(self)):
            entry = self._entry(number)
            yield entry[:_HASH_BYTES], entry[_HASH_BYTES:]


_ENCODER: Final = msgspec.msgpack.Encoder()
_DECODER: Final = msgspec.msgpack.Decoder(Bucket)


def bucket_key(key: str) -> str:
    """Returns the key of the bucket that a guest belongs to."""
    return ALL_BUCKETS[_hash(key)[0]]


def is_bucket_key(key: str) -> bool:
    """True if this is the key of a bucket, and of no user."""
    return key.startswith(PREFIX)


def checksum_of(value: bytes) -> bytes:
    """Returns the checksum of the encoded value of a guest."""
    return blake2b(value, digest_size=_CHECKSUM_BYTES).digest()


def encode_bucket(bucket: Bucket) -> bytes | None:
    """Returns the bucket as bytes; None if it is empty, and is not stored."""
    return _ENCODER.encode(bucket) if bucket.entries else None


def decode_bucket(data: bytes | None) -> Bucket:
    """Returns the bucket that these bytes hold; None gives the empty one. Raises UNREADABLE of ``schemas.errors``."""
    if data is None:
        return Bucket()
    bucket = _DECODER.decode(data)
    if len(bucket.entries) % _ENTRY_BYTES:
        raise msgspec.ValidationError("the entries of a bucket of passivated guests are cut")
    return bucket


def is_held(key: str, value: bytes | None, bucket: bytes | None) -> bool:
    """True if the store holds the value of this key, or has let it go. ``bucket`` is the stored bucket of the key.

    Of a bucket that cannot be read, it is true: the values of its guests are being rebuilt.
    """
    try:
        return value is not None or decode_bucket(bucket).checksum(key) is not None
    except UNREADABLE:
        return True


def _hash(key: str) -> bytes:
    return blake2b(key.encode(), digest_size=_HASH_BYTES).digest()


def _packed(entries: Mapping[bytes, bytes]) -> bytes:
    return b"".join(hashed + entries[hashed] for hashed in sorted(entries))
