"""Spark sessions for Freshet's jobs. They log only errors, and run on this machine unless a master is configured."""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from importlib.resources import files
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, Final

import structlog

from offline.engines.options import SparkOptions
from offline.engines.spark_failures import named_failures
from schemas.errors import ServerMissing

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

_HADOOP_SCHEMES: Final = {"s3": "s3a", "gcs": "gs"}
"""Hadoop's name of each scheme that fsspec names otherwise."""

_log = structlog.get_logger(__name__)


def session(
    name: str,
    jars: Sequence[str] = (),
    options: SparkOptions | None = None,
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
    # Where the Java process is gone, py4j logs pages of what the raised error says too.
    logging.getLogger("py4j").setLevel(logging.CRITICAL)
    chosen = options or SparkOptions()
    builder = SparkSession.builder.appName(name).master(chosen.master)
    for key, value in {**_settings(jars, chosen), **(settings or {})}.items():
        builder = builder.config(key, value)
    _forget_a_gone_process()
    try:
        with named_failures("its start"):
            started: SparkSession = builder.getOrCreate()
    except (PySparkRuntimeError, FileNotFoundError) as error:
        raise ServerMissing(f"Spark did not start; it needs Java 17 or newer: {error}") from error
    if chosen.is_local:
        # By default, Spark's workers run the first python3 of the PATH, which may belong to another environment.
        started.sparkContext.pythonExec = sys.executable
    return started


def _forget_a_gone_process() -> None:
    """Lets a new session start its own Java process, where the one of an earlier session has crashed."""
    from pyspark import SparkContext  # noqa: PLC0415
    from pyspark.sql import SparkSession  # noqa: PLC0415

    gateway: Any = SparkContext._gateway  # noqa: SLF001 - pyspark has no public way
    if gateway is not None and gateway.proc is not None and gateway.proc.poll() is not None:
        SparkContext._gateway = SparkContext._jvm = SparkContext._active_spark_context = None  # noqa: SLF001
        SparkSession._instantiatedSession = None  # noqa: SLF001


@contextmanager
def checkpoints(started: SparkSession, options: SparkOptions) -> Iterator[None]:
    """Gives the session a folder for checkpoints, which is removed at the end if it is a temporary one."""
    with ExitStack() as stack:
        if options.checkpoint:
            started.sparkContext.setCheckpointDir(hadoop_address(options.checkpoint))
        elif options.is_local:
            folder = stack.enter_context(TemporaryDirectory(prefix="freshet-spark-", ignore_cleanup_errors=True))
            started.sparkContext.setCheckpointDir(folder)
        else:
            _log.warning(
                "spark_has_no_checkpoints", advice="set FRESHET_SPARK_CHECKPOINT to where all executors reach it"
            )
        yield


def hadoop_address(address: str) -> str:
    """Returns an fsspec address as Hadoop, which Spark writes by, names it."""
    scheme, separator, path = address.partition("://")
    return f"{_HADOOP_SCHEMES.get(scheme, scheme)}://{path}" if separator else address


def _settings(jars: Sequence[str], options: SparkOptions) -> dict[str, str]:
    log_settings = files("offline.engines").joinpath("spark_log4j2.properties")
    log = "" if options.log is None else f" -Dfreshet.spark.appender=file -Dfreshet.spark.log={options.log.resolve()}"
    return {
        "spark.jars": ",".join(jars),
        "spark.driver.memory": options.memory,
        "spark.driver.host": "127.0.0.1",
        "spark.driver.bindAddress": "127.0.0.1",
        "spark.driver.extraJavaOptions": f"-Xss{options.stack} -Dlog4j2.configurationFile={log_settings}{log}",
        "spark.executor.extraJavaOptions": f"-Xss{options.stack}",
        "spark.ui.enabled": "false",
        "spark.ui.showConsoleProgress": "false",
        "spark.log.level": "ERROR",
        "spark.sql.session.timeZone": "UTC",
        "spark.sql.shuffle.partitions": "8",
        # If a record has two fields of the same name, one of them is read, as the readers of the log do.
        "spark.sql.variant.allowDuplicateKeys": "true",
    }
