"""Spark sessions for Freshet's jobs. They log only errors, and run on this machine unless a master is configured."""

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
    """Returns the Spark session of this process. Starts it if there is none.

    ``jars`` are paths of libraries that read Kafka. ``settings`` are Spark's own settings and override ours. Raises
    ServerMissing if pyspark or Java is not installed.
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
        # By default, Spark's workers run the first python3 of the PATH, which may belong to another environment.
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
        # If a record has two fields of the same name, one of them is read, as the readers of the log do.
        "spark.sql.variant.allowDuplicateKeys": "true",
    }
