"""The engines that compute interactions, factors and lists: this process, or Spark."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, suppress
from typing import TYPE_CHECKING, Literal, Protocol

import pyarrow as pa

from models.als import Als
from models.structures.recommender import Recommender
from offline.data.archive import Progress
from offline.data.dataset import Interactions
from offline.engines.options import SparkOptions, TrainingOptions
from offline.engines.spark_failures import named_failures
from offline.interactions.parameters import Parameters
from offline.training import lists
from offline.training.lists import Packed
from schemas.errors import ConfigurationInvalid, SparkFailed

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

EngineName = Literal["auto", "single", "spark"]


class Engine(Protocol):
    """Computes interactions from archived files, factors from interactions, and lists from a model."""

    name: str

    def interactions(self, files: Sequence[str], parameters: Parameters, progress: Progress) -> pa.Table:
        """Returns the interactions, with the columns of ``offline.data.dataset.from_arrow``."""

    def als(
        self, interactions: Interactions, options: TrainingOptions, progress: Progress, previous: Als | None = None
    ) -> Als:
        """Returns the factors. If the engine can, it starts from ``previous``, the factors of an earlier version."""

    def user_lists(
        self, model: Recommender, interactions: Interactions, count: int, progress: Progress
    ) -> Iterator[Packed]:
        """Yields the best unseen items of each known user, like ``offline.training.lists.user_lists``."""

    def close(self) -> None:
        """Stop everything that the engine started."""


class SingleEngine:
    """Computes in this process, by DuckDB and by our solver or the library ``implicit``."""

    name = "single"

    def __init__(self, threads: int, memory: str) -> None:
        self._threads, self._memory = threads, memory

    def interactions(self, files: Sequence[str], parameters: Parameters, progress: Progress) -> pa.Table:
        """See Engine. Runs on DuckDB."""
        from offline.interactions.duck import run_duckdb  # noqa: PLC0415 - Spark needs no DuckDB

        return run_duckdb(files, parameters, progress, self._memory)

    def als(
        self, interactions: Interactions, options: TrainingOptions, progress: Progress, previous: Als | None = None
    ) -> Als:
        """See Engine. Our solver starts from ``previous``, ``implicit`` ignores it."""
        from offline.training.factorization import als_single, ials  # noqa: PLC0415

        if options.factorization == "ials":
            return ials.train(interactions, options.ials, self._threads, progress, previous)
        return als_single.train(interactions, options.als, self._threads, progress)

    def user_lists(
        self, model: Recommender, interactions: Interactions, count: int, progress: Progress
    ) -> Iterator[Packed]:
        """See Engine. Runs on threads of this process."""
        return lists.user_lists(model, interactions, count, progress, self._threads)

    def close(self) -> None:
        """Do nothing, because nothing was started."""


class SparkEngine:
    """Computes on Spark, by Spark SQL and MLlib. The driver collects all pairs (12 bytes each) and all factors."""

    name = "spark"

    def __init__(self, options: SparkOptions | None = None) -> None:
        self._options = options or SparkOptions()
        self._opened = ExitStack()
        self._started: SparkSession | None = None

    def interactions(self, files: Sequence[str], parameters: Parameters, progress: Progress) -> pa.Table:
        """See Engine. Runs on Spark SQL."""
        from offline.interactions.spark import run_spark  # noqa: PLC0415 - embedded has no pyspark

        progress("interactions on Spark", 0, 1)
        session = self._session()
        with named_failures("interactions"):
            return run_spark(session, files, parameters).toArrow()

    def als(
        self,
        interactions: Interactions,
        options: TrainingOptions,
        progress: Progress,
        previous: Als | None = None,  # noqa: ARG002 - MLlib cannot start from given factors
    ) -> Als:
        """See Engine. Runs on MLlib, which ignores ``previous``."""
        from offline.training.factorization import als_spark  # noqa: PLC0415

        session, interval = self._session(), self._options.checkpoint_interval
        with named_failures("training als"):
            return als_spark.train(session, interactions, options.als, progress, interval)

    def user_lists(
        self, model: Recommender, interactions: Interactions, count: int, progress: Progress
    ) -> Iterator[Packed]:
        """See Engine. Runs on the executors if the model is a factorization, else on threads of the driver."""
        from offline.training import lists_spark  # noqa: PLC0415

        if not isinstance(model, Als):
            yield from lists.user_lists(model, interactions, count, progress)
            return
        session = self._session()
        with named_failures("lists of users"):
            yield from lists_spark.user_lists(session, model, interactions, count, progress)

    def close(self) -> None:
        """Stop Spark. If its Java process is gone, there is nothing to stop."""
        if self._started is not None:
            with suppress(SparkFailed), named_failures("stopping"):
                self._started.stop()
            self._opened.close()

    def _session(self) -> SparkSession:
        from offline.engines.spark_session import checkpoints, session  # noqa: PLC0415

        if self._started is None:
            self._started = session("freshet-train", options=self._options)
            with named_failures("setting up checkpoints"):
                self._opened.enter_context(checkpoints(self._started, self._options))
        return self._started


def choose(name: EngineName, events: int, options: TrainingOptions) -> Engine:
    """Returns the engine of a name. ``auto`` is Spark if more than ``options.single_limit`` events are archived.

    Raises ConfigurationInvalid for any other name.
    """
    if name not in ("auto", "single", "spark"):
        raise ConfigurationInvalid(f"'{name}' is not an engine; choose auto, single or spark")
    if name == "spark" or (name == "auto" and events > options.single_limit):
        return SparkEngine(options.spark)
    return SingleEngine(options.threads, options.sql_memory)
