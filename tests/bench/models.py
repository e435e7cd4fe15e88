"""Models: lists for all users, ALS to equal quality, and publishing. Each is compared with a library or a bare loop."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pyarrow as pa
import scipy.sparse as sp
from implicit.cpu.als import AlternatingLeastSquares
from pyspark.ml.recommendation import ALS
from threadpoolctl import threadpool_limits

from adapters.cassandra.models import CassandraModelStore, create_keyspace
from models.als import Als
from models.structures.lists import USERS, ScoredList
from offline.data.dataset import Interactions
from offline.data.splits import HoldOut, inner
from offline.engines.options import SparkOptions
from offline.engines.spark_session import session
from offline.evaluation.compare import load_ncf
from offline.evaluation.ranking_metrics import full_ranking
from offline.training.factorization import als_single, als_spark, ials
from offline.training.lists import user_lists
from schemas.offline.manifest import DataWindow, Manifest
from tests.bench.results import Figures, console, datasets
from tests.bench.system import servers

COUNT = 100
DIMENSIONS = 64
EPOCHS = (2, 4, 8)
ROUNDS = 3
CLOSE = 0.99
"""Each solver is timed until it reaches this share of the worst solver's best NDCG@10."""


def measure() -> Figures:
    """The solvers. Spark is local, with two cores."""
    return Figures("cluster", {"lists": lists(), "als": als(), "publish": publish()})


def lists(users: int = 8_000, items: int = 50_000, on_spark: int = 1_000) -> dict[str, Any]:
    """Returns users per second that get their 100 best unseen items of 50,000. Spark computes lists for fewer users."""
    model, interactions = _factors(users, items)
    theirs = AlternatingLeastSquares(factors=DIMENSIONS)
    theirs.user_factors, theirs.item_factors = model.user_factors, model.item_factors
    ours, implicit = [], []
    for number in range(ROUNDS):
        ours.append(_seconds(lambda: sum(1 for _ in user_lists(model, interactions, COUNT))))
        with threadpool_limits(1, user_api="blas"):  # implicit has its own threads, and warns if BLAS has threads too
            implicit.append(_seconds(lambda: theirs.recommend(np.arange(users), interactions.matrix, N=COUNT)))
        console.print(f"lists, round {number + 1} of {ROUNDS}: ours {ours[-1]:.1f} s, implicit {implicit[-1]:.1f} s")
    spark = _spark_lists(model, on_spark)
    console.print(f"lists of {on_spark:,} users by Spark: {spark:.1f} s")
    found = {"ours": users / min(ours), "implicit": users / min(implicit), "spark": on_spark / spark}
    return {
        "users_a_second": {name: round(rate, 1) for name, rate in found.items()},
        "ours_of_implicit": round(found["ours"] / found["implicit"], 2),
        "ours_of_spark": round(found["ours"] / found["spark"], 1),
        "rounds_seconds": {"ours": _rounded(ours), "implicit": _rounded(implicit)},
        "note": "ours includes packing each list for the store; Spark's does not remove what was seen",
    }


def als() -> dict[str, Any]:
    """Returns seconds to equal NDCG@10 on an inner slice of MovieLens 1M's training part, at one number of factors."""
    training, held = inner(load_ncf(datasets() / "ncf-ml1m").training, users=2_000, seed=1)
    chosen = {name: _curve(name, train, training, held) for name, train in _solvers(training).items()}
    target = CLOSE * min(max(point["NDCG@10"] for point in curve) for curve in chosen.values())
    reached = {name: next(p["seconds"] for p in curve if p["NDCG@10"] >= target) for name, curve in chosen.items()}
    return {
        "dimensions": DIMENSIONS,
        "NDCG@10": round(target, 4),
        "seconds_to_it": reached,
        "implicit_of_ours": round(reached["implicit"] / reached["ours"], 2),
        "spark_of_ours": round(reached["spark"] / reached["ours"], 2),
        "curves": chosen,
    }


def publish(users: int = 10_000) -> dict[str, Any]:
    """Returns lists per second into Cassandra, compared with a bare loop of inserts. A sample is read back."""
    entries = [(f"u{user:06}", _list(user)) for user in range(users)]
    ours, bare = [], []
    with servers(("cassandra",)) as (settings, _):
        create_keyspace(settings.cassandra, settings.prefix)
        store = CassandraModelStore(settings.cassandra, settings.prefix)
        for number in range(ROUNDS):
            ours.append(_seconds(lambda number=number: _publish(store, f"v{number}", entries)))
            bare.append(
                _seconds(lambda number=number: _bare(settings.cassandra, settings.prefix, f"b{number}", entries))
            )
            console.print(f"publish, round {number + 1} of {ROUNDS}: ours {ours[-1]:.1f} s, bare {bare[-1]:.1f} s")
        store.close()
    found = {"ours": users / min(ours), "bare": users / min(bare)}
    return {
        "lists_a_second": {name: round(rate) for name, rate in found.items()},
        "ours_of_bare": round(found["ours"] / found["bare"], 2),
        "list_bytes": len(entries[0][1]),
        "rounds_seconds": {"ours": _rounded(ours), "bare": _rounded(bare)},
    }


def _factors(users: int, items: int) -> tuple[Als, Interactions]:
    random = np.random.default_rng(3)
    seen = sp.random(users, items, 20 / items, format="csr", dtype=np.float32, random_state=3)
    ids = tuple(f"u{row:06}" for row in range(users)), tuple(f"i{column:06}" for column in range(items))
    interactions = Interactions(*ids, seen, DataWindow(interactions=seen.nnz, users=users, items=items), {})
    factors = random.normal(size=(users, DIMENSIONS)), random.normal(size=(items, DIMENSIONS))
    return Als(*ids, *factors, regularization=0.1, alpha=1.0), interactions


def _spark_lists(model: Als, users: int) -> float:
    """Returns the seconds of MLlib's ``recommendForAllUsers``, by a model of this size with little training."""
    spark = session("freshet-bench", options=SparkOptions(memory="3g"))
    random = np.random.default_rng(1)
    items = np.arange(len(model.item_ids))
    met = sp.csr_matrix((np.ones(items.size, np.float32), (random.integers(0, users, items.size), items)))
    pairs = {"user": met.tocoo().row, "item": met.tocoo().col, "rating": met.tocoo().data}
    ratings = spark.createDataFrame(pa.table({name: pa.array(each) for name, each in pairs.items()}))
    made = ALS(rank=DIMENSIONS, maxIter=1, implicitPrefs=True, numUserBlocks=2, numItemBlocks=2).fit(ratings)
    seconds = _seconds(lambda: made.recommendForAllUsers(COUNT).write.format("noop").mode("overwrite").save())
    spark.stop()
    return seconds


def _solvers(training: Interactions) -> dict[str, Callable[[Interactions, int], Als]]:
    spark = session("freshet-bench", options=SparkOptions(memory="3g"))

    def by_spark(training: Interactions, epochs: int) -> Als:
        return als_spark.train(spark, training, als_spark.AlsParameters(factors=DIMENSIONS, iterations=epochs))

    by_spark(training, 1)  # the first training is slow, because the JVM compiles during it
    return {
        "ours": lambda training, epochs: ials.train(
            training, ials.IalsParameters(factors=DIMENSIONS, iterations=epochs)
        ),
        "implicit": lambda training, epochs: als_single.train(
            training, als_single.AlsParameters(factors=DIMENSIONS, iterations=epochs)
        ),
        "spark": by_spark,
    }


def _curve(
    name: str, train: Callable[[Interactions, int], Als], training: Interactions, held: HoldOut
) -> list[dict[str, float]]:
    points = []
    for epochs in EPOCHS:
        begun = time.perf_counter()
        model = train(training, epochs)
        seconds = time.perf_counter() - begun
        found = full_ranking(held, lambda rows, model=model: model.score_histories(training.histories(rows)))
        points.append({"epochs": epochs, "seconds": round(seconds, 2), "NDCG@10": round(found["NDCG@10"], 4)})
        console.print(f"ALS by {name}", points[-1])
    return points


def _publish(store: CassandraModelStore, version: str, entries: list[tuple[str, bytes]]) -> None:
    """Writes a version, then reads a sample of its lists back."""
    manifest = Manifest(
        version=version, created_at=datetime.now(UTC), algorithm="bench", engine="single", parameters={},
        window=DataWindow(interactions=0, users=len(entries), items=0), offsets={}, values=(), lists={USERS: len(entries)},
    )  # fmt: skip
    store.write(manifest, {}, {USERS: iter(entries)})
    for key, value in entries[:: len(entries) // 50]:
        assert store.entry(version, USERS, key) == value


def _bare(hosts: str, keyspace: str, version: str, entries: list[tuple[str, bytes]]) -> None:
    """Runs the driver's default loop of single inserts into the same table."""
    from cassandra.cluster import Cluster
    from cassandra.concurrent import execute_concurrent_with_args

    host, port = hosts.split(":")
    with Cluster([host], port=int(port)) as cluster:
        connection = cluster.connect(keyspace)
        statement = connection.prepare("INSERT INTO lists (version, kind, bucket, key, value) VALUES (?, ?, ?, ?, ?)")
        rows = ((version, USERS, place % 256, key, value) for place, (key, value) in enumerate(entries))
        for done in execute_concurrent_with_args(connection, statement, rows, results_generator=True):
            assert done.success


def _list(user: int) -> bytes:
    items = np.random.default_rng(user).integers(0, 100_000, COUNT).tolist()
    return ScoredList(tuple(f"i{item:06}" for item in items), tuple(np.linspace(1, 0, COUNT).tolist())).save()


def _seconds(work: Callable[[], Any]) -> float:
    begun = time.perf_counter()
    work()
    return time.perf_counter() - begun


def _rounded(seconds: Iterator[float] | list[float]) -> list[float]:
    return [round(each, 2) for each in seconds]
