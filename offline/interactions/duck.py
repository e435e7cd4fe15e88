"""Runs the steps on DuckDB: in this process, without a server, a JVM or the network."""

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
"""What DuckDB may use by default."""
_WEIGHTS: Final = pa.schema(
    [("type", pa.string()), ("at_least", pa.float64()), ("below", pa.float64()), ("weight", pa.float64())]
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
    """The interactions in archived files of the events topic, in any order.

    Columns: user (signal key: ``u:``, ``a:`` or ``s:`` and the id), item, weight, events (count), first_at and
    at (seconds since 1970 of the first and latest event). What does not fit into ``memory`` (``"4GB"``) is spilled
    to temporary files. Raises duckdb.Error where a file cannot be read.
    """
    last = steps()[-1].table
    with made_until(files, parameters, last, progress, memory) as connection:
        return connection.table(last).to_arrow_table()


@contextmanager
def made_until(
    files: Sequence[str], parameters: Parameters, table: str, progress: Progress = quiet, memory: str = MEMORY
) -> Iterator[duckdb.DuckDBPyConnection]:
    """A connection that has this step's table; those before it, only what it needs. Raises as ``run_duckdb`` does."""
    with tempfile.TemporaryDirectory(prefix="freshet-duckdb-") as spill, duckdb.connect() as connection:
        connection.execute("SET autoinstall_known_extensions = false")
        connection.execute("SET temp_directory = $folder", {"folder": spill})
        connection.execute("SET memory_limit = $memory", {"memory": memory})
        connection.execute("SET preserve_insertion_order = false")
        _prepare(connection, files, parameters)
        arguments = parameters.arguments()
        every = steps()[: [step.table for step in steps()].index(table) + 1]
        for done, step in enumerate(every):
            progress(f"interactions: {step.table}", done, len(every))
            _make(connection, step, arguments)
            _drop_unread(connection, every[: done + 1], every[done + 1 :])
        yield connection


def _drop_unread(connection: duckdb.DuckDBPyConnection, made: Sequence[SqlStep], left: Sequence[SqlStep]) -> None:
    """Let go of tables that no later step reads."""
    for step in made:
        if left and not any(step.table in later.reads for later in left):
            connection.execute(f'DROP TABLE IF EXISTS "{step.table}"')


@cache
def translated(step: SqlStep) -> str:
    """The step's SQL in DuckDB's dialect."""
    [sql] = sqlglot.transpile(step.sql, read="spark", write="duckdb", identify=True)
    return sql


def _make(connection: duckdb.DuckDBPyConnection, step: SqlStep, arguments: dict[str, Any]) -> None:
    taken = {name: arguments[name] for name in step.parameters}
    try:
        connection.execute(f'CREATE TEMP TABLE "{step.table}" AS {translated(step)}', taken)
    except RuntimeError as error:
        # This is how DuckDB says that Ctrl-C came while it worked.
        if "interrupted" in str(error).lower():
            raise KeyboardInterrupt from error
        raise


def _prepare(connection: duckdb.DuckDBPyConnection, files: Sequence[str], parameters: Parameters) -> None:
    rows = [row._asdict() for row in parameters.weight_rows()]
    connection.register("weights", pa.Table.from_pylist(rows, schema=_WEIGHTS))
    if files:
        # A value that is no text or no JSON is null, as Spark's side reads it.
        records = connection.read_parquet(list(files), hive_partitioning=False).project(
            'log_id, "partition", "offset", timestamp_ms, TRY_CAST(TRY(decode("value")) AS JSON) AS "value"'
        )
        records.create_view("records")
    else:
        connection.register("records", _RECORDS.empty_table())
