"""LambdaMART by LightGBM: trees that rank the top candidates of other algorithms.

Burges, "From RankNet to LambdaRank to LambdaMART: An Overview", 2010. As in a blend, each component is
trained without a validation slice, and weights are learned. The trees start from that blend and learn to correct its
ranking of the held-out items. Then every component is trained again on all data.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from models.features import ItemFeatures, features, names, standard_scores
from models.ranker import Ranker, candidates, ranking_query_of, standards_of
from models.structures.arrays import Floats
from models.structures.components import Component
from models.structures.trees import Trees
from offline.data.dataset import Interactions
from offline.data.metadata import Metadata, category_matrix
from offline.data.splits import HoldOut, inner
from offline.training.algorithm import Algorithm, Context, FloatRange, IntegerRange
from offline.training.blending.blend import BlendParameters, Settings, Using, all_need_mib, using_each, weights_of
from offline.training.parameters import SEED
from schemas.errors import ConfigurationInvalid, NothingToTrain

_CELLS: Final = 4_000_000
_CHECKED: Final = 0.2
"""Share of the people that is used for early stopping."""
_PATIENCE: Final = 30
"""Number of trees without a gain before training stops."""


@dataclass(frozen=True, kw_only=True)
class RankerParameters:
    """Parameters of a ranker. Raises ConfigurationInvalid for an invalid value."""

    components: tuple[str, ...] = ("ease-auto", "ials", "neighbours")
    """Names of distinct algorithms."""
    settings: Settings = field(default_factory=dict)
    """Parameters by algorithm that differ from its defaults."""
    people: int = 5_000
    """Maximum number of people in the validation slice."""
    depth: int = 100
    """Number of top items of each component that become candidates."""
    trees: int = 400
    """Maximum number of trees. Training stops early without a gain."""
    leaves: int = 15
    """Maximum number of leaves of a tree."""
    rate: float = 0.05
    """Learning rate."""
    smallest: int = 50
    """Minimum number of candidates in a leaf."""
    seed: int = SEED

    def __post_init__(self) -> None:
        if not self.components or len(set(self.components)) < len(self.components) or "ranker" in self.components:
            raise ConfigurationInvalid("a ranker needs components, each named once, and cannot be one of its own")
        if min(self.people, self.depth, self.trees, self.smallest) < 1 or self.leaves < 2 or not self.rate > 0:
            raise ConfigurationInvalid(
                "people, depth, trees, smallest and rate of a ranker must be above 0, and leaves above 1"
            )


class Examples(NamedTuple):
    """Training examples: the candidates of n people, one person after the other."""

    rows: NDArray[np.float64]
    """(m, F) features."""
    right: NDArray[np.intp]
    """(m,) 1 for a held-out item, else 0."""
    sizes: NDArray[np.intp]
    """(n,) number of candidates of each person."""


def train(interactions: Interactions, parameters: RankerParameters, context: Context) -> Ranker:
    """Trains the trees on a slice, then the components on all data.

    Raises ConfigurationInvalid for an unknown component or without the extra, NothingToTrain if nobody has enough
    items to hold out or if no candidate is relevant.
    """
    library, alone = _lightgbm(), replace(context, previous=None)
    chosen = using_each(parameters.components, parameters.settings)
    part, held = inner(interactions, users=parameters.people, seed=parameters.seed)
    before = _components(chosen, part, alone)
    learned = examples(part, held, before, described(part, context.metadata), parameters.depth)
    how = BlendParameters(people=parameters.people, depth=parameters.depth, seed=parameters.seed)
    weights = np.array(weights_of([component.model for component in before], part, held, how), dtype=np.float32)
    trees = exported(_boosted(library, learned, weights, parameters, context.threads))
    components = _components(chosen, interactions, alone)
    return Ranker(components, *described(interactions, context.metadata), weights, trees, parameters.depth)


def examples(
    part: Interactions, held: HoldOut, components: tuple[Component, ...], about: ItemFeatures, depth: int
) -> Examples:
    """Returns the candidates of the people who have a relevant one. Raises NothingToTrain if nobody has."""
    step = max(1, _CELLS // len(part.item_ids))
    people = np.array([row for row in held.rows.tolist() if held.known[row].size], dtype=np.intp)
    blocks = (people[start : start + step] for start in range(0, people.size, step))
    examples = [example for block in blocks for example in _examples(part, held, components, about, depth, block)]
    if not examples:
        raise NothingToTrain("a ranker has nothing to learn from: no component has a held-out item among its best")
    rows, relevant = (np.concatenate(parts) for parts in zip(*examples, strict=True))
    return Examples(rows, relevant, np.array([labels.size for _, labels in examples], dtype=np.intp))


def _examples(
    part: Interactions,
    held: HoldOut,
    components: tuple[Component, ...],
    about: ItemFeatures,
    depth: int,
    people: NDArray[np.intp],
) -> Iterator[tuple[NDArray[np.float64], NDArray[np.intp]]]:
    """Yields features and labels of each person's candidates outside the history. People without a relevant one are skipped."""
    histories = part.histories(people)
    standards: Floats = standards_of(components, histories)
    for person, row in enumerate(people.tolist()):
        history = histories.row(person)[0]
        items = candidates(standards[:, person], history, depth)
        right = (items == held.known[row][0]).astype(np.intp)
        if right.any():
            new = ~np.isin(items, history)
            rows = features(ranking_query_of(histories, person), items, standards[:, person, items], about)
            yield rows[new], right[new]


def described(interactions: Interactions, metadata: Metadata) -> ItemFeatures:
    """Returns popularity, first time and categories of each item."""
    matrix = interactions.matrix
    popularity = np.asarray(matrix.sum(axis=0, dtype=np.float64)).ravel().astype(np.float32)
    first = np.zeros(matrix.shape[1])
    if interactions.times is not None:
        first[:] = np.inf
        np.minimum.at(first, matrix.indices, interactions.times)
    categories = category_matrix(metadata, interactions.item_ids)
    if categories is None:
        return ItemFeatures(popularity, first, np.zeros(first.size + 1, dtype=np.int64), np.empty(0, dtype=np.int32))
    return ItemFeatures(popularity, first, categories.indptr.astype(np.int64), categories.indices.astype(np.int32))


def _components(chosen: list[Using], interactions: Interactions, context: Context) -> tuple[Component, ...]:
    return tuple(Component(using.algorithm.name, using.train(interactions, context)) for using in chosen)


def _lightgbm() -> Any:
    try:
        import lightgbm  # noqa: PLC0415 - an extra
    except (ImportError, OSError) as error:
        raise ConfigurationInvalid("ranker needs the extra 'ranker': pip install 'freshet[ranker]'") from error
    return lightgbm


def _boosted(library: Any, learned_from: Examples, weights: Floats, parameters: RankerParameters, threads: int) -> Any:
    """Trains LightGBM's trees, which start from the scores of the blend. A share of the people is used for early stopping."""
    blended = standard_scores(learned_from.rows, weights.size) @ weights
    people = learned_from.sizes.size
    checked = max(1, round(people * _CHECKED)) if people > 1 else 0
    split = int(learned_from.sizes[: people - checked].sum())
    options = {
        "objective": "lambdarank",
        "metric": "ndcg",
        "eval_at": [10],
        "num_leaves": parameters.leaves,
        "learning_rate": parameters.rate,
        "min_data_in_leaf": parameters.smallest,
        "use_missing": False,
        "deterministic": True,
        "force_row_wise": True,
        "seed": parameters.seed,
        "num_threads": threads,
        "verbosity": -1,
    }
    of_learned, of_checked = learned_from.sizes[: people - checked], learned_from.sizes[people - checked :]
    learned = library.Dataset(
        learned_from.rows[:split], learned_from.right[:split], group=of_learned, init_score=blended[:split]
    )
    if not checked:
        return library.train(options, learned, parameters.trees)
    check = learned.create_valid(
        learned_from.rows[split:], learned_from.right[split:], group=of_checked, init_score=blended[split:]
    )
    stop = library.early_stopping(_PATIENCE, verbose=False)
    return library.train(options, learned, parameters.trees, valid_sets=[check], callbacks=[stop])


class _Nodes:
    """Collects nodes in depth-first order."""

    def __init__(self) -> None:
        self.rows: list[list[float]] = []
        """Feature, threshold, left, right, value."""
        self.depth = 0

    def add(self, node: dict[str, Any], depth: int = 0) -> int:
        """Adds a node and its children. Returns its number."""
        number, self.depth = len(self.rows), max(self.depth, depth)
        if "split_feature" not in node:
            self.rows.append([0, 0.0, number, number, float(node["leaf_value"])])
            return number
        self.rows.append([node["split_feature"], node["threshold"], 0, 0, 0.0])
        self.rows[number][2] = self.add(node["left_child"], depth + 1)
        self.rows[number][3] = self.add(node["right_child"], depth + 1)
        return number


def exported(booster: Any) -> Trees:
    """Returns LightGBM's trees up to the best iteration as arrays. Splits are numeric, without missing values."""
    nodes = _Nodes()
    dumped = booster.dump_model(num_iteration=booster.best_iteration)
    roots = np.array([nodes.add(tree["tree_structure"]) for tree in dumped["tree_info"]], dtype=np.int32)
    feature, threshold, left_child, right_child, value = np.array(nodes.rows, dtype=np.float64).reshape(-1, 5).T
    features, below, above = (column.astype(np.int32) for column in (feature, left_child, right_child))
    return Trees(roots, features, threshold, below, above, value, nodes.depth)


def needs_mib(interactions: Interactions, parameters: RankerParameters) -> float:
    """Returns the summed memory estimates of the components, plus the features of all candidates, in MiB."""
    width = len(names(parameters.components))
    rows = min(parameters.people, len(interactions.user_ids)) * parameters.depth * len(parameters.components)
    of_each = all_need_mib(interactions, using_each(parameters.components, parameters.settings))
    return of_each + 2 * 8 * rows * width / 2**20


ALGORITHM: Final = Algorithm(
    name="ranker",
    about="a blend of several algorithms, its best candidates put in order by LambdaMART; needs the extra 'ranker'",
    parameters=RankerParameters,
    train=train,
    space={
        "leaves": IntegerRange(4, 63, log=True),
        "rate": FloatRange(0.01, 0.2),
        "smallest": IntegerRange(10, 500, log=True),
        "depth": IntegerRange(30, 300, log=True),
    },
    needs_mib=needs_mib,
    kind=Ranker.kind,
)
