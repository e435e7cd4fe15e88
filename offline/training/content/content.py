"""Content: items as TF-IDF vectors of their texts, labels and attributes (Salton, Buckley, 1988)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from models.content import Content, terms_of, weighed
from offline.data.dataset import Interactions
from offline.data.metadata import Metadata
from offline.training.algorithm import Algorithm, Context, IntegerRange
from schemas.errors import ConfigurationInvalid, NothingToTrain


@dataclass(frozen=True, kw_only=True)
class ContentParameters:
    """Parameters of content. Raises ConfigurationInvalid for an invalid value."""

    terms: int = 20_000
    """Maximum number of terms: those of the most items, ties in alphabetical order."""
    least: int = 2
    """Minimum number of items with a term. A term of one item relates it to no other."""

    def __post_init__(self) -> None:
        if self.terms < 1 or self.least < 1:
            raise ConfigurationInvalid("terms and least of content must be above 0")


def train(interactions: Interactions, metadata: Metadata, parameters: ContentParameters | None = None) -> Content:
    """Returns vectors of the items of the interactions. Raises NothingToTrain if no item has a term.

    A term of n of I items has the rarity 1 + ln((1 + I) / (1 + n)).
    """
    chosen = parameters or ContentParameters()
    term_counts = [_said(metadata, item_id) for item_id in interactions.item_ids]
    items = Counter(term for counts in term_counts for term in counts)
    terms = sorted(sorted(term for term, n in items.items() if n >= chosen.least), key=lambda term: -items[term])
    terms = sorted(terms[: chosen.terms])
    if not terms:
        raise NothingToTrain("nothing is said of the items that anybody met: import or send their titles or categories")
    rarities = 1 + np.log((1 + len(term_counts)) / (1 + np.array([items[term] for term in terms])))
    return _of_length_one(interactions.item_ids, terms, term_counts, rarities.astype(np.float32))


def _said(metadata: Metadata, item_id: str) -> Counter[str]:
    item = metadata.items.get(item_id)
    return Counter() if item is None else terms_of(item)


def _of_length_one(
    item_ids: tuple[str, ...], terms: Sequence[str], term_counts: Sequence[Counter[str]], rarities: np.ndarray
) -> Content:
    columns = {term: column for column, term in enumerate(terms)}
    rows = [
        sorted((columns[term], count) for term, count in counts.items() if term in columns) for counts in term_counts
    ]
    indptr = np.concatenate(([0], np.cumsum([len(row) for row in rows])))
    indices = np.array([column for row in rows for column, _ in row], dtype=np.int32)
    values = weighed(np.array([count for row in rows for _, count in row]), rarities[indices])
    lengths = np.sqrt(np.bincount(np.repeat(np.arange(len(rows)), np.diff(indptr)), values**2, len(rows)))
    values = (values / np.repeat(lengths, np.diff(indptr))).astype(np.float32)
    return Content(item_ids, tuple(terms), rarities, indptr, indices, values)


def _train(interactions: Interactions, parameters: ContentParameters, context: Context) -> Content:
    return train(interactions, context.metadata, parameters)


ALGORITHM: Final = Algorithm(
    name="content",
    about="items whose texts, labels and attributes are like those that a person had",
    parameters=ContentParameters,
    train=_train,
    space={"terms": IntegerRange(200, 50_000, log=True), "least": IntegerRange(1, 20, log=True)},
    kind=Content.kind,
)
