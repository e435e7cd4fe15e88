"""The shop that the page shows is the catalogue of the service."""

from __future__ import annotations

from schemas.catalogue import Item
from serving.web.live import ServiceShop


async def test_an_item_that_is_known_by_its_id_alone_can_be_opened(shop):
    async with shop.running() as service:
        service.state.catalogue.ensure("from-events")
        assert ServiceShop(service).item("from-events") == Item(item_id="from-events")


async def test_an_item_that_is_hidden_deleted_or_unknown_cannot_be_opened(shop):
    async with shop.running() as service:
        service.state.catalogue.put(Item(item_id="hidden", hidden=True))
        service.state.catalogue.put(Item(item_id="deleted", deleted=True))
        assert [ServiceShop(service).item(item_id) for item_id in ("hidden", "deleted", "unknown")] == [None] * 3
