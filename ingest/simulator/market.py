"""Influences on all shoppers: fame, fashion, arrivals, and games that go together."""

from dataclasses import dataclass

import numpy as np

from ingest.simulator.catalogue import arrival_days
from ingest.simulator.game_features import Floats, game_features

FAME_SPREAD = 1.0
DAYS_A_WEEK = 7
TRENDING_A_WEEK = 4
TREND_PEAK = 1.8
"""Appeal that a trend adds on its best day, the fourth."""
ARRIVAL_APPEAL, ARRIVAL_HALF_LIFE_DAYS = 1.2, 10.0
PULL_OF_SIMILARITY = 5.0
PULL_OF_COMPANIONS = 1.8
COMPANIONS = 3
COMPANION_RANKS = (8, 80)
"""A game's companions have these ranks of similarity: similar games, but not those that content alone would find."""


@dataclass(frozen=True, eq=False)
class Market:
    """Appeals in logits. Their sum goes through a softmax over the catalogue."""

    by_day: Floats
    """(days, items): the sum of fame, fashion and newness; minus infinity before a game arrives."""
    pull: Floats
    """(items, items): appeal that the column's game gains while a shopper looks at the row's game."""
    trending: tuple[tuple[int, ...], ...]
    """The games in fashion, for each week."""


def market(seed: int, days: int) -> Market:
    """The market of `seed` during `days` days."""
    rng = np.random.default_rng([seed, 2])
    trending = _trending(rng, days)
    fame = rng.normal(0.0, FAME_SPREAD, len(game_features().items))
    return Market(fame + _fashion(trending, days) + _newness(days), _pull(rng), trending)


def _trending(rng: np.random.Generator, days: int) -> tuple[tuple[int, ...], ...]:
    weeks, n_items = -(-days // DAYS_A_WEEK), len(game_features().items)
    return tuple(tuple(rng.choice(n_items, TRENDING_A_WEEK, replace=False).tolist()) for _ in range(weeks))


def _fashion(trending: tuple[tuple[int, ...], ...], days: int) -> Floats:
    fashion = np.zeros((days, len(game_features().items)))
    for day in range(days):
        week, weekday = divmod(day, DAYS_A_WEEK)
        fashion[day, list(trending[week])] = TREND_PEAK * (1.0 - abs(weekday - 3) / 4.0)
    return fashion


def _newness(days: int) -> Floats:
    newness = np.zeros((days, len(game_features().items)))
    for index, arrival in arrival_days(days).items():
        age = np.arange(days) - arrival
        freshness = ARRIVAL_APPEAL * np.exp2(-np.maximum(age, 0) / ARRIVAL_HALF_LIFE_DAYS)
        newness[:, index] = np.where(age >= 0, freshness, -np.inf)
    return newness


def _pull(rng: np.random.Generator) -> Floats:
    similarity = game_features().similarity
    return PULL_OF_SIMILARITY * similarity + PULL_OF_COMPANIONS * _companions(rng, similarity)


def _companions(rng: np.random.Generator, similarity: Floats) -> Floats:
    companions = np.zeros_like(similarity)
    nearest = np.argsort(-similarity, axis=1, kind="stable")
    for row in range(len(similarity)):
        companions[row, rng.choice(nearest[row, slice(*COMPANION_RANKS)], COMPANIONS, replace=False)] = 1.0
    return np.maximum(companions, companions.T)
