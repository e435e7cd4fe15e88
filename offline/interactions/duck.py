"""Runs the steps on DuckDB, in this process. It needs no server, no JVM and no network."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from typing import Any, Final

import duckdb
import pyarrow as pa
import sqlglot

from offline.data.archive import Progress, quiet
from offline.interactions.parameters import Parameters
from offline.interactions.steps import SqlStep, steps

MEMORY: Final = "3GB"
"""Default memory limit of DuckDB."""
_WEIGHTS: Final = pa.schema(
    [
        ("type", pa.string()),
        ("at_least", pa.float64()),
        ("below", pa.float64()),
        ("weight", pa.float64()),
        ("since_ms", pa.float64()),
    ]
)
_RECORDS: Final = pa.schema(
    [
        ("log_id", pa.string()),
        ("partition", pa.int32()),
        ("offset", pa.int64()),
        ("timestamp_ms", pa.int64()),
        ("value", pa.string()),
    ]
)


def run_duckdb(
    files: Sequence[str], parameters: Parameters, progress: Progress = quiet, memory: str = MEMORY
) -> pa.Table:
    """Returns the interactions of archived files of the events topic, in any order.

    Columns: user (signal key: ``u:``, ``a:`` or ``s:`` and the id), item, weight, events (count), first_at and at (times of
    the first and the newest event, in seconds since 1970). Data beyond ``memory`` (``"4GB"``) is spilled to temporary
    files. Raises duckdb.Error if a file cannot be read.
    """
    last = steps()[-1].table
    with made_until(files, parameters, last, progress, memory) as connection:
        return connection.table(last).to_arrow_table()


@contextmanager
def made_until(
    files: Sequence[str], parameters: Parameters, table: str, progress: Progress = quiet, memory: str = MEMORY
) -> Iterator[duckdb.DuckDBPyConnection]:
    """Yields a connection that has the table of this step. Earlier tables may be dropped. Raises as ``run_duckdb`` does."""
    with tempfile.TemporaryDirectory(prefix="freshet-duckdb-") as spill, duckdb.connect() as connection:
        connection.execute("SET autoinstall_known_extensions = false")
        connection.execute("SET temp_directory = $folder", {"folder": spill})
        connection.execute("SET memory_limit = $memory", {"memory": memory})
        connection.execute("SET preserve_insertion_order = false")
        _prepare(connection, files, parameters)
        arguments = parameters.arguments()
        steps_to_run = steps()[: [step.table for step in steps()].index(table) + 1]
        for done, step in enumerate(steps_to_run):
            progress(f"interactions: {step.table}", done, len(steps_to_run))
            _make(connection, step, arguments)
            _drop_unread(connection, steps_to_run[: done + 1], steps_to_run[done + 1 :])
        yield connection


def _drop_unread(connection: duckdb.DuckDBPyConnection, done: Sequence[SqlStep], remaining: Sequence[SqlStep]) -> None:
    """Drop the tables that no remaining step reads."""
    for step in done:
        if remaining and not any(step.table in later.reads for later in remaining):
            connection.execute(f'DROP TABLE IF EXISTS "{step.table}"')


@cache
def translated(step: SqlStep) -> str:
    """Returns the SQL of a step in DuckDB's dialect."""
    [sql] = sqlglot.transpile(step.sql, read="spark", write="duckdb", identify=True)
    return sql


def _make(connection: duckdb.DuckDBPyConnection, step: SqlStep, arguments: dict[str, Any]) -> None:
    step_arguments = {name: arguments[name] for name in step.parameters}
    try:
        connection.execute(f'CREATE TEMP TABLE "{step.table}" AS {translated(step)}', step_arguments)
    except RuntimeError as error:
        # DuckDB raises this error if Ctrl-C is pressed while it works.
        if "interrupted" in str(error).lower():
            raise KeyboardInterrupt from error
        raise


def _prepare(connection: duckdb.DuckDBPyConnection, files: Sequence[str], parameters: Parameters) -> None:
    rows = [row._asdict() for row in parameters.weight_rows()]
    connection.register("weights", pa.Table.from_pylist(rows, schema=_WEIGHTS))
    if files:
        # A value that is not text or not JSON becomes null, as on Spark.
        records = connection.read_parquet(list(files), hive_partitioning=False).project(
            'log_id, "partition", "offset", timestamp_ms, TRY_CAST(TRY(decode("value")) AS JSON) AS "value"'
        )
        records.create_view("records")
    else:
        connection.register("records", _RECORDS.empty_table())
