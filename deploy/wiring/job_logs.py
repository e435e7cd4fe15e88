"""The log file of a job: what the scheduled process prints, and the long trace of a failure."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from schemas.errors import SparkFailed


def job_log(folder: Path, job: str) -> Path:
    """Returns the path of a job's log in the data folder, in a folder that exists."""
    path = folder / "logs" / f"{job}.log"
    path.parent.mkdir(parents=True, exist_ok=True)
    return path


@contextmanager
def trace_in(log: Path) -> Iterator[None]:
    """Writes the trace of a failure of Spark to the log. The error that goes on is one sentence that names the log."""
    try:
        yield
    except SparkFailed as error:
        with log.open("a") as file:
            file.write(error.trace)
        raise SparkFailed(f"{error}; the trace is in {log}") from None
