"""One visit to the shop: searches, clicks, verdicts and purchases."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from ingest.simulator.game_features import Floats, game_features
from ingest.simulator.market import Market
from ingest.simulator.shoppers import Shopper, affinities

PULL_OF_TASTE = 1.15
PULL_OF_QUERY = 4.0
PUT_OFF_BY_SEEN = -1.0
PUT_OFF_BY_OWNED = -6.0
MEAN_LOOKS = 4.0
MOST_LOOKS = 20
SEARCH_FIRST, SEARCH_LATER = 0.4, 0.1
QUERY_KINDS = (0.25, 0.40, 0.12, 0.23)
"""Shares of searches by genre, by tag, by developer, by title."""
VIEW_AFTER_CLICK = 0.75
BUY_FROM_CART = 0.45


class Step(NamedTuple):
    """One action, `wait` seconds after the previous one."""

    wait: float
    type: str
    page: str
    item: int | None = None
    """An index of the catalogue."""
    query: str | None = None


@dataclass
class VisitingShopper:
    """A shopper, and how much less each known game appeals to them."""

    shopper: Shopper
    memory: Floats = field(default_factory=lambda: np.zeros(len(game_features().items)))
    """Change of each game's appeal after the shopper has seen or bought it, in logits."""

    def saw(self, item: int) -> None:
        """Lowers the appeal of a seen game a little."""
        self.memory[item] = min(self.memory[item], PUT_OFF_BY_SEEN)

    def bought(self, item: int) -> None:
        """Lowers the appeal of an owned game almost to nothing."""
        self.memory[item] = PUT_OFF_BY_OWNED


def visit(visitor: VisitingShopper, market: Market, day: int, rng: np.random.Generator) -> Iterator[Step]:
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
            scores = scores + PULL_OF_QUERY * game_features().matches[query]
        item = _choose(scores, rng)
        yield Step(_pause(rng, 15.0), "click", _listing(look, query), item)
        yield from _look(visitor, item, float(liking[item]), rng)


def _appeal(shopper: Shopper, liking: Floats, day: Floats) -> Floats:
    """The appeal of each game to this shopper at the start of a visit."""
    return PULL_OF_TASTE * liking + day - shopper.price_sensitivity * game_features().log_price


def _search_rate(look: int) -> float:
    return SEARCH_LATER if look else SEARCH_FIRST


def _choose(scores: Floats, rng: np.random.Generator) -> int:
    """Draws an index from the softmax of `scores`, by the Gumbel trick."""
    return int(np.argmax(scores + rng.gumbel(size=len(scores))))


def _query(scores: Floats, rng: np.random.Generator) -> str:
    """A query for a game that the shopper would like to find."""
    queries = game_features().queries[_choose(scores, rng)]
    words = queries[int(np.searchsorted(np.cumsum(QUERY_KINDS), rng.random() * sum(QUERY_KINDS)))]
    return words[int(rng.integers(len(words)))]


def _listing(look: int, query: str | None) -> str:
    """The page whose list the shopper clicked. An item's page lists similar games."""
    if query is not None:
        return "search"
    return "item" if look else "home"


def _look(visitor: VisitingShopper, item: int, liking: float, rng: np.random.Generator) -> Iterator[Step]:
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


def _checkout(visitor: VisitingShopper, item: int, liking: float, rng: np.random.Generator) -> Iterator[Step]:
    wish = 1.0 * liking - 2.0 * visitor.shopper.price_sensitivity * game_features().log_price[item]
    if visitor.memory[item] == PUT_OFF_BY_OWNED or rng.random() > 0.3 / (1.0 + np.exp(2.5 - wish)):
        return
    yield Step(_pause(rng, 25.0), "cart", "item", item)
    if rng.random() < BUY_FROM_CART:
        visitor.bought(item)
        yield Step(_pause(rng, 60.0), "purchase", "cart", item)


def _pause(rng: np.random.Generator, mean: float) -> float:
    """Seconds, at least a quarter of one."""
    return 0.25 + float(rng.exponential(mean))
