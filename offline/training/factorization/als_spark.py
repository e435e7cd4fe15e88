"""ALS by Spark MLlib, for data that has outgrown one machine."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from models.als import Als
from models.structures.arrays import Floats
from offline.data.archive import Progress, quiet
from offline.data.dataset import Interactions
from offline.training.parameters import AlsParameters

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession


def train(
    session: SparkSession,
    interactions: Interactions,
    parameters: AlsParameters | None = None,
    progress: Progress = quiet,
    checkpoint_interval: int = 3,
) -> Als:
    """Returns factors by MLlib's implicit ALS. User factors come from its last half step and equal their fold-in.

    MLlib counts λ once for each interaction of the user or item, so ``strength`` is λ itself. Its sums depend on
    Spark's partitions: the same seed gives nearly, not exactly, the same factors.
    """
    from pyspark.ml.recommendation import ALS  # noqa: PLC0415 - embedded has no pyspark

    chosen = parameters or AlsParameters()
    alpha = chosen.alpha_of(interactions.matrix)
    blocks = max(2, session.sparkContext.defaultParallelism)
    algorithm = ALS(
        rank=chosen.factors,
        maxIter=chosen.iterations,
        regParam=chosen.strength,
        alpha=alpha,
        implicitPrefs=True,
        seed=chosen.seed,
        numUserBlocks=blocks,
        numItemBlocks=blocks,
        intermediateStorageLevel="MEMORY_AND_DISK",
        # Each iteration adds to the lineage, and Java walks it by recursion. Only a checkpoint cuts it.
        checkpointInterval=checkpoint_interval,
    )
    progress("training als on Spark", 0, 1)
    model = algorithm.fit(_ratings(session, interactions))
    users = _dense(model.userFactors, len(interactions.user_ids), chosen.factors)
    items = _dense(model.itemFactors, len(interactions.item_ids), chosen.factors)
    progress("training als on Spark", 1, 1)
    return Als(interactions.user_ids, interactions.item_ids, users, items, 0.0, alpha, chosen.strength)


def _ratings(session: SparkSession, interactions: Interactions) -> DataFrame:
    entries = interactions.matrix.tocoo()
    columns = {"user": entries.row, "item": entries.col, "rating": entries.data}
    types = {"user": pa.int32(), "item": pa.int32(), "rating": pa.float32()}
    return session.createDataFrame(pa.table({name: pa.array(values, types[name]) for name, values in columns.items()}))


def _dense(factors: DataFrame, count: int, width: int) -> Floats:
    """Returns rows in the order of their ids, shape (count, width)."""
    table = factors.toArrow()
    rows = table["features"].combine_chunks().flatten().to_numpy(zero_copy_only=False)
    dense = np.zeros((count, width), dtype=np.float32)
    dense[table["id"].to_numpy()] = rows.reshape(-1, width)
    return dense
