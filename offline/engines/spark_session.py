"""Spark sessions for Freshet's jobs: small, quiet, and on this machine unless a master is configured."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from importlib.resources import files
from typing import TYPE_CHECKING

from schemas.errors import ServerMissing

if TYPE_CHECKING:
    from pyspark.sql import SparkSession


def session(
    name: str,
    jars: Sequence[str] = (),
    master: str = "local[2]",
    memory: str = "1g",
    settings: Mapping[str, str] | None = None,
) -> SparkSession:
    """The process's Spark session, started where there is none; ``jars`` are paths, needed to read Kafka.

    Raises ServerMissing where pyspark or Java is not installed. ``settings`` are Spark's own and win.
    """
    try:
        from pyspark.errors import PySparkRuntimeError  # noqa: PLC0415 - embedded has no pyspark
        from pyspark.sql import SparkSession  # noqa: PLC0415
    except ImportError as error:
        raise ServerMissing("Spark is not installed: run `make dev`, or choose --engine single") from error
    builder = SparkSession.builder.appName(name).master(master)
    for key, value in {**_settings(jars, memory), **(settings or {})}.items():
        builder = builder.config(key, value)
    try:
        started: SparkSession = builder.getOrCreate()
    except (PySparkRuntimeError, FileNotFoundError) as error:
        raise ServerMissing(f"Spark did not start; it needs Java 17 or newer: {error}") from error
    if master.startswith("local"):
        # Its workers would take the first python3 of the PATH, which is not this environment's.
        started.sparkContext.pythonExec = sys.executable
    return started


def _settings(jars: Sequence[str], memory: str) -> dict[str, str]:
    logging = files("offline.engines").joinpath("spark_log4j2.properties")
    return {
        "spark.jars": ",".join(jars),
        "spark.driver.memory": memory,
        "spark.driver.host": "127.0.0.1",
        "spark.driver.bindAddress": "127.0.0.1",
        "spark.driver.extraJavaOptions": f"-Dlog4j2.configurationFile={logging}",
        "spark.ui.enabled": "false",
        "spark.ui.showConsoleProgress": "false",
        "spark.log.level": "ERROR",
        "spark.sql.session.timeZone": "UTC",
        "spark.sql.shuffle.partitions": "8",
        # As the log's own readers do: of two fields of one name, one is read.
        "spark.sql.variant.allowDuplicateKeys": "true",
    }
