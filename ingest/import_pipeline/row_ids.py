"""Gives events of a file an id made of their content, so that a row counts once whichever file it comes in.

The content is what the event says: its type, ids, value, time and so on. Neither the file's name, nor the line, nor the
order of columns belongs to it. The ordinal distinguishes equal rows of one import.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from hashlib import blake2b
from typing import Any, Final

import msgspec
import numpy as np
import numpy.typing as npt

from ingest.import_pipeline.hash_set import Hashes, HashSet

_DIGEST: Final = np.dtype([("hash", "<u8"), ("rest", "V4")])
_STEP: Final = np.uint64(0x9E3779B97F4A7C15)
"""Distance between the hashes of equal rows: the golden ratio of 2**64, so that they meet no other row's by design."""
_EMPTY: Final = blake2b(digest_size=_DIGEST.itemsize)
_encode = msgspec.msgpack.Encoder(order="sorted").encode


class RowIds:
    """Gives the events of one import their ids. Counts equal rows of all its files, in 8 bytes for each row."""

    def __init__(self) -> None:
        self._seen = HashSet()
        self._counts: dict[int, int] = {}
        """By hash, how often a row came that came more than once."""

    def assign(self, events: Sequence[dict[str, Any]]) -> Hashes:
        """Sets the ``event_id`` of events that have none. Returns a hash for each id: equal ids have equal hashes."""
        digests = [_digest(event) for event in events]
        hashes: Hashes = np.frombuffer(b"".join(digests), dtype=_DIGEST)["hash"]
        unnamed = np.array(["event_id" not in event for event in events], bool)
        ordinals = np.zeros(len(events), np.uint64)
        ordinals[unnamed] = self._ordinals(hashes[unnamed])
        for event, digest, ordinal in zip(events, digests, ordinals.tolist(), strict=True):
            if "event_id" not in event:
                event["event_id"] = f"row-{digest.hex()}-{ordinal}" if ordinal else f"row-{digest.hex()}"
        distinct: Hashes = hashes + ordinals * _STEP
        return distinct

    def _ordinals(self, hashes: Hashes) -> npt.NDArray[np.uint64]:
        """For each row the number of equal rows before it."""
        distinct, first, sizes = np.unique(hashes, return_index=True, return_counts=True)
        known = self._seen.contains(distinct)
        ordinals = np.zeros(len(hashes), np.uint64)
        if known.any() or len(distinct) < len(hashes):
            repeated = np.isin(hashes, distinct[known | (sizes > 1)])
            seen = set(distinct[known].tolist())
            for place in np.flatnonzero(repeated).tolist():
                ordinals[place] = self._next_ordinal(int(hashes[place]), seen)
        self._seen.add(hashes[first[~known]])
        return ordinals

    def _next_ordinal(self, key: int, seen: set[int]) -> int:
        ordinal = self._counts.get(key, int(key in seen))
        self._counts[key] = ordinal + 1
        return ordinal


def _digest(event: Mapping[str, Any]) -> bytes:
    """The hash of an event's id; that of its content if it has no id."""
    said = event.get("event_id", event)
    try:
        content = _encode(said)
    except (TypeError, ValueError, OverflowError, RecursionError):
        # Validation will refuse what is no text, number, list or object; until then it needs an id of its own.
        content = repr(said).encode("utf-8", "surrogatepass")
    # A copy is made faster than a new one.
    hashed = _EMPTY.copy()
    hashed.update(content)
    return hashed.digest()
