"""Runs the steps on Spark, as they stand in their files. pyspark is only needed when this is called."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from offline.data.archive import Progress, quiet
from offline.interactions.parameters import Parameters
from offline.interactions.steps import steps

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

_WEIGHTS: Final = "type STRING, at_least DOUBLE, below DOUBLE, weight DOUBLE"
_STORED: Final = "log_id STRING, partition INT, offset BIGINT, timestamp_ms BIGINT, value BINARY"
_REUSED: Final = frozenset({"fields", "deduplicated", "interactions"})
"""Tables that later steps read several times, or whose expressions Spark would copy into each place that reads them."""


def run_spark(
    session: SparkSession, files: Sequence[str], parameters: Parameters, progress: Progress = quiet
) -> DataFrame:
    """The interactions in archived files of the events topic: the columns and rows of ``run_duckdb``.

    Makes temporary views in the session, named after the steps; executors keep some of them while the result is held.
    """
    weights = [tuple(row) for row in parameters.weight_rows()]
    session.createDataFrame(weights, _WEIGHTS).createOrReplaceTempView("weights")
    _records(session, files).createOrReplaceTempView("records")
    arguments, every = parameters.arguments(), steps()
    for done, step in enumerate(every):
        progress(f"interactions: {step.table}", done, len(every))
        frame = session.sql(step.sql, {name: arguments[name] for name in step.parameters})
        # persist() would not do: Spark does not recognise a cached query with a WITH inside another that has one.
        frame = frame.localCheckpoint() if step.table in _REUSED else frame
        frame.createOrReplaceTempView(step.table)
    return frame


def _records(session: SparkSession, files: Sequence[str]) -> DataFrame:
    reader = session.read.option("recursiveFileLookup", "true").schema(_STORED)
    stored = reader.parquet(*files) if files else session.createDataFrame([], _STORED)
    place = ["log_id", "partition", "offset", "timestamp_ms"]
    text = stored.selectExpr(*place, "try_validate_utf8(CAST(value AS STRING)) AS value")
    # get_json_object would read the beginning of JSON that breaks off.
    return text.selectExpr(*place, "CASE WHEN try_parse_json(value) IS NOT NULL THEN value END AS value")
