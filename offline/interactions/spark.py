"""Runs the steps on Spark, whose dialect the SQL files use. pyspark is imported only on a call."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from offline.data.archive import Progress, quiet
from offline.interactions.parameters import Parameters
from offline.interactions.steps import steps

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

_WEIGHTS: Final = "type STRING, at_least DOUBLE, below DOUBLE, weight DOUBLE, since_ms DOUBLE"
_STORED: Final = "log_id STRING, partition INT, offset BIGINT, timestamp_ms BIGINT, value BINARY"
_REUSED: Final = frozenset({"fields", "deduplicated", "interactions"})
"""Tables that are computed once and kept. Else Spark would compute them again in each step that reads them."""


def run_spark(
    session: SparkSession, files: Sequence[str], parameters: Parameters, progress: Progress = quiet
) -> DataFrame:
    """Returns the interactions of archived files of the events topic, with the columns and rows of ``run_duckdb``.

    Creates temporary views in the session, named after the steps. Executors keep some of them as long as the result exists.
    """
    weights = [tuple(row) for row in parameters.weight_rows()]
    session.createDataFrame(weights, _WEIGHTS).createOrReplaceTempView("weights")
    _records(session, files).createOrReplaceTempView("records")
    arguments, all_steps = parameters.arguments(), steps()
    for done, step in enumerate(all_steps):
        progress(f"interactions: {step.table}", done, len(all_steps))
        frame = session.sql(step.sql, {name: arguments[name] for name in step.parameters})
        # Not persist(): Spark does not recognise a cached query with WITH inside another query with WITH.
        frame = frame.localCheckpoint() if step.table in _REUSED else frame
        frame.createOrReplaceTempView(step.table)
    return frame


def _records(session: SparkSession, files: Sequence[str]) -> DataFrame:
    reader = session.read.option("recursiveFileLookup", "true").schema(_STORED)
    stored = reader.parquet(*files) if files else session.createDataFrame([], _STORED)
    coordinates = ["log_id", "partition", "offset", "timestamp_ms"]
    text = stored.selectExpr(*coordinates, "try_validate_utf8(CAST(value AS STRING)) AS value")
    # Not get_json_object, which accepts truncated JSON.
    return text.selectExpr(*coordinates, "CASE WHEN try_parse_json(value) IS NOT NULL THEN value END AS value")
