"""What interactions and factors are computed by: this process, or Spark. Both give the same values."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Literal, Protocol

import pyarrow as pa

from models.als import Als
from models.structures.recommender import Recommender
from offline.data.archive import Progress
from offline.data.dataset import Interactions
from offline.engines.options import TrainingOptions
from offline.interactions.parameters import Parameters
from offline.training import lists
from offline.training.lists import Packed
from schemas.errors import ConfigurationInvalid

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

EngineName = Literal["auto", "single", "spark"]


class Engine(Protocol):
    """Reads interactions from archived files and trains ALS on them."""

    name: str

    def interactions(self, files: Sequence[str], parameters: Parameters, progress: Progress) -> pa.Table:
        """The interactions, as ``offline.data.dataset.from_arrow`` takes them."""

    def als(
        self, interactions: Interactions, options: TrainingOptions, progress: Progress, previous: Als | None = None
    ) -> Als:
        """The factors; where it can, the engine goes on from those of an earlier version."""

    def user_lists(
        self, model: Recommender, interactions: Interactions, count: int, progress: Progress
    ) -> Iterator[Packed]:
        """Every known user's best unseen items, as ``offline.training.lists.user_lists`` gives them."""

    def close(self) -> None:
        """Let go of what was started."""


class SingleEngine:
    """DuckDB, and our own solver or ``implicit``, in this process."""

    name = "single"

    def __init__(self, threads: int, memory: str) -> None:
        self._threads, self._memory = threads, memory

    def interactions(self, files: Sequence[str], parameters: Parameters, progress: Progress) -> pa.Table:
        """By DuckDB."""
        from offline.interactions.duck import run_duckdb  # noqa: PLC0415 - Spark's side does without

        return run_duckdb(files, parameters, progress, self._memory)

    def als(
        self, interactions: Interactions, options: TrainingOptions, progress: Progress, previous: Als | None = None
    ) -> Als:
        """By our own solver, which goes on from an earlier version, or by ``implicit``, which does not."""
        from offline.training.factorization import als_single, ials  # noqa: PLC0415

        if options.factorization == "ials":
            return ials.train(interactions, options.ials, self._threads, progress, previous)
        return als_single.train(interactions, options.als, self._threads, progress)

    def user_lists(
        self, model: Recommender, interactions: Interactions, count: int, progress: Progress
    ) -> Iterator[Packed]:
        """By this process's threads."""
        return lists.user_lists(model, interactions, count, progress, self._threads)

    def close(self) -> None:
        """Nothing was started."""


class SparkEngine:
    """Spark SQL and MLlib. Pairs and factors come together on the driver, 12 bytes a pair."""

    name = "spark"

    def __init__(self, master: str, memory: str) -> None:
        self._master, self._memory = master, memory
        self._started: SparkSession | None = None

    def interactions(self, files: Sequence[str], parameters: Parameters, progress: Progress) -> pa.Table:
        """By Spark SQL."""
        from offline.interactions.spark import run_spark  # noqa: PLC0415 - embedded has no pyspark

        progress("interactions on Spark", 0, 1)
        return run_spark(self._session(), files, parameters).toArrow()

    def als(
        self,
        interactions: Interactions,
        options: TrainingOptions,
        progress: Progress,
        previous: Als | None = None,  # noqa: ARG002 - MLlib cannot go on from given factors
    ) -> Als:
        """By MLlib, always anew."""
        from offline.training.factorization import als_spark  # noqa: PLC0415

        return als_spark.train(self._session(), interactions, options.als, progress)

    def user_lists(
        self, model: Recommender, interactions: Interactions, count: int, progress: Progress
    ) -> Iterator[Packed]:
        """By the executors where the model is a factorization, else by the driver's threads."""
        from offline.training import lists_spark  # noqa: PLC0415

        if isinstance(model, Als):
            return lists_spark.user_lists(self._session(), model, interactions, count, progress)
        return lists.user_lists(model, interactions, count, progress)

    def close(self) -> None:
        """Stop Spark."""
        if self._started is not None:
            self._started.stop()

    def _session(self) -> SparkSession:
        from offline.engines.spark_session import session  # noqa: PLC0415

        if self._started is None:
            self._started = session("freshet-train", master=self._master, memory=self._memory)
        return self._started


def choose(name: EngineName, events: int, options: TrainingOptions) -> Engine:
    """The engine of this name; ``auto`` is Spark once more than ``options.single_limit`` events are archived.

    Raises ConfigurationInvalid for any other name.
    """
    if name not in ("auto", "single", "spark"):
        raise ConfigurationInvalid(f"'{name}' is not an engine; choose auto, single or spark")
    if name == "spark" or (name == "auto" and events > options.single_limit):
        return SparkEngine(options.spark_master, options.spark_memory)
    return SingleEngine(options.threads, options.sql_memory)
