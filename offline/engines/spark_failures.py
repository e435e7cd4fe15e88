"""Turns failures of Spark into one named error with a sentence. Its long trace is kept apart."""

from __future__ import annotations

import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from schemas.errors import SparkFailed

_ADVICE: Final = {
    "StackOverflowError": "raise FRESHET_SPARK_STACK, or lower FRESHET_SPARK_CHECKPOINT_INTERVAL",
    "OutOfMemoryError": "raise FRESHET_SPARK_MEMORY",
    "No space left on device": "make room on the disk of Spark's temporary files (SPARK_LOCAL_DIRS)",
}
"""What to do about a cause, by a part of its text."""
_OTHERWISE: Final = "try again, or train with --engine single"
_LONGEST: Final = 300
"""Limit of characters of a cause in a sentence."""


@contextmanager
def named_failures(work: str) -> Iterator[None]:
    """Turns errors of Spark, of its Java process and of the connection to it into SparkFailed."""
    # Embedded has no pyspark.
    from py4j.protocol import Py4JError  # noqa: PLC0415
    from pyspark.errors import PySparkException  # noqa: PLC0415

    try:
        yield
    except (Py4JError, PySparkException, ConnectionError, EOFError) as error:
        trace = traceback.format_exc()
        raise SparkFailed(f"Spark failed at {work} ({_cause(error, trace)}): {_advice(trace)}", trace) from error


def _cause(error: Exception, trace: str) -> str:
    """Returns the first line of the Java exception, or of Python's if Java gives none."""
    named = next((name for name in _ADVICE if name in trace), None)
    if named is not None:
        return named
    lines = [line for line in str(error).splitlines() if line.strip()]
    java = next((line for line in lines if line.startswith(("java.", "org.", "scala."))), None)
    return (java or (lines[0] if lines else type(error).__name__))[:_LONGEST]


def _advice(trace: str) -> str:
    return next((advice for name, advice in _ADVICE.items() if name in trace), _OTHERWISE)
