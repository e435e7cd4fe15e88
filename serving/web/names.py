"""Names for invented shoppers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

_MANNERS: Final = (
    "amber",
    "bold",
    "brisk",
    "calm",
    "clever",
    "curious",
    "early",
    "gentle",
    "keen",
    "lucky",
    "merry",
    "nimble",
    "quiet",
    "silver",
    "sunny",
    "swift",
)
_CREATURES: Final = (
    "badger",
    "crane",
    "dolphin",
    "falcon",
    "finch",
    "fox",
    "hare",
    "heron",
    "lynx",
    "marten",
    "otter",
    "owl",
    "robin",
    "seal",
    "sparrow",
    "wren",
)


def invented(chance: Callable[[int], int]) -> str:
    """A name such as ``quiet-otter-4127``; ``chance(n)`` returns a number from 0 to n - 1."""
    manner, creature = _MANNERS[chance(len(_MANNERS))], _CREATURES[chance(len(_CREATURES))]
    return f"{manner}-{creature}-{1000 + chance(9000)}"
