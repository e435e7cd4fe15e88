"""EASE: a linear autoencoder without hidden layers, in closed form; for large catalogues, neighbourhood by neighbourhood.

Steck, "Embarrassingly Shallow Autoencoders for Sparse Data", WWW 2019: B = I − P·diagMat(1 ⊘ diag(P)), where P is the
inverse of the regularized Gram matrix. Both entries regularize an item by λ·√(its own entry of the Gram matrix) and
let a person count less the more items they have; with powers of 0 it is the paper's.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any, Final, NamedTuple

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray
from scipy.linalg import lapack
from threadpoolctl import threadpool_limits

from models.ease import Ease
from offline.data.archive import Progress, quiet
from offline.data.dataset import Interactions
from offline.training.algorithm import Algorithm, Context, Floats, Integers
from offline.training.factorization.blocks import in_order
from offline.training.factorization.lapack import invert
from schemas.errors import ConfigurationInvalid, TrainingTooLarge

_BLOCK: Final = 256
_MIB: Final = 2**20
_POPULARITY: Final = 0.25
"""Items are near by what they share over this power of their own popularity: between co-occurrence and cosine."""
_ENTRY: Final = 8
"""Bytes of one kept weight: its position and its value."""

Matrix = NDArray[np.float32]


AUTO_ITEMS: Final = 12_000
"""Items up to which ``ease-auto`` solves them at once: its time grows with their cube."""


@dataclass(frozen=True, kw_only=True)
class EaseParameters:
    """Of EASE in closed form; raises ConfigurationInvalid where a value cannot work."""

    regularization: float = 30.0
    """λ: what is added to an item's entry g of the Gram matrix is λ·g^item_power."""
    item_power: float = 0.5
    """0 regularizes all items alike, as the paper does."""
    user_power: float = 0.5
    """A person with n items counts n^−user_power, scaled so that the mean over interactions is 1; 0 is the paper's."""
    weighted: bool = False
    """Whether interactions count by their weights (of mean 1) or each as 1."""
    kept: int = 1_024
    """N: of each item's weights, the N largest by amount are stored,"""
    whole: int = 4_096
    """and all of them where there are no more items than this."""
    limit_mib: float = 4_096.0
    """Memory that the training may take beyond its input."""

    def __post_init__(self) -> None:
        if self.regularization <= 0 or self.kept < 1 or not (0 <= self.item_power <= 1 and 0 <= self.user_power <= 1):
            raise ConfigurationInvalid(
                "regularization and kept of EASE must be above 0, item_power and user_power between 0 and 1"
            )


@dataclass(frozen=True, kw_only=True)
class SparseEaseParameters(EaseParameters):
    """Of EASE by neighbourhoods; raises ConfigurationInvalid where a value cannot work."""

    nearest: int = 200
    """Items that may foresee an item: those that share most people with it, for how many they have."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.nearest < 1:
            raise ConfigurationInvalid("nearest of EASE by neighbourhoods must be above 0")


class _Rows(NamedTuple):
    """Weights as rows of items: lengths (I,), columns (m,) and values (m,), one row after the other."""

    lengths: NDArray[np.int64]
    columns: NDArray[np.int32]
    values: Matrix


class _Equations(NamedTuple):
    """People's scaled interactions X by rows and by columns, and what is added to the diagonal of XᵀX, shape (I,)."""

    rows: sp.csr_matrix
    columns: sp.csc_matrix
    diagonal: Matrix
    penalty: Matrix


def train(
    interactions: Interactions, parameters: EaseParameters | None = None, threads: int = 0, progress: Progress = quiet
) -> Ease:
    """All weights at once, by one Cholesky factorization in float32, shape (I, I).

    Raises TrainingTooLarge, before anything is computed, where ``needs_mib`` is above the limit. BLAS has ``threads``
    (0: one a core), and other numbers of threads may give other last digits.
    """
    chosen = parameters or EaseParameters()
    _refuse_beyond(needs_mib(interactions, chosen), interactions, chosen)
    equations = _equations(interactions, chosen)
    with threadpool_limits(threads or None, user_api="blas"):
        progress("training ease", 0, 3)
        gram = _gram(equations)
        progress("training ease", 1, 3)
        weights = _closed_form(gram)
        progress("training ease", 2, 3)
    return _model(interactions, _kept_of_dense(weights, _width(chosen, len(weights))), chosen)


def train_sparse(
    interactions: Interactions,
    parameters: SparseEaseParameters | None = None,
    threads: int = 0,
    progress: Progress = quiet,
) -> Ease:
    """Each item's weights by a ridge regression on the items nearest to it: exact there, 0 everywhere else.

    In memory that grows with the items, not with their square; the same whatever the number of ``threads``. Raises
    TrainingTooLarge, before anything is computed, where ``needs_mib_sparse`` is above the limit.
    """
    chosen = parameters or SparseEaseParameters()
    _refuse_beyond(needs_mib_sparse(interactions, chosen), interactions, chosen)
    equations, count = _equations(interactions, chosen), len(interactions.item_ids)
    solved = []
    with threadpool_limits(1, user_api="blas"):
        work = partial(_solve_block, equations, chosen.nearest)
        for done, block in enumerate(in_order(work, range(0, count, _BLOCK), threads)):
            progress("training ease-sparse", min(count, (done + 1) * _BLOCK), count)
            solved.append(block)
    # A regression gives a column of B; what is kept and stored are rows.
    lengths, sources, values = (np.concatenate(parts) for parts in zip(*solved, strict=True))
    ends = np.concatenate(([0], np.cumsum(lengths)))
    by_row = sp.csc_matrix((values, sources, ends), shape=(count, count)).tocsr()
    return _model(interactions, _kept_of_sparse(by_row, _width(chosen, count)), chosen)


def needs_mib(interactions: Interactions, parameters: EaseParameters) -> float:
    """The Gram matrix, which becomes the weights in place, and what is stored of them twice; in MiB."""
    count = len(interactions.item_ids)
    return count * (4 * count + 2 * _ENTRY * _width(parameters, count)) / _MIB + _scaled_mib(interactions)


def needs_mib_sparse(interactions: Interactions, parameters: SparseEaseParameters) -> float:
    """The weights of all neighbourhoods three times over while they are turned into rows; in MiB."""
    count = len(interactions.item_ids)
    return 3 * _ENTRY * count * min(parameters.nearest, count) / _MIB + _scaled_mib(interactions)


def _scaled_mib(interactions: Interactions) -> float:
    return 3 * _ENTRY * float(interactions.matrix.nnz) / _MIB


def _refuse_beyond(needed: float, interactions: Interactions, parameters: EaseParameters) -> None:
    if needed > parameters.limit_mib:
        raise TrainingTooLarge(
            f"EASE of {len(interactions.item_ids):,} items needs {needed:,.0f} MiB and may take {parameters.limit_mib:,.0f}: "
            "train ease-sparse with fewer nearest items instead, or raise limit_mib"
        )


def _width(parameters: EaseParameters, count: int) -> int:
    return count if count <= parameters.whole else parameters.kept


def _equations(interactions: Interactions, parameters: EaseParameters) -> _Equations:
    """Everyone's interactions times the root of how much this person counts."""
    matrix = interactions.matrix
    counts = np.diff(matrix.indptr)
    person = np.power(np.maximum(counts, 1), -parameters.user_power, dtype=np.float64)
    person *= counts.sum() / (person * counts).sum()
    amounts = matrix.data / matrix.data.mean(dtype=np.float64) if parameters.weighted else np.ones(matrix.nnz)
    data = (np.repeat(np.sqrt(person), counts) * amounts).astype(np.float32)
    rows = sp.csr_matrix((data, matrix.indices, matrix.indptr), shape=matrix.shape)
    diagonal = np.bincount(matrix.indices, weights=np.square(data, dtype=np.float64), minlength=matrix.shape[1])
    # An item that nobody had gets a weight of 0 whatever its penalty, which must be above 0.
    penalty = parameters.regularization * np.power(np.where(diagonal > 0, diagonal, 1.0), parameters.item_power)
    return _Equations(rows, rows.tocsc(), diagonal.astype(np.float32), penalty.astype(np.float32))


def _gram(equations: _Equations) -> Matrix:
    """The regularized Gram matrix, whole."""
    count = equations.diagonal.size
    gram = np.empty((count, count), dtype=np.float32)
    for start in range(0, count, _BLOCK):
        block = slice(start, start + _BLOCK)
        (equations.columns[:, block].T @ equations.rows).toarray(out=gram[block])
    gram[np.diag_indices(count)] += equations.penalty
    return gram


def _closed_form(gram: Matrix) -> Matrix:
    """B of a regularized Gram matrix, in its place: the inverse is one triangle, which is mirrored."""
    if not invert(gram):
        raise ConfigurationInvalid("EASE cannot be solved with so little regularization: raise it")
    weights = gram
    scale = -1 / np.diag(weights)
    _mirror(weights)
    weights *= scale
    np.fill_diagonal(weights, 0)
    return weights


def _mirror(lower: Matrix) -> None:
    """Fill the upper triangle from the lower one, in blocks."""
    for start in range(0, len(lower), _BLOCK):
        block = slice(start, start + _BLOCK)
        corner = np.tril(lower[block, block])
        lower[block, block] = corner + np.tril(corner, -1).T
        lower[block, start + _BLOCK :] = lower[start + _BLOCK :, block].T


def _solve_block(equations: _Equations, nearest: int, start: int) -> _Rows:
    """The regressions of the items from ``start``: how many items foresee each, which and by how much."""
    common = (equations.columns[:, start : start + _BLOCK].T @ equations.rows).tocsr()
    common.sort_indices()
    lengths, columns, values = [], [], []
    for offset in range(common.shape[0]):
        place = slice(common.indptr[offset], common.indptr[offset + 1])
        others, shared = common.indices[place], common.data[place]
        chosen = _nearest(others, shared, start + offset, equations.diagonal, nearest)
        columns.append(others[chosen])
        values.append(_ridge(equations, others[chosen], shared[chosen]))
        lengths.append(chosen.size)
    return _Rows(np.array(lengths), np.concatenate(columns).astype(np.int32), np.concatenate(values))


def _nearest(others: NDArray[Any], shared: Matrix, item: int, diagonal: Matrix, count: int) -> NDArray[np.intp]:
    """Places in ``others`` of the items that are nearest, in their order; not of the item itself."""
    places = np.flatnonzero(others != item)
    if places.size <= count:
        return places
    nearness = shared[places] / np.power(diagonal[others[places]], _POPULARITY)
    return np.sort(places[np.argpartition(-nearness, count)[:count]])


def _ridge(equations: _Equations, items: NDArray[Any], shared: Matrix) -> Matrix:
    """The weights with which these items foresee one that shares so much with each of them."""
    if not items.size:
        return np.empty(0, dtype=np.float32)
    own = equations.columns[:, items]
    gram = (own.T @ own.tocsr()).toarray()
    gram[np.diag_indices(items.size)] += equations.penalty[items]
    _, weights, failed = lapack.sposv(gram.T, shared, lower=0, overwrite_a=1)
    if failed:
        raise ConfigurationInvalid("EASE cannot be solved with so little regularization: raise it")
    solved: Matrix = weights.ravel()
    return solved


def _kept_of_dense(weights: Matrix, width: int) -> _Rows:
    """Each row's largest weights by amount, in ascending order of columns."""
    count = len(weights)
    if width >= count:
        columns = np.tile(np.arange(count, dtype=np.int32), count)
        return _Rows(np.full(count, count), columns, weights.ravel())
    kept = np.empty((count, width), dtype=np.int32)
    for row, line in enumerate(weights):
        kept[row] = np.sort(np.argpartition(-np.abs(line), width)[:width])
    return _Rows(np.full(count, width), kept.ravel(), np.take_along_axis(weights, kept.astype(np.intp), axis=1).ravel())


def _kept_of_sparse(weights: sp.csr_matrix, width: int) -> _Rows:
    """Each row's largest weights by amount, in ascending order of columns."""
    lengths = np.diff(weights.indptr)
    kept = np.ones(weights.nnz, dtype=bool)
    for row in np.flatnonzero(lengths > width):
        place = slice(weights.indptr[row], weights.indptr[row + 1])
        kept[place][np.argpartition(-np.abs(weights.data[place]), width)[width:]] = False
    return _Rows(np.minimum(lengths, width), weights.indices[kept], weights.data[kept])


def _model(interactions: Interactions, rows: _Rows, parameters: EaseParameters) -> Ease:
    indptr = np.concatenate(([0], np.cumsum(rows.lengths)))
    return Ease(interactions.item_ids, indptr, rows.columns, rows.values, parameters.weighted)


def _train(interactions: Interactions, parameters: EaseParameters, context: Context) -> Ease:
    return train(interactions, parameters, context.threads, context.progress)


def _train_sparse(interactions: Interactions, parameters: SparseEaseParameters, context: Context) -> Ease:
    return train_sparse(interactions, parameters, context.threads, context.progress)


def _train_auto(interactions: Interactions, parameters: SparseEaseParameters, context: Context) -> Ease:
    return (_train if _whole(interactions, parameters) else _train_sparse)(interactions, parameters, context)


def _needs_mib_auto(interactions: Interactions, parameters: SparseEaseParameters) -> float:
    return (needs_mib if _whole(interactions, parameters) else needs_mib_sparse)(interactions, parameters)


def _whole(interactions: Interactions, parameters: SparseEaseParameters) -> bool:
    """Whether ``ease-auto`` solves all items at once."""
    few = len(interactions.item_ids) <= AUTO_ITEMS
    return few and needs_mib(interactions, parameters) <= parameters.limit_mib


ALGORITHMS: Final = (
    Algorithm(
        name="ease",
        about="a linear autoencoder in closed form, for catalogues of up to some 30,000 items",
        parameters=EaseParameters,
        train=_train,
        space={"regularization": Floats(3.0, 300.0), "user_power": Floats(0.0, 1.0, log=False)},
        needs_mib=needs_mib,
        kind=Ease.kind,
    ),
    Algorithm(
        name="ease-sparse",
        about="a linear autoencoder item by item over its nearest ones, for large catalogues",
        parameters=SparseEaseParameters,
        train=_train_sparse,
        space={
            "regularization": Floats(3.0, 300.0),
            "user_power": Floats(0.0, 1.0, log=False),
            "nearest": Integers(50, 400, log=True),
        },
        needs_mib=needs_mib_sparse,
        kind=Ease.kind,
    ),
    Algorithm(
        name="ease-auto",
        about=f"ease of up to {AUTO_ITEMS:,} items where its memory is within its limit, else ease-sparse",
        parameters=SparseEaseParameters,
        train=_train_auto,
        needs_mib=_needs_mib_auto,
        kind=Ease.kind,
    ),
)
