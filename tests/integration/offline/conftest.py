"""Spark, started once for this folder's tests, with what it needs to read Kafka."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from deploy.local import jars
from deploy.local.config import default_jars
from deploy.local.errors import StackError
from offline.engines.spark_session import session
from schemas.errors import ServerMissing

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

SMALL = {"spark.sql.shuffle.partitions": "2"}
"""As many as cores: a task costs more than what is in it."""


@pytest.fixture(scope="session")
def spark() -> Iterator[SparkSession]:
    """A session of two local cores."""
    try:
        folder = Path(jars.classpath("spark", default_jars(), print)).parent
        started = session("tests", [str(path) for path in sorted(folder.glob("*.jar"))], settings=SMALL)
    except (StackError, ServerMissing) as error:
        if os.environ.get("FRESHET_REQUIRE_STACK") == "1":
            pytest.fail(f"FRESHET_REQUIRE_STACK=1, but {error}")
        pytest.skip(str(error))
    yield started
    started.stop()
