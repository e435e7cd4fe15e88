"""The page's lists of item cards (its shelves): their items, and their sentences when they have few."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Final

from schemas.answers import Answer, AnswerItem
from schemas.catalogue import Item
from serving.web.cards import CardList, ItemCard, card_of
from serving.web.shop import Shop, Visitor
from serving.web.words import calmly, matches, why

FOR_YOU: Final = 12
RAIL: Final = 16
"""Cards of a list that scrolls sideways."""
RESULTS: Final = 12
SIMILAR: Final = 10

_EMPTY_SHOP: Final = "There is nothing on the shelves yet. Add items with PUT /v1/items/{item_id} or with freshet import; they show up here within a second."
_NO_MODEL: Final = (
    "No model has been trained yet: until freshet train has run, this shelf follows what you and others do."
)
_NEW_SHOPPER: Final = "You are new here, so these are everyone's favourites. Like one and watch the shelf follow."
_KNOWN_SHOPPER: Final = "Follows what you do, as you do it."
_ALL_SEEN: Final = "You have seen everything that fits. Look around below, or search."


class Window:
    """The shop window of one shopper, for one rendering."""

    def __init__(self, shop: Shop, user: str, visitor: Visitor, currency: str, query: str = "") -> None:
        self._shop = shop
        self._user = user
        self._visitor = visitor
        self._liked = frozenset(visitor.liked)
        self._currency = currency
        self._query = query

    def card(self, item: Item, reason: str = "") -> ItemCard:
        """The card of an item for this shopper."""
        return card_of(item, self._user, self._currency, why=reason, liked=item.item_id in self._liked)

    def results(self) -> CardList:
        """The items that the search finds."""
        items = self._shop.search(self._query, RESULTS)
        cards = [self.card(item, matches(self._query)) for item in items if item.item_id not in self._visitor.unwanted]
        nothing = "Nothing matches. Try a genre, a tag or a part of a title."
        return CardList("results", f"Results for “{self._query}”", "grid", cards, "" if cards else nothing)

    def for_you(self, answer: Answer) -> CardList:
        """The personal list."""
        card_list = self._card_list("for-you", "For you", "grid", answer)
        return card_list._replace(sentence=self._sentence(card_list), notes=self._notes(answer, card_list))

    def liked(self) -> CardList:
        """The items that the shopper likes, newest first, so that a like can be undone."""
        items = (self._shop.item(item_id) or Item(item_id=item_id) for item_id in self._visitor.liked[:RAIL])
        return CardList("liked", "You like", "rail", [self.card(item) for item in items])

    def rail(self, key: str, title: str, answer: Answer) -> CardList:
        """A list that is the same for everyone, without the items that this shopper rejected."""
        return self._card_list(key, title, "rail", answer)._replace(notes=calmly(answer.degraded))

    def _card_list(self, key: str, title: str, shape: str, answer: Answer) -> CardList:
        items = (item for item in answer.items if item.item_id not in self._visitor.unwanted)
        cards = self._cards(items)
        return CardList(
            key, title, shape, cards, recommendation_id=answer.recommendation_id, signals_offset=answer.signals_offset
        )

    def _cards(self, items: Iterable[AnswerItem]) -> list[ItemCard]:
        return [
            self.card(
                self._shop.item(answer_item.item_id) or Item(item_id=answer_item.item_id),
                why(answer_item.reasons, self._visitor.verbs, self._title, self._query),
            )
            for answer_item in items
        ]

    def _title(self, item_id: str) -> str | None:
        item = self._shop.item(item_id)
        return None if item is None else item.title or item_id

    def _sentence(self, card_list: CardList) -> str:
        if not card_list.cards:
            return _EMPTY_SHOP if self._shop.is_empty() else _ALL_SEEN
        return _KNOWN_SHOPPER if self._visitor.active else _NEW_SHOPPER

    def _notes(self, answer: Answer, card_list: CardList) -> list[str]:
        no_model = [_NO_MODEL] if card_list.cards and answer.model_version is None else []
        return no_model + calmly(answer.degraded)


async def card_lists_for(
    shop: Shop, user: str, query: str, currency: str, after: str | None = None, *, everyone: bool = True
) -> dict[str, list[CardList]]:
    """The page's lists by group: ``mine``, ``everyone`` (if requested) and ``liked``; raises ProblemError.

    Empty lists are left out, except the personal one, which then says why it is empty.
    """
    # The personal answer waits for the event of ``after``. Later reads see that event as well.
    answer = await shop.recommendations(user, FOR_YOU, after)
    window = Window(shop, user, await shop.visitor(user), currency, query)
    groups = {"mine": [*([window.results()] if query else []), window.for_you(answer)]}
    if everyone:
        trending, latest = await asyncio.gather(shop.trending(RAIL), shop.latest(RAIL))
        groups["everyone"] = _not_empty(
            window.rail("trending", "Trending now", trending), window.rail("new", "New", latest)
        )
    return groups | {"liked": _not_empty(window.liked())}


def _not_empty(*card_lists: CardList) -> list[CardList]:
    return [card_list for card_list in card_lists if card_list.cards]


async def similar_to(shop: Shop, item: Item, user: str, currency: str) -> tuple[ItemCard, CardList]:
    """The card of an item, and the list of similar items."""
    visitor, answer = await asyncio.gather(shop.visitor(user), shop.similar(item.item_id, user, SIMILAR))
    window = Window(shop, user, visitor, currency)
    card_list = window.rail("similar", f"More like {item.title or item.item_id}", answer)
    cards = [card._replace(why="") for card in card_list.cards]
    nothing = "Nothing like it is known yet; that takes a few more visits."
    return window.card(item), card_list._replace(cards=cards, sentence="" if cards else nothing)
