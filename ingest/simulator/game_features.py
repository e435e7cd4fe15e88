"""The catalogue as numbers: the traits of each game, and the similarity of two games."""

import re
from collections import Counter
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

from ingest.simulator.catalogue import Game, catalogue

Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]

SHORTEST_TITLE_WORD = 4
"""Letters of the shortest title word that is a query. Shorter words ("of", "the", "II") say nothing."""


@dataclass(frozen=True, eq=False)
class GameFeatures:
    """The catalogue's columns; `traits` are the genres, then the tags."""

    items: tuple[Game, ...]
    index: dict[str, int]
    traits: tuple[str, ...]
    n_genres: int
    has_trait: Mask
    """(items, traits): True if the game has the trait."""
    matrix: Floats
    """(items, traits): the same as numbers. Rare traits weigh more, and rows have length 1."""
    similarity: Floats
    """(items, items): cosine of `matrix` rows, 0 on the diagonal, 0..1."""
    log_price: Floats
    queries: tuple[tuple[tuple[str, ...], ...], ...]
    """For each game, the queries that find it: by genre, by tag, by developer, by title."""
    matches: dict[str, Mask]
    """For each query, the games that it finds."""


@cache
def game_features() -> GameFeatures:
    """The features of all games. The first call computes them; callers must not change them."""
    items = tuple(catalogue())
    traits, n_genres, has_trait = _traits(items)
    matrix = _weighted(has_trait)
    queries = tuple(_queries(item) for item in items)
    return GameFeatures(
        items=items,
        index={item["item_id"]: n for n, item in enumerate(items)},
        traits=traits,
        n_genres=n_genres,
        has_trait=has_trait,
        matrix=matrix,
        similarity=_similarity(matrix),
        log_price=np.log1p([item["price"] for item in items]),
        queries=queries,
        matches=_matches(queries),
    )


def _traits(items: tuple[Game, ...]) -> tuple[tuple[str, ...], int, Mask]:
    genres = _by_frequency([genre for item in items for genre in item["categories"]])
    tags = _by_frequency([tag for item in items for tag in item["tags"]])
    has_trait = np.array([[g in i["categories"] for g in genres] + [t in i["tags"] for t in tags] for i in items])
    return (*genres, *tags), len(genres), has_trait


def _by_frequency(names: list[str]) -> list[str]:
    counts = Counter(names)
    return sorted(counts, key=lambda name: (-counts[name], name))


def _weighted(has_trait: Mask) -> Floats:
    weighted = has_trait * np.log(1.0 + len(has_trait) / has_trait.sum(axis=0))
    return np.asarray(weighted / np.linalg.norm(weighted, axis=1, keepdims=True))


def _similarity(matrix: Floats) -> Floats:
    similarity = matrix @ matrix.T
    np.fill_diagonal(similarity, 0.0)
    return np.asarray(similarity)


def _queries(item: Game) -> tuple[tuple[str, ...], ...]:
    title = item["title"].lower()
    words = [word for word in re.findall(r"\w+", title) if len(word) >= SHORTEST_TITLE_WORD]
    return (
        tuple(genre.lower() for genre in item["categories"]),
        tuple(tag.replace("-", " ") for tag in item["tags"]),
        (item["attributes"]["developer"].lower(),),
        (title, *words),
    )


def _matches(queries: tuple[tuple[tuple[str, ...], ...], ...]) -> dict[str, Mask]:
    games_by_query: dict[str, Mask] = {}
    for n, kinds in enumerate(queries):
        for query in (query for kind in kinds for query in kind):
            games_by_query.setdefault(query, np.zeros(len(queries), dtype=np.bool_))[n] = True
    return games_by_query
