"""One visit to the shop: what is searched, looked at, liked and bought."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from ingest.simulator.market import Market
from ingest.simulator.shelf import Floats, shelf
from ingest.simulator.shoppers import Shopper, affinities

PULL_OF_TASTE = 1.15
PULL_OF_QUERY = 4.0
PUT_OFF_BY_SEEN = -1.0
PUT_OFF_BY_OWNED = -6.0
MEAN_LOOKS = 4.0
MOST_LOOKS = 20
SEARCH_FIRST, SEARCH_LATER = 0.4, 0.1
QUERY_KINDS = (0.25, 0.40, 0.12, 0.23)
"""How often one searches by genre, by tag, by developer, by title."""
VIEW_AFTER_CLICK = 0.75
BUY_FROM_CART = 0.45


class Step(NamedTuple):
    """One thing done, `wait` seconds after the one before."""

    wait: float
    type: str
    page: str
    item: int | None = None
    """An index of the catalogue."""
    query: str | None = None


@dataclass
class Visitor:
    """A shopper with what they remember of the shop."""

    shopper: Shopper
    memory: Floats = field(default_factory=lambda: np.zeros(len(shelf().items)))
    """Appeal that each game has lost by being known or owned, in logits."""

    def saw(self, item: int) -> None:
        """Known games draw a little less."""
        self.memory[item] = min(self.memory[item], PUT_OFF_BY_SEEN)

    def bought(self, item: int) -> None:
        """Owned games draw hardly at all."""
        self.memory[item] = PUT_OFF_BY_OWNED


def visit(visitor: Visitor, market: Market, day: int, rng: np.random.Generator) -> Iterator[Step]:
    """The steps of one visit on `day` of the market."""
    liking = affinities(visitor.shopper, day / max(1, len(market.by_day) - 1))
    appeal = _appeal(visitor.shopper, liking, market.by_day[day])
    item: int | None = None
    for look in range(min(MOST_LOOKS, int(rng.geometric(1.0 / MEAN_LOOKS)))):
        scores = appeal + visitor.memory
        if item is not None:
            scores = scores + market.pull[item]
        query = _query(scores, rng) if rng.random() < _search_rate(look) else None
        if query is not None:
            yield Step(_pause(rng, 8.0), "search", "search", query=query)
            scores = scores + PULL_OF_QUERY * shelf().matches[query]
        item = _choose(scores, rng)
        yield Step(_pause(rng, 15.0), "click", _listing(look, query), item)
        yield from _look(visitor, item, float(liking[item]), rng)


def _appeal(shopper: Shopper, liking: Floats, day: Floats) -> Floats:
    """What draws this shopper today, before anything has been looked at."""
    return PULL_OF_TASTE * liking + day - shopper.price_sensitivity * shelf().log_price


def _search_rate(look: int) -> float:
    return SEARCH_LATER if look else SEARCH_FIRST


def _choose(scores: Floats, rng: np.random.Generator) -> int:
    """A draw from the softmax of `scores`, by the Gumbel trick."""
    return int(np.argmax(scores + rng.gumbel(size=len(scores))))


def _query(scores: Floats, rng: np.random.Generator) -> str:
    """Words for some game that one would like to find."""
    wanted = shelf().queries[_choose(scores, rng)]
    words = wanted[int(np.searchsorted(np.cumsum(QUERY_KINDS), rng.random() * sum(QUERY_KINDS)))]
    return words[int(rng.integers(len(words)))]


def _listing(look: int, query: str | None) -> str:
    """The page whose list was clicked; an item's page lists games like it."""
    if query is not None:
        return "search"
    return "item" if look else "home"


def _look(visitor: Visitor, item: int, liking: float, rng: np.random.Generator) -> Iterator[Step]:
    visitor.saw(item)
    if rng.random() < VIEW_AFTER_CLICK:
        yield Step(_pause(rng, 1.5), "view", "item", item)
    verdict = _verdict(liking, rng.random())
    if verdict is not None:
        yield Step(_pause(rng, 20.0), verdict, "item", item)
    yield from _checkout(visitor, item, liking, rng)


def _verdict(liking: float, chance: float) -> str | None:
    if chance < 0.35 / (1.0 + np.exp(2.0 - 1.3 * liking)):
        return "like"
    return "dislike" if chance > 1.0 - 0.06 / (1.0 + np.exp(1.0 + 2.0 * liking)) else None


def _checkout(visitor: Visitor, item: int, liking: float, rng: np.random.Generator) -> Iterator[Step]:
    wish = 1.0 * liking - 2.0 * visitor.shopper.price_sensitivity * shelf().log_price[item]
    if visitor.memory[item] == PUT_OFF_BY_OWNED or rng.random() > 0.3 / (1.0 + np.exp(2.5 - wish)):
        return
    yield Step(_pause(rng, 25.0), "cart", "item", item)
    if rng.random() < BUY_FROM_CART:
        visitor.bought(item)
        yield Step(_pause(rng, 60.0), "purchase", "cart", item)


def _pause(rng: np.random.Generator, mean: float) -> float:
    """Seconds, at least a quarter of one."""
    return 0.25 + float(rng.exponential(mean))
