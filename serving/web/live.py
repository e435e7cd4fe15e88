"""The page's shop over the online service."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from schemas.answers import Answer
from schemas.catalogue import Item
from schemas.values.rating_scale import DEFAULT_SCALE, RatingScale
from serving.http.parsing import token
from serving.service.service import ServingService
from serving.web.shop import Visitor
from signals.event_weights import EXPLICIT_FEEDBACK_TYPES, interaction_weight
from signals.users import Entry

SUGGESTED: Final = 6
_VERBS: Final = {"like": "liked", "purchase": "bought", "bookmark": "saved", "cart": "picked", "share": "shared"}
_LOOKED: Final = "looked at"
_RATED_WELL: Final = 1.5
"""Weight of a rating from which the page says "liked": four stars of five."""


class ServiceShop:
    """Implements Shop over a ServingService of the same process and event loop."""

    def __init__(self, service: ServingService) -> None:
        self._service = service

    async def recommendations(self, user_id: str, count: int, after: str | None) -> Answer:
        """As ``GET /v1/users/{user_id}/recommendations``; raises ProblemError."""
        request = self._service.request(user_id=user_id, count=count)
        return await self._service.recommend(request, token(after, self._service.partitions))

    async def trending(self, count: int) -> Answer:
        """As ``GET /v1/trending``."""
        return await self._service.item_list("trending", self._service.request(count=count))

    async def latest(self, count: int) -> Answer:
        """As ``GET /v1/latest``."""
        return await self._service.item_list("latest", self._service.request(count=count))

    async def similar(self, item_id: str, user_id: str, count: int) -> Answer:
        """As ``GET /v1/items/{item_id}/similar``; raises ProblemError."""
        request = self._service.request(item_id=item_id, user_id=user_id, count=count)
        return await self._service.near_item("similar", request)

    async def visitor(self, user_id: str) -> Visitor:
        """The shopper's recent actions; an empty Visitor if the signals cannot be read."""
        user_state = await self._service.user_state(user_id)
        config, active = self._service.config, user_state.offset is not None
        return visitor_of(user_state.value.recent, config.weights, config.rating_scale, active=active)

    def search(self, query: str, count: int) -> Sequence[Item]:
        """As ``GET /v1/items?query=``."""
        page = self._service.items(query, 0, count)
        items = (self.item(row["item_id"]) for row in page.items)
        return [item for item in items if item is not None]

    def item(self, item_id: str) -> Item | None:
        """The item in the catalogue; its id alone if it is known from events only. None if it is unknown or hidden."""
        catalogue = self._service.state.catalogue
        position = catalogue.position(item_id)
        if position is None or not catalogue.column("listed")[position]:
            return None
        return catalogue.item(position) or Item(item_id=item_id)

    def is_empty(self) -> bool:
        """True if the catalogue holds no item that may be shown."""
        return not self._service.state.catalogue.column("listed").any()

    def shoppers(self) -> Sequence[str]:
        """A few users on whom the active model was trained, at even distances."""
        als = self._service.state.models.als
        user_ids = als.user_ids if als else ()
        return user_ids[:: max(1, len(user_ids) // SUGGESTED)][:SUGGESTED]


def visitor_of(
    recent: Iterable[Entry], weights: Mapping[str, float], scale: RatingScale = DEFAULT_SCALE, *, active: bool
) -> Visitor:
    """Summarizes a history (newest last). The newest verdict on an item counts; its weightiest event gives the verb."""
    verdicts: dict[str, str] = {}
    weighted_verbs: dict[str, tuple[float, str]] = {}
    for entry in recent:
        value = interaction_weight(entry, weights, scale)
        weighted_verbs[entry.item] = max(weighted_verbs.get(entry.item, (value, "")), (value, _verb(entry, value)))
        if entry.type in EXPLICIT_FEEDBACK_TYPES:
            verdicts.pop(entry.item, None)
            verdicts[entry.item] = entry.type
    return Visitor(
        liked=tuple(item for item, verdict in reversed(verdicts.items()) if verdict == "like"),
        unwanted=frozenset(item for item, verdict in verdicts.items() if verdict in {"dislike", "dismiss"}),
        verbs={item: verb for item, (_, verb) in weighted_verbs.items()},
        active=active,
    )


def _verb(entry: Entry, value: float) -> str:
    if entry.type == "rating":
        return "liked" if value >= _RATED_WELL else "rated"
    return _VERBS.get(entry.type, _LOOKED)
