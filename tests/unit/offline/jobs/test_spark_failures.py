"""A failure of Spark is one sentence with advice, and its trace is kept for the job's log."""

from __future__ import annotations

import pytest

from deploy.wiring.job_logs import job_log, trace_in
from offline.config import OfflineSettings
from offline.engines.spark_session import hadoop_address
from offline.jobs.options import options_of
from schemas.errors import SparkFailed

pyspark = pytest.importorskip("pyspark")

from py4j.protocol import Py4JNetworkError  # noqa: E402
from pyspark.errors import PySparkException  # noqa: E402

from offline.engines.spark_failures import named_failures  # noqa: E402

OVERFLOW = """An error occurred while calling o77.fit.
: org.apache.spark.SparkException: Job aborted due to stage failure: Task serialization failed: java.lang.StackOverflowError
\tat java.base/java.io.ObjectOutputStream.writeObject0(ObjectOutputStream.java:1178)"""


@pytest.mark.parametrize(
    ("error", "cause", "advice"),
    [
        (PySparkException(OVERFLOW), "StackOverflowError", "raise FRESHET_SPARK_STACK"),
        (
            PySparkException("java.lang.OutOfMemoryError: Java heap space"),
            "OutOfMemoryError",
            "raise FRESHET_SPARK_MEMORY",
        ),
        (PySparkException("\norg.apache.spark.X: no such column\n\tat x"), "no such column", "--engine single"),
        (Py4JNetworkError("Answer from Java side is empty"), "Answer from Java side is empty", "--engine single"),
        (ConnectionRefusedError(111, "Connection refused"), "Connection refused", "--engine single"),
        (EOFError(), "EOFError", "--engine single"),
    ],
    ids=["stack", "memory", "other", "network", "gone", "end"],
)
def test_a_failure_of_spark_names_its_cause_and_what_to_do(error, cause, advice):
    with pytest.raises(SparkFailed, match="Spark failed at training als") as raised, named_failures("training als"):
        raise error
    assert cause in str(raised.value)
    assert advice in str(raised.value)
    assert "\n" not in str(raised.value)
    assert type(error).__name__ in raised.value.trace


def test_other_failures_stay_what_they_are():
    with pytest.raises(ZeroDivisionError), named_failures("training als"):
        raise ZeroDivisionError


def test_the_trace_goes_to_the_jobs_log_and_the_sentence_names_it(tmp_path):
    log = job_log(tmp_path / "data", "train")
    with pytest.raises(SparkFailed) as raised, trace_in(log):
        raise SparkFailed("Spark failed", "first\n\tat second\n")
    assert str(raised.value) == f"Spark failed; the trace is in {tmp_path}/data/logs/train.log"
    assert log.read_text() == "first\n\tat second\n"


@pytest.mark.parametrize(
    ("address", "named"),
    [
        ("s3://bucket/x", "s3a://bucket/x"),
        ("gcs://bucket/x", "gs://bucket/x"),
        ("hdfs://host:9000/x", "hdfs://host:9000/x"),
        ("/var/spark", "/var/spark"),
    ],
)
def test_an_address_of_checkpoints_is_named_as_hadoop_does(address, named):
    assert hadoop_address(address) == named


def test_the_settings_reach_the_session():
    settings = OfflineSettings(spark_stack="8m", spark_checkpoint="hdfs://h/x", spark_checkpoint_interval=7)
    spark = options_of(settings).spark
    assert (spark.stack, spark.checkpoint, spark.checkpoint_interval) == ("8m", "hdfs://h/x", 7)
