"""Precomputed user lists by Spark's executors. Each computes blocks with the same numpy code as one machine."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pyarrow as pa
import scipy.sparse as sp

from models.als import Als
from offline.data.archive import Progress, quiet
from offline.data.dataset import Interactions
from offline.training.lists import CELLS, Packed, known_users, packed

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

_WRITTEN: Final = pa.schema([("user_id", pa.string()), ("list", pa.binary())])
_BATCH: Final = 4_096
"""Number of users sent to an executor's Python at a time."""


def user_lists(
    session: SparkSession, als: Als, interactions: Interactions, count: int, progress: Progress = quiet
) -> Iterator[Packed]:
    """Yields what ``lists.user_lists`` yields for ALS. Every executor receives the item factors once.

    Lists return partition by partition, so that the driver holds one partition at a time.
    """
    from pyspark.sql import DataFrame  # noqa: PLC0415 - embedded has no pyspark

    known = known_users(interactions)
    sent = session.sparkContext.broadcast(als.without_users())
    rows: DataFrame = session.createDataFrame(_users(als, interactions, known))
    parts = max(session.sparkContext.defaultParallelism, known.size // (4 * _BATCH))
    session.conf.set("spark.sql.execution.arrow.maxRecordsPerBatch", str(_BATCH))
    lists = rows.repartition(parts).mapInArrow(
        partial(_lists, lambda: sent.value, count), "user_id STRING, list BINARY"
    )
    for done, row in enumerate(lists.toLocalIterator()):
        if done % _BATCH == 0:
            progress("lists of users on Spark", done, known.size)
        yield row.user_id, bytes(row.list)


def _users(als: Als, interactions: Interactions, rows: np.ndarray[Any, np.dtype[np.intp]]) -> pa.Table:
    """Returns id, factors and seen items of each user, as the input of Spark."""
    seen = interactions.matrix[rows]
    offsets = pa.array(seen.indptr, pa.int32())
    return pa.table(
        {
            "user_id": pa.array([interactions.user_ids[row] for row in rows.tolist()], pa.string()),
            "factors": pa.array(list(als.user_factors[rows]), pa.list_(pa.float32())),
            "seen": pa.ListArray.from_arrays(offsets, pa.array(seen.indices, pa.int32())),
        }
    )


def _lists(model: Callable[[], Als], count: int, batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    als = model()
    for batch in batches:
        factors = batch["factors"].flatten().to_numpy(zero_copy_only=False).reshape(batch.num_rows, als.dimensions)
        seen = batch["seen"]
        offsets = np.asarray(seen.offsets) - np.asarray(seen.offsets)[0]
        items = seen.flatten().to_numpy(zero_copy_only=False)
        shape = batch.num_rows, len(als.item_ids)
        matrix = sp.csr_matrix((np.ones(items.size, dtype=np.float32), items, offsets), shape=shape)
        user_ids = batch["user_id"].to_pylist()
        step = max(1, CELLS // len(als.item_ids))
        for block in (slice(start, start + step) for start in range(0, batch.num_rows, step)):
            packed_lists = packed(
                als.item_ids, user_ids[block], factors[block] @ als.item_factors.T, matrix[block], count
            )
            ids, lists = zip(*packed_lists, strict=True)
            yield pa.RecordBatch.from_pydict({"user_id": ids, "list": lists}, schema=_WRITTEN)
