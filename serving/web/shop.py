"""What the page asks of the online layer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import NamedTuple, Protocol

from schemas.answers import Answer
from schemas.catalogue import Item


class Visitor(NamedTuple):
    """What a shopper did that the page shows: item ids now liked (newest first), and those not to be shown."""

    liked: tuple[str, ...] = ()
    unwanted: frozenset[str] = frozenset()
    deeds: Mapping[str, str] = MappingProxyType({})
    """What the shopper did to an item, as a verb: liked, bought, looked at."""
    active: bool = False
    """Whether anything at all is known of the shopper."""


class Shop(Protocol):
    """The online layer as the page sees it. Nothing here raises for an unknown shopper or for want of a store."""

    async def recommendations(self, user_id: str, count: int, after: str | None) -> Answer:
        """The shopper's own shelf; waits within its deadline for ``after``. Raises ProblemError (400) where it is no token."""

    async def trending(self, count: int) -> Answer:
        """What is rising now."""

    async def latest(self, count: int) -> Answer:
        """What is new."""

    async def similar(self, item_id: str, user_id: str, count: int) -> Answer:
        """What is like an item; raises ProblemError where nobody ever heard of it."""

    async def visitor(self, user_id: str) -> Visitor:
        """What the shopper did; nothing where the signals cannot be read."""

    def search(self, query: str, count: int) -> Sequence[Item]:
        """Items that match, best first, as ``GET /v1/items?query=`` finds them."""

    def item(self, item_id: str) -> Item | None:
        """An item's current view; None for an item without data, and for a hidden one."""

    def is_empty(self) -> bool:
        """Whether the catalogue holds nothing."""

    def shoppers(self) -> Sequence[str]:
        """Some shoppers with a history, to try the page as."""
