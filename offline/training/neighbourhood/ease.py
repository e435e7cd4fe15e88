"""EASE: a linear autoencoder in closed form. For large catalogues, it is solved neighbourhood by neighbourhood.

Steck, "Embarrassingly Shallow Autoencoders for Sparse Data", WWW 2019: B = I − P·diagMat(1 ⊘ diag(P)), where P is the
inverse of the regularized Gram matrix. Both variants regularize an item by λ·√(its diagonal entry of the Gram matrix) and
give less weight to a person with more items. Powers of 0 give the paper's model.
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
from models.structures.arrays import Floats
from offline.data.archive import Progress, quiet
from offline.data.dataset import Interactions
from offline.training.algorithm import Algorithm, Context, FloatRange, IntegerRange
from offline.training.factorization.blocks import in_order
from offline.training.factorization.lapack import invert
from schemas.errors import ConfigurationInvalid, TrainingTooLarge

_BLOCK: Final = 256
_MIB: Final = 2**20
_POPULARITY: Final = 0.25
"""Nearness is co-occurrence divided by popularity to this power: between co-occurrence and cosine."""
_ENTRY: Final = 8
"""Bytes of one stored weight: its position and its value."""


AUTO_ITEMS: Final = 12_000
"""Maximum number of items that ``ease-auto`` solves at once. The time grows with its cube."""


@dataclass(frozen=True, kw_only=True)
class EaseParameters:
    """Parameters of EASE in closed form. Raises ConfigurationInvalid for an invalid value."""

    regularization: float = 30.0
    """λ: an item with diagonal entry g of the Gram matrix gets the penalty λ·g^item_power."""
    item_power: float = 0.5
    """0 regularizes all items equally, as the paper does."""
    user_power: float = 0.5
    """A person with n items has weight n^−user_power, scaled to mean 1 over interactions. 0 is the paper's model."""
    weighted: bool = False
    """True: interactions count by their weights, scaled to mean 1. False: each counts 1."""
    kept: int = 1_024
    """Number of weights stored for each item: those with the largest absolute value."""
    whole: int = 4_096
    """Maximum number of items for which all weights are stored."""
    limit_mib: float = 4_096.0
    """Maximum memory of the training beyond its input, in MiB."""

    def __post_init__(self) -> None:
        if self.regularization <= 0 or self.kept < 1 or not (0 <= self.item_power <= 1 and 0 <= self.user_power <= 1):
            raise ConfigurationInvalid(
                "regularization and kept of EASE must be above 0, item_power and user_power between 0 and 1"
            )


@dataclass(frozen=True, kw_only=True)
class SparseEaseParameters(EaseParameters):
    """Parameters of EASE by neighbourhoods. Raises ConfigurationInvalid for an invalid value."""

    nearest: int = 200
    """Number of items that predict an item: those with the most common users, relative to their popularity."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.nearest < 1:
            raise ConfigurationInvalid("nearest of EASE by neighbourhoods must be above 0")


class _WeightRows(NamedTuple):
    """Weights as rows of items: lengths (I,), columns (m,) and values (m,), one row after the other."""

    lengths: NDArray[np.int64]
    columns: NDArray[np.int32]
    values: Floats


class _Equations(NamedTuple):
    """Scaled interactions X by rows and by columns, the diagonal of XᵀX, and the penalty added to it, shape (I,) each."""

    rows: sp.csr_matrix
    columns: sp.csc_matrix
    diagonal: Floats
    penalty: Floats


def train(
    interactions: Interactions, parameters: EaseParameters | None = None, threads: int = 0, progress: Progress = quiet
) -> Ease:
    """Computes all weights at once, by one Cholesky factorization in float32, shape (I, I).

    Raises TrainingTooLarge, before any computation, if ``needs_mib`` is above the limit. BLAS uses ``threads``
    (0: one for each core). The last digits depend on the number of threads.
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
    """Computes the weights of each item by a ridge regression on its nearest items. All other weights are 0.

    Memory grows with the number of items, not with its square. The result does not depend on the number of ``threads``.
    Raises TrainingTooLarge, before any computation, if ``needs_mib_sparse`` is above the limit.
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
    # A regression gives a column of B; rows are stored.
    lengths, sources, values = (np.concatenate(parts) for parts in zip(*solved, strict=True))
    ends = np.concatenate(([0], np.cumsum(lengths)))
    by_row = sp.csc_matrix((values, sources, ends), shape=(count, count)).tocsr()
    return _model(interactions, _kept_of_sparse(by_row, _width(chosen, count)), chosen)


def needs_mib(interactions: Interactions, parameters: EaseParameters) -> float:
    """Returns the memory of the Gram matrix, which becomes the weights in place, and twice the stored weights, in MiB."""
    count = len(interactions.item_ids)
    return count * (4 * count + 2 * _ENTRY * _width(parameters, count)) / _MIB + _scaled_mib(interactions)


def needs_mib_sparse(interactions: Interactions, parameters: SparseEaseParameters) -> float:
    """Returns three times the memory of the weights, which are copied when they are transposed, in MiB."""
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
    """Scales the interactions of each person by the square root of the person's weight."""
    matrix = interactions.matrix
    counts = np.diff(matrix.indptr)
    person = np.power(np.maximum(counts, 1), -parameters.user_power, dtype=np.float64)
    person *= counts.sum() / (person * counts).sum()
    amounts = matrix.data / matrix.data.mean(dtype=np.float64) if parameters.weighted else np.ones(matrix.nnz)
    data = (np.repeat(np.sqrt(person), counts) * amounts).astype(np.float32)
    rows = sp.csr_matrix((data, matrix.indices, matrix.indptr), shape=matrix.shape)
    diagonal = np.bincount(matrix.indices, weights=np.square(data, dtype=np.float64), minlength=matrix.shape[1])
    # An item without users gets weight 0 for any penalty, which must be above 0.
    penalty = parameters.regularization * np.power(np.where(diagonal > 0, diagonal, 1.0), parameters.item_power)
    return _Equations(rows, rows.tocsc(), diagonal.astype(np.float32), penalty.astype(np.float32))


def _gram(equations: _Equations) -> Floats:
    """Returns the regularized Gram matrix (I, I)."""
    count = equations.diagonal.size
    gram = np.empty((count, count), dtype=np.float32)
    for start in range(0, count, _BLOCK):
        block = slice(start, start + _BLOCK)
        (equations.columns[:, block].T @ equations.rows).toarray(out=gram[block])
    gram[np.diag_indices(count)] += equations.penalty
    return gram


def _closed_form(gram: Floats) -> Floats:
    """Turns the regularized Gram matrix into B in place. The inverse is one triangle, which is mirrored."""
    if not invert(gram):
        raise ConfigurationInvalid("EASE cannot be solved with so little regularization: raise it")
    weights = gram
    scale = -1 / np.diag(weights)
    _mirror(weights)
    weights *= scale
    np.fill_diagonal(weights, 0)
    return weights


def _mirror(lower: Floats) -> None:
    """Fills the upper triangle from the lower one, in blocks."""
    for start in range(0, len(lower), _BLOCK):
        block = slice(start, start + _BLOCK)
        corner = np.tril(lower[block, block])
        lower[block, block] = corner + np.tril(corner, -1).T
        lower[block, start + _BLOCK :] = lower[start + _BLOCK :, block].T


def _solve_block(equations: _Equations, nearest: int, start: int) -> _WeightRows:
    """Solves the regressions of a block of items from ``start``. Rows are the predicted items."""
    common = (equations.columns[:, start : start + _BLOCK].T @ equations.rows).tocsr()
    common.sort_indices()
    lengths, columns, values = [], [], []
    for offset in range(common.shape[0]):
        entries = slice(common.indptr[offset], common.indptr[offset + 1])
        others, shared = common.indices[entries], common.data[entries]
        chosen = _nearest(others, shared, start + offset, equations.diagonal, nearest)
        columns.append(others[chosen])
        values.append(_ridge(equations, others[chosen], shared[chosen]))
        lengths.append(chosen.size)
    return _WeightRows(np.array(lengths), np.concatenate(columns).astype(np.int32), np.concatenate(values))


def _nearest(others: NDArray[Any], shared: Floats, item: int, diagonal: Floats, count: int) -> NDArray[np.intp]:
    """Returns the positions in ``others`` of the nearest items, ascending, without the item itself."""
    positions = np.flatnonzero(others != item)
    if positions.size <= count:
        return positions
    nearness = shared[positions] / np.power(diagonal[others[positions]], _POPULARITY)
    return np.sort(positions[np.argpartition(-nearness, count)[:count]])


def _ridge(equations: _Equations, items: NDArray[Any], shared: Floats) -> Floats:
    """Returns the regression weights of these items. ``shared`` are their products with the predicted item."""
    if not items.size:
        return np.empty(0, dtype=np.float32)
    own = equations.columns[:, items]
    gram = (own.T @ own.tocsr()).toarray()
    gram[np.diag_indices(items.size)] += equations.penalty[items]
    _, weights, failed = lapack.sposv(gram.T, shared, lower=0, overwrite_a=1)
    if failed:
        raise ConfigurationInvalid("EASE cannot be solved with so little regularization: raise it")
    solved: Floats = weights.ravel()
    return solved


def _kept_of_dense(weights: Floats, width: int) -> _WeightRows:
    """Returns the weights of each row with the largest absolute value, in ascending order of columns."""
    count = len(weights)
    if width >= count:
        columns = np.tile(np.arange(count, dtype=np.int32), count)
        return _WeightRows(np.full(count, count), columns, weights.ravel())
    largest = np.empty((count, width), dtype=np.int32)
    for row, line in enumerate(weights):
        largest[row] = np.sort(np.argpartition(-np.abs(line), width)[:width])
    return _WeightRows(
        np.full(count, width), largest.ravel(), np.take_along_axis(weights, largest.astype(np.intp), axis=1).ravel()
    )


def _kept_of_sparse(weights: sp.csr_matrix, width: int) -> _WeightRows:
    """Returns the weights of each row with the largest absolute value, in ascending order of columns."""
    lengths = np.diff(weights.indptr)
    mask = np.ones(weights.nnz, dtype=bool)
    for row in np.flatnonzero(lengths > width):
        entries = slice(weights.indptr[row], weights.indptr[row + 1])
        mask[entries][np.argpartition(-np.abs(weights.data[entries]), width)[width:]] = False
    return _WeightRows(np.minimum(lengths, width), weights.indices[mask], weights.data[mask])


def _model(interactions: Interactions, rows: _WeightRows, parameters: EaseParameters) -> Ease:
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
    """True if ``ease-auto`` solves all items at once."""
    few = len(interactions.item_ids) <= AUTO_ITEMS
    return few and needs_mib(interactions, parameters) <= parameters.limit_mib


ALGORITHMS: Final = (
    Algorithm(
        name="ease",
        about="a linear autoencoder in closed form, for catalogues of up to some 30,000 items",
        parameters=EaseParameters,
        train=_train,
        space={"regularization": FloatRange(3.0, 300.0), "user_power": FloatRange(0.0, 1.0, log=False)},
        needs_mib=needs_mib,
        kind=Ease.kind,
    ),
    Algorithm(
        name="ease-sparse",
        about="a linear autoencoder item by item over its nearest ones, for large catalogues",
        parameters=SparseEaseParameters,
        train=_train_sparse,
        space={
            "regularization": FloatRange(3.0, 300.0),
            "user_power": FloatRange(0.0, 1.0, log=False),
            "nearest": IntegerRange(50, 400, log=True),
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
