"""From archived events to (user, item, weight): each step one SQL file, run by DuckDB or by Spark alike.

What the two read differently, and no collector writes: text after a record's JSON, a comma before a closing
bracket, NaN.
"""

from offline.interactions.duck import run_duckdb
from offline.interactions.parameters import DEFAULT_WEIGHTS, Parameters
from offline.interactions.spark import run_spark
from offline.interactions.steps import steps
from schemas.weights import Weight, WeightStep

__all__ = ["DEFAULT_WEIGHTS", "Parameters", "Weight", "WeightStep", "run_duckdb", "run_spark", "steps"]
