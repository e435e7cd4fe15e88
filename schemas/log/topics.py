"""Topic names and the partition of a key."""

from __future__ import annotations

from functools import lru_cache
from typing import Final

EVENTS: Final = "events"
ITEMS: Final = "items"
USERS: Final = "users"
DEADLETTERS: Final = "deadletters"
MODELS: Final = "models"
ANSWERS: Final = "answers"
ACCESS: Final = "access"
"""Keys with their scopes: who may call the HTTP APIs. Only ``ingest`` writes it, and every HTTP process follows it."""
AUDIT: Final = "audit"
"""Who changed what: a record for each change by a person, a key or a command. Whoever makes the change writes it."""
KEY_USES: Final = "key-uses"
"""When keys were last used, to the hour. Whoever checks a key writes it."""
ERASURES: Final = "erasures"
"""Notices that a ``forget`` was applied. The workers write it, and the erasure follows it."""

FACTS: Final = (EVENTS, ITEMS, USERS)
"""Topics that only the collector writes and nearline folds. All other data is derived from them."""

ALL: Final = (*FACTS, DEADLETTERS, MODELS, ANSWERS, ACCESS, AUDIT, KEY_USES, ERASURES)

DEFAULT_PARTITIONS: Final = 8
"""Default number of partitions. It is fixed for the life of a log; a change needs a replay into a new log."""

_M: Final = 0x5BD1E995
_MASK: Final = 0xFFFFFFFF


def topic_name(topic: str, prefix: str = "freshet.") -> str:
    """The name of a topic on Kafka. Sites on one cluster have different prefixes."""
    return f"{prefix}{topic}"


def murmur2(data: bytes) -> int:
    """Kafka's 32-bit murmur2, unsigned (org.apache.kafka.common.utils.Utils.murmur2)."""
    h = 0x9747B28C ^ len(data)
    aligned_length = len(data) & ~3
    for i in range(0, aligned_length, 4):
        k = int.from_bytes(data[i : i + 4], "little") * _M & _MASK
        k = (k ^ (k >> 24)) * _M & _MASK
        h = (h * _M & _MASK) ^ k
    if tail := data[aligned_length:]:
        h = (h ^ int.from_bytes(tail, "little")) * _M & _MASK
    h = (h ^ (h >> 13)) * _M & _MASK
    return h ^ (h >> 15)


@lru_cache(maxsize=65_536)
def partition_of(key: bytes, partitions: int = DEFAULT_PARTITIONS) -> int:
    """The partition that Kafka's Java client would choose for this key, so that all producers choose the same."""
    return (murmur2(key) & 0x7FFFFFFF) % partitions
