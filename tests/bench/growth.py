"""Cost of training and of lists by the number of interactions: Spark with several executors, compared with one process.

Draws ``docs/images/growth.svg`` from the figures.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
import pyspark
import scipy.sparse as sp
from matplotlib import pyplot as plt

from models.als import Als
from offline.data.dataset import Interactions
from offline.engines.options import SparkOptions
from offline.engines.spark_session import session
from offline.training import lists, lists_spark
from offline.training.factorization import als_single, als_spark
from offline.training.parameters import AlsParameters
from schemas.offline.manifest import DataWindow
from tests.bench.results import Figures, console

MILLIONS = (1, 2, 3, 5)
PARAMETERS = AlsParameters(factors=32, iterations=5)
COUNT = 100
MASTER = "local-cluster[2,1,1536]"
"""Two executors with one core and 1.5 GiB each, in separate processes."""
CHART = Path(__file__).parents[2] / "docs" / "images" / "growth.svg"


def measure() -> Figures:
    spark = _spark()
    als_spark.train(spark, _interactions(1), PARAMETERS)  # executors start and compile here, before anything is timed
    rows: dict[str, list[dict[str, float]]] = {"spark": [], "single": []}
    for millions in MILLIONS:
        interactions = _interactions(millions)
        rows["spark"].append(
            _row(
                millions,
                lambda given=interactions: als_spark.train(spark, given, PARAMETERS),
                lambda als, given=interactions: lists_spark.user_lists(spark, als, given, COUNT),
            )
        )
        rows["single"].append(
            _row(
                millions,
                lambda given=interactions: als_single.train(given, PARAMETERS),
                lambda als, given=interactions: lists.user_lists(als, given, COUNT),
            )
        )
        console.print(f"{millions} million", rows["spark"][-1], rows["single"][-1])
    spark.stop()
    _draw(rows)
    return Figures(
        "spark", {"master": MASTER, "factors": PARAMETERS.factors, "iterations": PARAMETERS.iterations, **rows}
    )


def _row(millions: int, train: Callable[[], Als], lists_of: Callable[[Als], Any]) -> dict[str, float]:
    begun = time.perf_counter()
    als = train()
    trained = time.perf_counter()
    made = sum(1 for _ in lists_of(als))
    ended = time.perf_counter()
    return {
        "millions": millions,
        "lists": made,
        "training_seconds": round(trained - begun, 1),
        "lists_seconds": round(ended - trained, 1),
    }


def _interactions(millions: int) -> Interactions:
    """Returns a log with 100 interactions per user and 10,000 items plus 2,000 per million, chosen by Zipf's law."""
    random = np.random.default_rng(millions)
    count, users, items = millions * 1_000_000, millions * 10_000, 10_000 + millions * 2_000
    rows, columns = random.integers(0, users, count), (items ** random.random(count)).astype(np.int64) - 1
    matrix = sp.csr_matrix((np.ones(count, np.float32), (rows, columns)), shape=(users, items))
    matrix.data[:] = 1.0
    matrix.sort_indices()
    user_ids, item_ids = tuple(f"u{row:07}" for row in range(users)), tuple(f"i{column:05}" for column in range(items))
    window = DataWindow(interactions=int(matrix.nnz), users=users, items=items)
    return Interactions(user_ids, item_ids, matrix, window, {})


def _spark() -> Any:
    # A local cluster starts its executors from Spark's home, with this Python.
    os.environ.setdefault("SPARK_HOME", str(Path(pyspark.__file__).parent))
    os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
    return session(
        "freshet-growth", options=SparkOptions(master=MASTER, memory="3g"), settings={"spark.executor.memory": "1536m"}
    )


def _draw(rows: dict[str, list[dict[str, float]]]) -> None:
    mpl.rcParams["svg.hashsalt"] = "growth"
    figure, axes = plt.subplots(1, 2, figsize=(9, 3.5), layout="constrained")
    for axis, what in zip(axes, ("training_seconds", "lists_seconds"), strict=True):
        for name, points in rows.items():
            axis.plot([p["millions"] for p in points], [p[what] for p in points], marker="o", label=name)
        axis.set_xlabel("million interactions")
        axis.set_ylabel(what.replace("_seconds", ", seconds"))
        axis.set_ylim(bottom=0)
        axis.legend()
    CHART.parent.mkdir(exist_ok=True)
    figure.savefig(CHART, metadata={"Date": None})
    plt.close(figure)
