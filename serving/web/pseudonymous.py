"""The page's shop on a site with a pepper: shoppers are known by their pseudonyms."""

from __future__ import annotations

from collections.abc import Sequence

from schemas.answers import Answer
from schemas.values.pseudonyms import Pseudonyms
from serving.service.service import ServingService
from serving.web.live import ServiceShop
from serving.web.shop import Visitor


class PseudonymousShop(ServiceShop):
    """A ServiceShop that takes the shoppers' own names."""

    def __init__(self, service: ServingService, pseudonyms: Pseudonyms) -> None:
        super().__init__(service)
        self._pseudonyms = pseudonyms

    async def recommendations(self, user_id: str, count: int, after: str | None) -> Answer:
        """See Shop."""
        return await super().recommendations(self._pseudonyms.of(user_id), count, after)

    async def similar(self, item_id: str, user_id: str, count: int) -> Answer:
        """See Shop."""
        return await super().similar(item_id, self._pseudonyms.of(user_id), count)

    async def visitor(self, user_id: str) -> Visitor:
        """See Shop."""
        return await super().visitor(self._pseudonyms.of(user_id))

    def shoppers(self) -> Sequence[str]:
        """Nobody: a pseudonym is no name to come back by."""
        return ()
