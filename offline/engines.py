"""What interactions and factors are computed by: this process, or Spark. Both give the same values."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal, Protocol

import pyarrow as pa

from models.als import Als
from offline.archive import Progress
from offline.dataset import Interactions
from offline.interactions.parameters import Parameters
from offline.options import TrainingOptions
from offline.training.parameters import AlsParameters
from schemas.errors import ConfigurationInvalid

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

EngineName = Literal["auto", "single", "spark"]


class Engine(Protocol):
    """Reads interactions from archived files and trains ALS on them."""

    name: str

    def interactions(self, files: Sequence[str], parameters: Parameters, progress: Progress) -> pa.Table:
        """The interactions, as ``offline.dataset.from_arrow`` takes them."""

    def als(self, interactions: Interactions, parameters: AlsParameters, progress: Progress) -> Als:
        """The factors."""

    def close(self) -> None:
        """Let go of what was started."""


class SingleEngine:
    """DuckDB and ``implicit`` in this process."""

    name = "single"

    def __init__(self, threads: int) -> None:
        self._threads = threads

    def interactions(self, files: Sequence[str], parameters: Parameters, progress: Progress) -> pa.Table:
        """By DuckDB."""
        from offline.interactions.duck import run_duckdb  # noqa: PLC0415 - Spark's side does without

        return run_duckdb(files, parameters, progress)

    def als(self, interactions: Interactions, parameters: AlsParameters, progress: Progress) -> Als:
        """By ``implicit``."""
        from offline.training import als_single  # noqa: PLC0415

        return als_single.train(interactions, parameters, self._threads, progress)

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

    def als(self, interactions: Interactions, parameters: AlsParameters, progress: Progress) -> Als:
        """By MLlib."""
        from offline.training import als_spark  # noqa: PLC0415

        return als_spark.train(self._session(), interactions, parameters, progress)

    def close(self) -> None:
        """Stop Spark."""
        if self._started is not None:
            self._started.stop()

    def _session(self) -> SparkSession:
        from offline.spark import session  # noqa: PLC0415

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
    return SingleEngine(options.threads)
