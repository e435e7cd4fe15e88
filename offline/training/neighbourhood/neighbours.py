"""Item neighbours by who interacted with them: the shrunk cosine, plain or weighted by TF-IDF, or BM25.

Sarwar et al., "Item-based Collaborative Filtering Recommendation Algorithms", WWW 2001. An item is a document and
its users are its terms, so that a user of many items says less about similarity. Weights and times of interactions are
ignored.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final, NamedTuple

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from models.neighbours import Neighbours
from models.structures.arrays import Floats as Array
from models.structures.arrays import Ints
from offline.data.archive import Progress, quiet
from offline.data.dataset import Interactions
from offline.training.algorithm import Algorithm, Context, FloatRange, IntegerRange
from offline.training.parameters import NeighbourParameters
from schemas.errors import ConfigurationInvalid

_BLOCK: Final = 256
_COLUMN_BITS: Final = 24
_VALUE_BITS: Final = 31
_GREATEST: Final = np.int64(2**_VALUE_BITS - 1)


@dataclass(frozen=True, kw_only=True)
class TfidfParameters(NeighbourParameters):
    """Parameters of item neighbours with TF-IDF weights."""

    weighting: str = "tfidf"


@dataclass(frozen=True, kw_only=True)
class Bm25Parameters(NeighbourParameters):
    """Parameters of item neighbours with BM25 weights. ``shrinkage`` has no effect."""

    weighting: str = "bm25"


class _Weighted(NamedTuple):
    """``matrix`` (U, I) float32 csc, and the squared length of each item (I,). None if products are not divided by lengths."""

    matrix: sp.csc_matrix
    squares: Array | None


def train(
    interactions: Interactions, parameters: NeighbourParameters | None = None, progress: Progress = quiet
) -> Neighbours:
    """Returns the nearest items of each item, best first, ties by position. Raises ConfigurationInvalid above 16.7 million items.

    ``cosine`` is ``n_ij / (sqrt(n_i n_j) + shrinkage)``: n_i users have item i, n_ij have both. The shrinkage is that of
    Bell and Koren, KDD 2007. ``tfidf`` is the same with users weighted by ``ln(1 + I / n_u)`` for n_u items. ``bm25`` is
    the product of weights that also fall with n_i (Robertson and Zaragoza, 2009), without a division by lengths.
    """
    chosen = parameters or NeighbourParameters()
    count = interactions.matrix.shape[1]
    if count > 2**_COLUMN_BITS:
        raise ConfigurationInvalid(f"item neighbours take at most {2**_COLUMN_BITS} items, not {count}; filter some")
    weighted = _weighted(interactions.matrix, chosen)
    everyone = weighted.matrix.tocsr()
    indices = np.full((count, chosen.width), -1, dtype=np.int32)
    scores = np.zeros((count, chosen.width), dtype=np.float32)
    for start in range(0, count, _BLOCK):
        progress("training neighbours", start, count)
        block = slice(start, start + _BLOCK)
        common = (weighted.matrix[:, block].T @ everyone).tocsr()
        _select(common, start, _similarities(common, start, weighted, chosen), indices[block], scores[block])
    return Neighbours(interactions.item_ids, indices, scores)


def _weighted(matrix: sp.csr_matrix, parameters: NeighbourParameters) -> _Weighted:
    who = matrix.astype(bool).astype(np.float32).tocsc()
    people = np.diff(who.indptr).astype(np.float32)
    if parameters.weighting == "cosine":
        return _Weighted(who, people)
    taken = np.bincount(who.indices, minlength=who.shape[0])
    rarity = np.log1p(who.shape[1] / np.maximum(taken, 1))
    who.data = rarity[who.indices].astype(np.float32)
    if parameters.weighting == "tfidf":
        return _Weighted(who, np.asarray(who.multiply(who).sum(axis=0), dtype=np.float32).ravel())
    length = 1 - parameters.b + parameters.b * people / people.mean()
    saturated = (parameters.k1 + 1) / (parameters.k1 * length + 1)
    who.data *= np.repeat(saturated, np.diff(who.indptr)).astype(np.float32)
    return _Weighted(who, None)


def top_k_rows(rows: sp.csr_matrix, width: int) -> tuple[Ints, Array]:
    """Returns the largest values of each row of a square matrix of positive float32, descending, without the diagonal.

    Positions and values have shape (I, width), padded as in ``Neighbours``.
    """
    count = rows.shape[0]
    indices = np.full((count, width), -1, dtype=np.int32)
    values = np.zeros((count, width), dtype=np.float32)
    for start in range(0, count, _BLOCK):
        block = slice(start, start + _BLOCK)
        _select(rows[block], start, rows[block].data, indices[block], values[block])
    return indices, values


def _rows(common: sp.csr_matrix) -> NDArray[np.int64]:
    return np.repeat(np.arange(common.shape[0]), np.diff(common.indptr))


def _similarities(common: sp.csr_matrix, start: int, weighted: _Weighted, parameters: NeighbourParameters) -> Array:
    """Returns the similarity for each stored product of the block of items from ``start``."""
    if weighted.squares is None:
        return np.asarray(common.data, dtype=np.float32)
    lengths = np.sqrt(weighted.squares[start + _rows(common)] * weighted.squares[common.indices])
    similarities: Array = (common.data / (lengths + parameters.shrinkage)).astype(np.float32)
    return similarities


def _select(common: sp.csr_matrix, start: int, similarities: Array, indices: Ints, scores: Array) -> None:
    """Writes the best items of each row, without the item itself.

    Similarities are not negative, so their bits sort like their values. Keys of row, descending similarity and column
    order all rows by one integer sort.
    """
    row = _rows(common)
    descending = _GREATEST - similarities.view(np.int32)
    keys = (row << (_VALUE_BITS + _COLUMN_BITS)) | (descending << _COLUMN_BITS) | common.indices
    keys = np.sort(keys[common.indices != start + row])
    row = keys >> (_VALUE_BITS + _COLUMN_BITS)
    rank = np.arange(keys.size) - np.searchsorted(row, np.arange(common.shape[0]))[row]
    fits = rank < indices.shape[1]
    row, rank, keys = row[fits], rank[fits], keys[fits]
    indices[row, rank] = keys & (2**_COLUMN_BITS - 1)
    scores[row, rank] = (_GREATEST - ((keys >> _COLUMN_BITS) & _GREATEST)).astype(np.int32).view(np.float32)


def _train(interactions: Interactions, parameters: NeighbourParameters, context: Context) -> Neighbours:
    return train(interactions, parameters, context.progress)


_WIDTH: Final = IntegerRange(16, 256, log=True)


def _algorithm(name: str, about: str, parameters: type[NeighbourParameters], **space: Any) -> Algorithm[Any]:
    return Algorithm(
        name=name,
        about=about,
        parameters=parameters,
        train=_train,
        space={"width": _WIDTH, **space},
        kind=Neighbours.kind,
    )


ALGORITHMS: Final = (
    _algorithm(
        "neighbours",
        "item neighbours by the shrunk cosine of who interacted with them",
        NeighbourParameters,
        shrinkage=FloatRange(0.1, 200.0),
    ),
    _algorithm(
        "item-knn-tfidf",
        "item neighbours by the shrunk cosine, people who take much counting less",
        TfidfParameters,
        shrinkage=FloatRange(0.1, 200.0),
    ),
    _algorithm(
        "item-knn-bm25",
        "item neighbours by BM25: people who take much and items that many take count less",
        Bm25Parameters,
        k1=FloatRange(0.1, 100.0),
        b=FloatRange(0.0, 1.0, log=False),
    ),
)
