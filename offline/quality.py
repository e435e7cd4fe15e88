"""How good a version can be expected to be: the same training on less, asked for what came next."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from offline.archive import Progress
from offline.engines import Engine
from offline.evaluation import Scores, full_ranking
from offline.gate import BASELINE
from offline.options import TrainingOptions
from offline.splits import newest_of_each
from offline.training import popularity


def measure(table: pa.Table, engine: Engine, options: TrainingOptions, progress: Progress) -> dict[str, float]:
    """HR, NDCG, Recall and MRR at 10 of ALS, and popularity's (``popularity HR@10``), by full ranking.

    The newest item of each of a sample of people is held out; nothing where nobody has enough of them.
    """
    split = newest_of_each(table, options.held_out_users) if options.held_out_users else None
    if split is None:
        return {}
    training, held = split
    als = engine.als(training, options.als, progress)
    popular = popularity.train(training).score()

    def by_als(rows: NDArray[np.intp]) -> Scores:
        scores: np.ndarray[Any, np.dtype[np.float32]] = als.user_factors[rows] @ als.item_factors.T
        return scores

    def by_popularity(rows: NDArray[np.intp]) -> Scores:
        return np.tile(popular, (rows.size, 1))

    baseline = full_ranking(held, by_popularity)
    return full_ranking(held, by_als) | {f"{BASELINE}{name}": value for name, value in baseline.items()}
