"""Implicit ALS on one machine, each half step solved exactly, with regularization that grows with frequency.

Hu, Koren, Volinsky, ICDM 2008, as revisited by Rendle, Krichene, Zhang, Koren, "Revisiting the Performance of iALS on
Item Recommendation Benchmarks", RecSys 2022: every pair has weight α₀, an interaction has 1 more (times its
weight). A user with n interactions is regularized by strength · (n + α₀ · items), an item likewise.

A half step solves (G + λ + Σ v zzᵀ) x = Σ (1 + v) z for every row, G = YᵀY. In the eigenbasis of G the matrix
is diagonal plus one rank for each interaction. A row with n < d interactions then costs n²·d by Woodbury's identity, not
d³. Rows of similar length form a block.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, NamedTuple

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from models.als import Als
from models.structures.arrays import Floats
from offline.data.archive import Progress, quiet
from offline.data.dataset import Interactions
from offline.training.algorithm import Algorithm, ChoiceRange, Context, FloatRange
from offline.training.factorization.blocks import in_order
from offline.training.parameters import IalsParameters

_CELLS: Final = 2_000_000
"""Maximum size of a block of rows: 8 MB for each thread."""


class _Side(NamedTuple):
    """The interactions of one side by row, and the regularization of each row, in units of α₀."""

    extra: sp.csr_matrix
    """c - 1 of each interaction."""
    penalties: Floats
    """λ of each row."""


def train(
    interactions: Interactions,
    parameters: IalsParameters | None = None,
    threads: int = 0,
    progress: Progress = quiet,
    previous: Als | None = None,
) -> Als:
    """Returns factors by exact alternating least squares. User factors of the last half step equal their fold-in.

    The result does not depend on the number of ``threads`` (0: one for each core). With ``previous``, the model of an
    earlier version, training continues from its factors for ``warm_iterations``. New items start as in a full training.
    An earlier version with another d is ignored.
    """
    chosen = parameters or IalsParameters()
    pair = chosen.pair_weight(interactions.matrix)
    alpha = 1 / (pair * float(np.mean(interactions.matrix.data, dtype=np.float64)))
    extra = interactions.matrix.copy()
    extra.data = (np.float32(alpha) * extra.data).astype(np.float32)
    per_interaction = chosen.strength / pair
    users, items = _side(extra, per_interaction, chosen), _side(extra.T.tocsr(), per_interaction, chosen)
    warm = previous if previous is not None and previous.dimensions == chosen.factors else None
    epochs = chosen.iterations if warm is None else chosen.warm_iterations
    item_factors = _begun(interactions, chosen, warm)
    with threadpool_limits(1, user_api="blas"):
        user_factors = half_step(item_factors, users, threads)
        for epoch in range(epochs):
            progress("training ials", epoch, epochs)
            item_factors = half_step(user_factors, items, threads)
            user_factors = half_step(item_factors, users, threads)
    progress("training ials", epochs, epochs)
    constants = chosen.strength * len(interactions.item_ids), chosen.strength * len(interactions.user_ids)
    return Als(
        interactions.user_ids,
        interactions.item_ids,
        user_factors,
        item_factors,
        regularization=constants[0],
        alpha=alpha,
        per_interaction=per_interaction,
        item_regularization=constants[1],
    )


def half_step(factors: Floats, side: _Side, threads: int = 0) -> Floats:
    """Returns the exact solution of every row of ``side`` for fixed ``factors`` (m, d) of the other side; shape (rows, d)."""
    gram = factors.astype(np.float64).T @ factors.astype(np.float64)
    values, basis = np.linalg.eigh(gram)
    rotated = (factors @ basis.astype(np.float32)).astype(np.float32)
    values = np.maximum(values, 0.0).astype(np.float32)
    solved = np.zeros((side.extra.shape[0], factors.shape[1]), dtype=np.float32)
    for rows, solutions in in_order(
        lambda rows: (rows, _solve(rotated, values, side, rows)), _blocks(side.extra, factors.shape[1]), threads
    ):
        solved[rows] = solutions
    back: Floats = solved @ basis.T.astype(np.float32)
    return back


def _side(extra: sp.csr_matrix, per_interaction: float, parameters: IalsParameters) -> _Side:
    constant = parameters.strength * extra.shape[1]
    return _Side(extra, (constant + per_interaction * np.diff(extra.indptr)).astype(np.float32))


def _begun(interactions: Interactions, parameters: IalsParameters, warm: Als | None) -> Floats:
    """Returns initial item factors, shape (I, d)."""
    random = np.random.default_rng(parameters.seed)
    shape = len(interactions.item_ids), parameters.factors
    begun = random.normal(scale=parameters.spread / np.sqrt(parameters.factors), size=shape).astype(np.float32)
    if warm is not None:
        known = [
            (row, position)
            for row, item in enumerate(interactions.item_ids)
            if (position := warm.index_of(item)) is not None
        ]
        rows, positions = zip(*known, strict=True) if known else ((), ())
        begun[list(rows)] = warm.item_factors[list(positions)]
    return begun


def _blocks(extra: sp.csr_matrix, dimensions: int) -> Iterator[NDArray[np.intp]]:
    """Yields blocks of rows of similar length, of about ``_CELLS`` numbers each. Empty rows are skipped."""
    counts = np.diff(extra.indptr)
    order = np.argsort(counts, kind="stable")
    order = order[counts[order] > 0]
    begin = 0
    while begin < order.size:
        size = max(1, _CELLS // _cells(int(counts[order[begin]]), dimensions))
        end = min(order.size, begin + size)
        # All rows of a block are padded to the longest one.
        while end - begin > 1 and (end - begin) * _cells(int(counts[order[end - 1]]), dimensions) > 2 * _CELLS:
            end = begin + (end - begin) // 2
        yield order[begin:end]
        begin = end


def _cells(length: int, dimensions: int) -> int:
    return length * dimensions + min(length, dimensions) ** 2


def _solve(rotated: Floats, values: Floats, side: _Side, rows: NDArray[np.intp]) -> Floats:
    """Returns the solutions of these rows in the eigenbasis, shape (n, d)."""
    begins, counts = side.extra.indptr[rows], np.diff(side.extra.indptr)[rows]
    width = int(counts.max())
    positions = np.arange(width)
    present = positions < counts[:, None]
    entries = np.where(present, begins[:, None] + positions, 0)
    # Padding has weight 0.
    weights = np.where(present, side.extra.data[entries], np.float32(0))
    factors = rotated[side.extra.indices[entries]]
    diagonal = values + side.penalties[rows, None]
    right = np.matmul(np.where(present, weights + 1, 0)[:, None, :], factors)[:, 0, :]
    if width < rotated.shape[1]:
        return _by_woodbury(factors, weights, diagonal, right)
    systems = np.matmul((factors * weights[:, :, None]).transpose(0, 2, 1), factors)
    corner = np.arange(rotated.shape[1])
    systems[:, corner, corner] += diagonal
    solved: Floats = np.linalg.solve(systems, right[:, :, None])[:, :, 0]
    return solved


def _by_woodbury(factors: Floats, weights: Floats, diagonal: Floats, right: Floats) -> Floats:
    """(D + ZᵀWZ)⁻¹ b = D⁻¹b - D⁻¹Zᵀ √W (1 + √W Z D⁻¹ Zᵀ √W)⁻¹ √W Z D⁻¹ b, for each of n rows."""
    scaled = factors * np.sqrt(weights)[:, :, None]
    narrowed = scaled / diagonal[:, None, :]
    small = np.matmul(narrowed, scaled.transpose(0, 2, 1))
    corner = np.arange(small.shape[1])
    small[:, corner, corner] += 1
    base = right / diagonal
    inner = np.linalg.solve(small, np.matmul(scaled, base[:, :, None]))
    solved: Floats = base - np.matmul(narrowed.transpose(0, 2, 1), inner)[:, :, 0]
    return solved


def _train(interactions: Interactions, parameters: IalsParameters, context: Context) -> Als:
    previous = context.previous if isinstance(context.previous, Als) else None
    return train(interactions, parameters, context.threads, context.progress, previous)


ALGORITHM: Final = Algorithm(
    name="ials",
    about="matrix factorization by exact alternating least squares, regularized by frequency",
    parameters=IalsParameters,
    train=_train,
    space={
        "factors": ChoiceRange((32, 64, 128, 192, 256)),
        "strength": FloatRange(0.0005, 0.1),
        "unobserved": FloatRange(1.0, 60.0),
    },
    kind=Als.kind,
)
