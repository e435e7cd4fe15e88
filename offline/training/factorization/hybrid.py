"""Hybrid: iALS, and ridge regressions from attributes of items and users to their factors.

Gantner et al., "Learning Attribute-to-Feature Mappings for Cold-Start Recommendations", ICDM 2010.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, NamedTuple

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray
from sklearn.linear_model import Ridge

from models.als import Als
from models.content import Content, attribute_terms
from models.hybrid import Hybrid
from models.structures.arrays import Floats
from offline.data.dataset import Interactions
from offline.data.metadata import Metadata
from offline.training.algorithm import Algorithm, ChoiceRange, Context, FloatRange
from offline.training.content import content
from offline.training.content.content import ContentParameters
from offline.training.factorization import ials
from offline.training.parameters import SEED, IalsParameters
from schemas.errors import ConfigurationInvalid


@dataclass(frozen=True, kw_only=True)
class HybridParameters:
    """Parameters of a hybrid. Raises ConfigurationInvalid for an invalid value."""

    factors: int = 64
    """d."""
    ridge: float = 3.0
    """λ of the regressions. Item features have length one."""
    few: int = 5
    """Items with fewer interactions are folded in from their attributes."""
    terms: int = 10_000
    """Maximum number of content terms."""
    least: int = 5
    """Minimum number of users with an attribute value."""
    seed: int = SEED

    def __post_init__(self) -> None:
        if self.factors < 1 or self.ridge <= 0 or self.few < 0 or self.terms < 1 or self.least < 1:
            raise ConfigurationInvalid("factors, ridge, terms and least of a hybrid must be above 0, few not below")


class _Line(NamedTuple):
    """Factors = ``mean`` (d,) + features · ``slopes`` (T, d)."""

    mean: Floats
    slopes: Floats


def train(
    interactions: Interactions, parameters: HybridParameters | None = None, context: Context | None = None
) -> Hybrid:
    """Returns factors of all items and users, and their priors. Raises NothingToTrain if no item has attributes."""
    chosen, inputs = parameters or HybridParameters(), context or Context()
    described = content.train(interactions, inputs.metadata, ContentParameters(terms=chosen.terms))
    trained = ials.train(
        interactions, IalsParameters(factors=chosen.factors, seed=chosen.seed), inputs.threads, inputs.progress
    )
    items = _of_items(described, trained, chosen.ridge)
    user_terms, users = _of_users(inputs.metadata, trained, chosen)
    hybrid = Hybrid(trained, described, *items, user_terms, *users, (), np.zeros((0, chosen.factors), np.float32))
    return _with_cold(_with_priors(hybrid, interactions, inputs.metadata, chosen.few), inputs.metadata)


def _of_items(described: Content, trained: Als, ridge: float) -> _Line:
    """Fits item factors by item terms, over the items that have terms."""
    shape = len(described.item_ids), len(described.terms)
    features = sp.csr_matrix((described.values, described.indices, described.indptr), shape)
    telling = np.flatnonzero(np.diff(described.indptr))
    return _line(features[telling], trained.item_factors[telling], ridge)


def _of_users(metadata: Metadata, trained: Als, parameters: HybridParameters) -> tuple[tuple[str, ...], _Line]:
    """Returns the attributes that count, and fits user factors by them, over the users who have attributes."""
    terms_by_row = {
        row: set(attribute_terms(metadata.users[user_id].attributes))
        for row, user_id in enumerate(trained.user_ids)
        if user_id in metadata.users
    }
    counts = Counter(term for terms in terms_by_row.values() for term in terms)
    terms = tuple(sorted(term for term, n in counts.items() if n >= parameters.least))
    if not terms:
        mean = trained.user_factors.mean(axis=0)
        return (), _Line(mean, np.zeros((0, mean.size), np.float32))
    features = _indicators([terms_by_row[row] for row in terms_by_row], terms)
    return terms, _line(features, trained.user_factors[list(terms_by_row)], parameters.ridge)


def _indicators(term_sets: Sequence[set[str]], terms: Sequence[str]) -> sp.csr_matrix:
    """Returns the terms of each row, (n, A) of ones."""
    columns = {term: column for column, term in enumerate(terms)}
    rows = [sorted(columns[term] for term in term_set if term in columns) for term_set in term_sets]
    indptr = np.concatenate(([0], np.cumsum([len(row) for row in rows])))
    indices = np.array([column for row in rows for column in row], dtype=np.int32)
    return sp.csr_matrix((np.ones(indices.size, np.float32), indices, indptr), (len(rows), len(terms)))


def _line(features: sp.csr_matrix, factors: Floats, ridge: float) -> _Line:
    fitted = Ridge(alpha=ridge, solver="sparse_cg", tol=1e-4).fit(features.astype(np.float64), factors)
    return _Line(np.asarray(fitted.intercept_, np.float32), np.asarray(fitted.coef_.T, np.float32))


def _with_priors(hybrid: Hybrid, interactions: Interactions, metadata: Metadata, few: int) -> Hybrid:
    """Returns the hybrid with factors of rare items folded in from their attributes."""
    columns = interactions.matrix.tocsc()
    factors = hybrid.factors.item_factors.copy()
    for column in np.flatnonzero(np.diff(columns.indptr) < few).tolist():
        item = metadata.items.get(hybrid.item_ids[column])
        if item is not None:
            factors[column] = hybrid.fold_in_item(_first(interactions, columns, column), item)
    return replace(hybrid, factors=replace(hybrid.factors, item_factors=factors))


def _first(interactions: Interactions, columns: sp.csc_matrix, column: int) -> Mapping[str, float]:
    """Returns the users of an item, with weights."""
    entries = slice(columns.indptr[column], columns.indptr[column + 1])
    people: NDArray[Any] = columns.indices[entries]
    weights = columns.data[entries].tolist()
    return {interactions.user_ids[row]: weight for row, weight in zip(people.tolist(), weights, strict=True)}


def _with_cold(hybrid: Hybrid, metadata: Metadata) -> Hybrid:
    """Returns the hybrid with factors of items without interactions."""
    cold = tuple(sorted(item_id for item_id in metadata.items if hybrid.index_of(item_id) is None))
    factors = [hybrid.item_prior(metadata.items[item_id]) for item_id in cold]
    return replace(hybrid, cold_ids=cold, cold_factors=np.array(factors).reshape(len(cold), hybrid.factors.dimensions))


ALGORITHM: Final = Algorithm(
    name="hybrid",
    about="iALS, with factors from what items and users say of themselves where interactions are few or none",
    parameters=HybridParameters,
    train=train,
    space={
        "factors": ChoiceRange((32, 64, 128)),
        "ridge": FloatRange(0.1, 100.0),
        "few": ChoiceRange((0, 2, 5, 10, 20)),
    },
    kind=Hybrid.kind,
)
