"""LambdaMART by LightGBM: trees that put the best candidates of other algorithms in order.

Burges, "From RankNet to LambdaRank to LambdaMART: An Overview", 2010. As in a blend, each component is trained without a
validation slice, and weights are learned; the trees begin from that blend and learn to mend its order of what was held
out among each person's candidates; then every component is trained again on everything.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from models.features import ItemFeatures, features, names, standard_scores
from models.ranker import Ranker, asked_of, candidates, standards_of
from models.structures.arrays import Floats
from models.structures.components import Component
from models.structures.trees import Trees
from offline.data.dataset import Interactions
from offline.data.metadata import Metadata, category_matrix
from offline.data.splits import HoldOut, inner
from offline.training.algorithm import Algorithm, Context, Integers
from offline.training.algorithm import Floats as Between
from offline.training.blending.blend import BlendParameters, Settings, Using, all_need_mib, using_each, weights_of
from offline.training.parameters import SEED
from schemas.errors import ConfigurationInvalid, NothingToTrain

_CELLS: Final = 4_000_000
_CHECKED: Final = 0.2
"""Of the people, the part whose rankings say when to stop."""
_PATIENCE: Final = 30
"""Trees without a gain before it stops."""


@dataclass(frozen=True, kw_only=True)
class RankerParameters:
    """Of a ranker; raises ConfigurationInvalid where a value cannot work."""

    components: tuple[str, ...] = ("ease-auto", "ials", "neighbours")
    """Names of algorithms, each once."""
    settings: Settings = field(default_factory=dict)
    """Parameters that differ from an algorithm's defaults, by its name."""
    people: int = 5_000
    """At most so many are asked for an item held out of theirs."""
    depth: int = 100
    """How many of each component's best items are candidates."""
    trees: int = 400
    """At most; it stops where more of them gain nothing."""
    leaves: int = 15
    """Of a tree."""
    rate: float = 0.05
    """How much each tree adds."""
    smallest: int = 50
    """Candidates that a leaf must hold."""
    seed: int = SEED

    def __post_init__(self) -> None:
        if not self.components or len(set(self.components)) < len(self.components) or "ranker" in self.components:
            raise ConfigurationInvalid("a ranker needs components, each named once, and cannot be one of its own")
        if min(self.people, self.depth, self.trees, self.smallest) < 1 or self.leaves < 2 or not self.rate > 0:
            raise ConfigurationInvalid(
                "people, depth, trees, smallest and rate of a ranker must be above 0, and leaves above 1"
            )


class Examples(NamedTuple):
    """Candidates of n people who are asked, one person after the other."""

    rows: NDArray[np.float64]
    """(m, F) features."""
    right: NDArray[np.intp]
    """(m,) 1 for what was held out, else 0."""
    sizes: NDArray[np.intp]
    """(n,) candidates of each person."""


def train(interactions: Interactions, parameters: RankerParameters, context: Context) -> Ranker:
    """Trees from a slice, then components from everything.

    Raises ConfigurationInvalid for an unknown component or without the extra, NothingToTrain where nobody has enough
    to hold out or no candidate was right.
    """
    library, alone = _lightgbm(), replace(context, previous=None)
    chosen = using_each(parameters.components, parameters.settings)
    part, held = inner(interactions, users=parameters.people, seed=parameters.seed)
    before = _components(chosen, part, alone)
    found = examples(part, held, before, described(part, context.metadata), parameters.depth)
    how = BlendParameters(people=parameters.people, depth=parameters.depth, seed=parameters.seed)
    weights = np.array(weights_of([each.model for each in before], part, held, how), dtype=np.float32)
    trees = exported(_boosted(library, found, weights, parameters, context.threads))
    components = _components(chosen, interactions, alone)
    return Ranker(components, *described(interactions, context.metadata), weights, trees, parameters.depth)


def examples(
    part: Interactions, held: HoldOut, components: tuple[Component, ...], about: ItemFeatures, depth: int
) -> Examples:
    """The candidates of those people for whom one is right; raises NothingToTrain where there is nobody."""
    step = max(1, _CELLS // len(part.item_ids))
    asked = np.array([row for row in held.rows.tolist() if held.known[row].size], dtype=np.intp)
    blocks = (asked[at : at + step] for at in range(0, asked.size, step))
    every = [each for block in blocks for each in _examples(part, held, components, about, depth, block)]
    if not every:
        raise NothingToTrain("a ranker has nothing to learn from: no component has a held-out item among its best")
    rows, right = (np.concatenate(parts) for parts in zip(*every, strict=True))
    return Examples(rows, right, np.array([each.size for _, each in every], dtype=np.intp))


def _examples(
    part: Interactions,
    held: HoldOut,
    components: tuple[Component, ...],
    about: ItemFeatures,
    depth: int,
    asked: NDArray[np.intp],
) -> Iterator[tuple[NDArray[np.float64], NDArray[np.intp]]]:
    """Each person's candidates outside the history, and which is right; people without a right one left out."""
    histories = part.histories(asked)
    standards: Floats = standards_of(components, histories)
    for at, row in enumerate(asked.tolist()):
        history = histories.row(at)[0]
        found = candidates(standards[:, at], history, depth)
        right = (found == held.known[row][0]).astype(np.intp)
        if right.any():
            new = ~np.isin(found, history)
            rows = features(asked_of(histories, at), found, standards[:, at, found], about)
            yield rows[new], right[new]


def described(interactions: Interactions, metadata: Metadata) -> ItemFeatures:
    """What the interactions and the facts say of each item."""
    matrix = interactions.matrix
    popularity = np.asarray(matrix.sum(axis=0, dtype=np.float64)).ravel().astype(np.float32)
    first = np.zeros(matrix.shape[1])
    if interactions.times is not None:
        first[:] = np.inf
        np.minimum.at(first, matrix.indices, interactions.times)
    of = category_matrix(metadata, interactions.item_ids)
    if of is None:
        return ItemFeatures(popularity, first, np.zeros(first.size + 1, dtype=np.int64), np.empty(0, dtype=np.int32))
    return ItemFeatures(popularity, first, of.indptr.astype(np.int64), of.indices.astype(np.int32))


def _components(chosen: list[Using], interactions: Interactions, context: Context) -> tuple[Component, ...]:
    return tuple(Component(one.algorithm.name, one.train(interactions, context)) for one in chosen)


def _lightgbm() -> Any:
    try:
        import lightgbm  # noqa: PLC0415 - an extra
    except (ImportError, OSError) as error:
        raise ConfigurationInvalid("ranker needs the extra 'ranker': pip install 'freshet[ranker]'") from error
    return lightgbm


def _boosted(library: Any, found: Examples, weights: Floats, parameters: RankerParameters, threads: int) -> Any:
    """The trees as LightGBM has them, each mending the order of the blend and the trees before it.

    A part of the people says when to stop.
    """
    blended = standard_scores(found.rows, weights.size) @ weights
    people = found.sizes.size
    checked = max(1, round(people * _CHECKED)) if people > 1 else 0
    split = int(found.sizes[: people - checked].sum())
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
    of_learned, of_checked = found.sizes[: people - checked], found.sizes[people - checked :]
    learned = library.Dataset(found.rows[:split], found.right[:split], group=of_learned, init_score=blended[:split])
    if not checked:
        return library.train(options, learned, parameters.trees)
    check = learned.create_valid(found.rows[split:], found.right[split:], group=of_checked, init_score=blended[split:])
    stop = library.early_stopping(_PATIENCE, verbose=False)
    return library.train(options, learned, parameters.trees, valid_sets=[check], callbacks=[stop])


class _Nodes:
    """Nodes in the order in which they are met."""

    def __init__(self) -> None:
        self.rows: list[list[float]] = []
        """Feature, threshold, left, right, value."""
        self.depth = 0

    def add(self, node: dict[str, Any], depth: int = 0) -> int:
        """The number of this node, its own below it."""
        number, self.depth = len(self.rows), max(self.depth, depth)
        if "split_feature" not in node:
            self.rows.append([0, 0.0, number, number, float(node["leaf_value"])])
            return number
        self.rows.append([node["split_feature"], node["threshold"], 0, 0, 0.0])
        self.rows[number][2] = self.add(node["left_child"], depth + 1)
        self.rows[number][3] = self.add(node["right_child"], depth + 1)
        return number


def exported(booster: Any) -> Trees:
    """LightGBM's trees (numeric splits, no missing values) as arrays, up to the best iteration."""
    nodes = _Nodes()
    dumped = booster.dump_model(num_iteration=booster.best_iteration)
    roots = np.array([nodes.add(tree["tree_structure"]) for tree in dumped["tree_info"]], dtype=np.int32)
    feature, threshold, left, right, value = np.array(nodes.rows, dtype=np.float64).reshape(-1, 5).T
    asked, below, above = (each.astype(np.int32) for each in (feature, left, right))
    return Trees(roots, asked, threshold, below, above, value, nodes.depth)


def needs_mib(interactions: Interactions, parameters: RankerParameters) -> float:
    """What the components need that say so, together, and the features of all candidates; in MiB."""
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
        "leaves": Integers(4, 63, log=True),
        "rate": Between(0.01, 0.2),
        "smallest": Integers(10, 500, log=True),
        "depth": Integers(30, 300, log=True),
    },
    needs_mib=needs_mib,
    kind=Ranker.kind,
)
