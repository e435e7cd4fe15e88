"""The port through which the page uses the online layer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import NamedTuple, Protocol

from schemas.answers import Answer
from schemas.catalogue import Item


class Visitor(NamedTuple):
    """A shopper's actions that the page shows: ids of liked items (newest first), and of items not to be shown."""

    liked: tuple[str, ...] = ()
    unwanted: frozenset[str] = frozenset()
    verbs: Mapping[str, str] = MappingProxyType({})
    """The shopper's verb for each item: liked, bought, looked at."""
    active: bool = False
    """True if the signals know the shopper."""


class Shop(Protocol):
    """The online layer as the page uses it. No method raises for an unknown shopper or an unavailable store."""

    async def recommendations(self, user_id: str, count: int, after: str | None) -> Answer:
        """The personal list. Waits within its deadline for ``after``; raises ProblemError (400) if that is no token."""

    async def trending(self, count: int) -> Answer:
        """The trending items."""

    async def latest(self, count: int) -> Answer:
        """The newest items."""

    async def similar(self, item_id: str, user_id: str, count: int) -> Answer:
        """The items similar to an item; raises ProblemError if the item is unknown."""

    async def visitor(self, user_id: str) -> Visitor:
        """The shopper's recent actions; an empty Visitor if the signals cannot be read."""

    def search(self, query: str, count: int) -> Sequence[Item]:
        """Items that match, best first, as ``GET /v1/items?query=`` finds them."""

    def item(self, item_id: str) -> Item | None:
        """An item's current view; None if it has no data or is hidden."""

    def is_empty(self) -> bool:
        """True if the catalogue holds no item that may be shown."""

    def shoppers(self) -> Sequence[str]:
        """Some shoppers with a history, as examples to try."""
