"""Bloom filters of two generations. They remember keys that are no longer kept by name.

Bloom, "Space/time trade-offs in hash coding with allowable errors", CACM 1970; two generations as in Yoon, "Aging
Bloom filter with two active buffers for dynamic sets", TKDE 2010. The newer generation takes keys until half of its
bits are set, after about FULL keys. Then it becomes the older one. So the filter knows at least the last FULL keys, and
at most twice as many. It takes an unknown key for a known one with a probability of at most 2 * 2 ** -7, or 1.6 %.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final
from zlib import crc32

import msgspec

BITS: Final = 16_384
"""Bits of one generation: 2 KiB."""
MULTIPLIERS: Final = (0x9E3779B1, 0x85EBCA77, 0xC2B2AE3D, 0x27D4EB2F, 0x165667B1, 0xD3A2646D, 0xFD7046C5)
"""Each gives one probe: the top bits of the hash times this odd number."""
SHIFT: Final = 32 - 14
FULL: Final = 1_620
"""Number of keys at which half of a generation's bits are set: BITS * ln 2 / 7 probes."""


class Bloom(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """The newer and the older generation, and the number of keys in the newer one.

    Bit b of a generation is bit ``b % 8`` of byte ``b // 8``. A generation without keys is empty.
    """

    newer: bytes = b""
    older: bytes = b""
    count: int = 0


def hash_of(key: str) -> int:
    """Returns the 32-bit hash of a key."""
    return crc32(key.encode("utf-8", "surrogatepass"))


def add(bloom: Bloom, key: str) -> Bloom:
    """Returns the filter with this key. A full newer generation becomes the older one first."""
    if bloom.count >= FULL:
        bloom = Bloom(b"", bloom.newer)
    bits = bytearray(bloom.newer or BITS // 8)
    for probe in _probes(key):
        bits[probe >> 3] |= 1 << (probe & 7)
    return Bloom(bytes(bits), bloom.older, bloom.count + 1)


def holds(bloom: Bloom, key: str) -> bool:
    """True if the key is among those that the filter knows; rarely true if it was never added."""
    probes = _probes(key)
    return any(
        all(bits[probe >> 3] >> (probe & 7) & 1 for probe in probes) for bits in (bloom.newer, bloom.older) if bits
    )


def union(blooms: Sequence[Bloom]) -> Bloom:
    """Returns a filter that knows the keys of all these filters. It is for reading only: its number of keys is unknown."""
    return Bloom(
        _either([bloom.newer for bloom in blooms if bloom.newer]),
        _either([bloom.older for bloom in blooms if bloom.older]),
    )


def _probes(key: str) -> list[int]:
    hashed = hash_of(key)
    return [(hashed * multiplier & 0xFFFFFFFF) >> SHIFT for multiplier in MULTIPLIERS]


def _either(parts: Sequence[bytes]) -> bytes:
    joined = 0
    for part in parts:
        joined |= int.from_bytes(part, "little")
    return joined.to_bytes(BITS // 8, "little") if parts else b""
