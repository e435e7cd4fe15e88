"""The shelves of the page: what each shows, and what it says when it has little to show."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Final

from schemas.answers import Answer, AnswerItem
from schemas.catalogue import Item
from serving.web.cards import Card, Shelf, card_of
from serving.web.shop import Shop, Visitor
from serving.web.words import calmly, matches, why

FOR_YOU: Final = 12
RAIL: Final = 16
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

    def card(self, item: Item, reason: str = "") -> Card:
        """One item's card, as this shopper sees it."""
        return card_of(item, self._user, self._currency, why=reason, liked=item.item_id in self._liked)

    def results(self) -> Shelf:
        """What the search finds."""
        found = self._shop.search(self._query, RESULTS)
        cards = [self.card(item, matches(self._query)) for item in found if item.item_id not in self._visitor.unwanted]
        nothing = "Nothing matches. Try a genre, a tag or a part of a title."
        return Shelf("results", f"Results for “{self._query}”", "grid", cards, "" if cards else nothing)

    def for_you(self, answer: Answer) -> Shelf:
        """The personal shelf."""
        shelf = self._shelf("for-you", "For you", "grid", answer)
        return shelf._replace(sentence=self._sentence(shelf), notes=self._notes(answer, shelf))

    def liked(self) -> Shelf:
        """The items that the shopper likes, newest first, so that a like can be undone."""
        known = (self._shop.item(item_id) or Item(item_id=item_id) for item_id in self._visitor.liked[:RAIL])
        return Shelf("liked", "You like", "rail", [self.card(item) for item in known])

    def rail(self, key: str, title: str, answer: Answer) -> Shelf:
        """A shelf that is the same for everyone, without what this shopper does not want."""
        return self._shelf(key, title, "rail", answer)._replace(notes=calmly(answer.degraded))

    def _shelf(self, key: str, title: str, shape: str, answer: Answer) -> Shelf:
        wanted = (each for each in answer.items if each.item_id not in self._visitor.unwanted)
        cards = self._cards(wanted)
        return Shelf(
            key, title, shape, cards, recommendation_id=answer.recommendation_id, signals_offset=answer.signals_offset
        )

    def _cards(self, items: Iterable[AnswerItem]) -> list[Card]:
        return [
            self.card(
                self._shop.item(each.item_id) or Item(item_id=each.item_id),
                why(each.reasons, self._visitor.deeds, self._title, self._query),
            )
            for each in items
        ]

    def _title(self, item_id: str) -> str | None:
        item = self._shop.item(item_id)
        return None if item is None else item.title or item_id

    def _sentence(self, shelf: Shelf) -> str:
        if not shelf.cards:
            return _EMPTY_SHOP if self._shop.is_empty() else _ALL_SEEN
        return _KNOWN_SHOPPER if self._visitor.active else _NEW_SHOPPER

    def _notes(self, answer: Answer, shelf: Shelf) -> list[str]:
        no_model = [_NO_MODEL] if shelf.cards and answer.model_version is None else []
        return no_model + calmly(answer.degraded)


async def shelves_for(
    shop: Shop, user: str, query: str, currency: str, after: str | None = None, *, everyone: bool = True
) -> dict[str, list[Shelf]]:
    """The page's shelves by group: ``mine``, ``everyone`` (where asked for) and ``liked``; raises ProblemError.

    Shelves with nothing to show are left out, but for the personal one, which then says why.
    """
    # The personal answer waits for the event behind ``after``; what is read next has it as well.
    answer = await shop.recommendations(user, FOR_YOU, after)
    window = Window(shop, user, await shop.visitor(user), currency, query)
    groups = {"mine": [*([window.results()] if query else []), window.for_you(answer)]}
    if everyone:
        trending, latest = await asyncio.gather(shop.trending(RAIL), shop.latest(RAIL))
        groups["everyone"] = _filled(
            window.rail("trending", "Trending now", trending), window.rail("new", "New", latest)
        )
    return groups | {"liked": _filled(window.liked())}


def _filled(*shelves: Shelf) -> list[Shelf]:
    return [shelf for shelf in shelves if shelf.cards]


async def similar_to(shop: Shop, item: Item, user: str, currency: str) -> tuple[Card, Shelf]:
    """One item's card and the shelf of what is like it."""
    visitor, answer = await asyncio.gather(shop.visitor(user), shop.similar(item.item_id, user, SIMILAR))
    window = Window(shop, user, visitor, currency)
    shelf = window.rail("similar", f"More like {item.title or item.item_id}", answer)
    plain = [card._replace(why="") for card in shelf.cards]
    nothing = "Nothing like it is known yet; that takes a few more visits."
    return window.card(item), shelf._replace(cards=plain, sentence="" if plain else nothing)
