"""Bloom filters of two generations: what has long been forgotten by name is still known to have been.

Bloom, "Space/time trade-offs in hash coding with allowable errors", CACM 1970; two generations as in Yoon, "Aging
Bloom filter with two active buffers for dynamic sets", TKDE 2010. The newer one takes keys until half of its bits
are set (at FULL keys or so), then becomes the older one. So at least the last FULL keys are known, at most twice as
many, and a key that never was is taken for known with at most 2 * 2 ** -PROBES, 1.6 %.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final
from zlib import crc32

import msgspec

BITS: Final = 16_384
"""A generation has 2 KiB."""
MULTIPLIERS: Final = (0x9E3779B1, 0x85EBCA77, 0xC2B2AE3D, 0x27D4EB2F, 0x165667B1, 0xD3A2646D, 0xFD7046C5)
"""One probe each: the top bits of the hash times an odd number."""
SHIFT: Final = 32 - 14
FULL: Final = 1_620
"""Keys at which half of a generation's bits are set: BITS * ln 2 / PROBES."""


class Bloom(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """The newer and the older generation (bit b is bit ``b % 8`` of byte ``b // 8``; empty for none), and keys in the newer."""

    newer: bytes = b""
    older: bytes = b""
    count: int = 0


def hash_of(key: str) -> int:
    """The 32-bit hash that stands for a key."""
    return crc32(key.encode("utf-8", "surrogatepass"))


def add(bloom: Bloom, key: str) -> Bloom:
    """With this key; where the newer generation is full, it becomes the older one first."""
    if bloom.count >= FULL:
        bloom = Bloom(b"", bloom.newer)
    bits = bytearray(bloom.newer or BITS // 8)
    for at in _probes(key):
        bits[at >> 3] |= 1 << (at & 7)
    return Bloom(bytes(bits), bloom.older, bloom.count + 1)


def holds(bloom: Bloom, key: str) -> bool:
    """Whether the key was added, as far back as is known; sometimes, where it was not."""
    probes = _probes(key)
    return any(all(bits[at >> 3] >> (at & 7) & 1 for at in probes) for bits in (bloom.newer, bloom.older) if bits)


def union(blooms: Sequence[Bloom]) -> Bloom:
    """What any of them holds; for reading, as nothing says how many keys that is."""
    return Bloom(
        _either([each.newer for each in blooms if each.newer]), _either([each.older for each in blooms if each.older])
    )


def _probes(key: str) -> list[int]:
    hashed = hash_of(key)
    return [(hashed * multiplier & 0xFFFFFFFF) >> SHIFT for multiplier in MULTIPLIERS]


def _either(parts: Sequence[bytes]) -> bytes:
    joined = 0
    for part in parts:
        joined |= int.from_bytes(part, "little")
    return joined.to_bytes(BITS // 8, "little") if parts else b""
