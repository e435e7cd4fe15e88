"""Computes interactions (user, item, weight) from archived events. Each step is one SQL file, for DuckDB and for Spark.

Both give the same result. They differ only on JSON that no collector writes: text after the object, a comma before a
closing bracket, and NaN.
"""

from offline.interactions.duck import run_duckdb
from offline.interactions.parameters import TRAINING_WEIGHTS, Parameters
from offline.interactions.spark import run_spark
from offline.interactions.steps import steps
from schemas.values.weights import Weight, WeightStep

__all__ = ["TRAINING_WEIGHTS", "Parameters", "Weight", "WeightStep", "run_duckdb", "run_spark", "steps"]
