"""The catalogue as numbers: what each game is like, and how alike two games are."""

import re
from collections import Counter
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

from ingest.simulator.catalogue import Item, catalogue

Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]

SHORTEST_TITLE_WORD = 4
"""Letters: shorter words of a title ("of", "the", "II") say nothing as a query."""


@dataclass(frozen=True, eq=False)
class Shelf:
    """The catalogue's columns; `traits` are the genres, then the tags."""

    items: tuple[Item, ...]
    index: dict[str, int]
    traits: tuple[str, ...]
    n_genres: int
    has: Mask
    """(items, traits): does this game have this trait?"""
    matrix: Floats
    """(items, traits): the same, rare traits weighing more, rows of length 1."""
    similarity: Floats
    """(items, items): cosine of `matrix` rows, 0 on the diagonal, 0..1."""
    log_price: Floats
    queries: tuple[tuple[tuple[str, ...], ...], ...]
    """For each game the queries that lead to it: by genre, by tag, by developer, by title."""
    matches: dict[str, Mask]
    """Query -> the games that it finds."""


@cache
def shelf() -> Shelf:
    """The one shelf, made on first use; nobody may write into it."""
    items = tuple(catalogue())
    traits, n_genres, has = _traits(items)
    matrix = _weighted(has)
    queries = tuple(_queries(item) for item in items)
    return Shelf(
        items=items,
        index={item["item_id"]: n for n, item in enumerate(items)},
        traits=traits,
        n_genres=n_genres,
        has=has,
        matrix=matrix,
        similarity=_similarity(matrix),
        log_price=np.log1p([item["price"] for item in items]),
        queries=queries,
        matches=_matches(queries),
    )


def _traits(items: tuple[Item, ...]) -> tuple[tuple[str, ...], int, Mask]:
    genres = _by_frequency([genre for item in items for genre in item["categories"]])
    tags = _by_frequency([tag for item in items for tag in item["tags"]])
    has = np.array([[g in i["categories"] for g in genres] + [t in i["tags"] for t in tags] for i in items])
    return (*genres, *tags), len(genres), has


def _by_frequency(names: list[str]) -> list[str]:
    counts = Counter(names)
    return sorted(counts, key=lambda name: (-counts[name], name))


def _weighted(has: Mask) -> Floats:
    weighted = has * np.log(1.0 + len(has) / has.sum(axis=0))
    return np.asarray(weighted / np.linalg.norm(weighted, axis=1, keepdims=True))


def _similarity(matrix: Floats) -> Floats:
    similarity = matrix @ matrix.T
    np.fill_diagonal(similarity, 0.0)
    return np.asarray(similarity)


def _queries(item: Item) -> tuple[tuple[str, ...], ...]:
    title = item["title"].lower()
    words = [word for word in re.findall(r"\w+", title) if len(word) >= SHORTEST_TITLE_WORD]
    return (
        tuple(genre.lower() for genre in item["categories"]),
        tuple(tag.replace("-", " ") for tag in item["tags"]),
        (item["attributes"]["developer"].lower(),),
        (title, *words),
    )


def _matches(queries: tuple[tuple[tuple[str, ...], ...], ...]) -> dict[str, Mask]:
    found: dict[str, Mask] = {}
    for n, kinds in enumerate(queries):
        for query in (query for kind in kinds for query in kind):
            found.setdefault(query, np.zeros(len(queries), dtype=np.bool_))[n] = True
    return found
