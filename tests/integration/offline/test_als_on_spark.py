"""ALS on Spark cuts its lineage, and a failure of Spark is one sentence."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("pyspark")

ROOT = Path(__file__).resolve().parents[3]

PROGRAM = """
import sys
import numpy as np, scipy.sparse as sp
from offline.data.dataset import Interactions
from offline.engines.engine import SparkEngine
from offline.engines.options import SparkOptions, TrainingOptions
from offline.training.parameters import AlsParameters
from schemas.errors import ServerMissing
from schemas.offline.manifest import DataWindow

def quiet(*_): ...
def ids(letter, count): return tuple(f"{letter}{number}" for number in range(count))

stack, interval, iterations, trainings = sys.argv[1], *map(int, sys.argv[2:5])
matrix = sp.random(200, 60, 0.1, format="csr", dtype=np.float32, random_state=5)
interactions = Interactions(ids("u", 200), ids("i", 60), matrix, DataWindow(interactions=matrix.nnz, users=200, items=60), {})
engine = SparkEngine(SparkOptions(stack=stack, checkpoint_interval=interval))
try:
    for number in range(trainings):
        als = engine.als(interactions, TrainingOptions(als=AlsParameters(factors=4, iterations=iterations)), quiet)
        assert np.isfinite(als.item_factors).all() and als.item_factors.any()
        print("trained", number, flush=True)
except ServerMissing as error:
    print("missing:", error)
finally:
    engine.close()
"""


def train(stack: str, interval: int, iterations: int, trainings: int) -> subprocess.CompletedProcess[str]:
    """Trains in a Python process of its own, because the stack of a Java process is set when it starts."""
    arguments = [stack, *map(str, (interval, iterations, trainings))]
    ended = subprocess.run(
        [sys.executable, "-c", PROGRAM, *arguments], cwd=ROOT, capture_output=True, text=True, timeout=900, check=False
    )
    if "missing:" in ended.stdout:
        pytest.skip(ended.stdout)
    return ended


@pytest.mark.slow
@pytest.mark.stack
@pytest.mark.timeout(900)
def test_a_hundred_iterations_pass_with_a_stack_of_512_kib():
    ended = train("512k", interval=3, iterations=100, trainings=1)
    assert ended.stdout.splitlines() == ["trained 0"], ended.stderr[-2_000:]


@pytest.mark.slow
@pytest.mark.stack
@pytest.mark.timeout(900)
def test_twenty_trainings_in_a_row_pass():
    ended = train("4m", interval=3, iterations=15, trainings=20)
    assert ended.stdout.splitlines() == [f"trained {number}" for number in range(20)], ended.stderr[-2_000:]


@pytest.mark.slow
@pytest.mark.stack
@pytest.mark.timeout(900)
def test_a_failure_of_spark_is_one_sentence():
    ended = train("512k", interval=1_000, iterations=200, trainings=1)
    last = ended.stderr.splitlines()[-1]
    assert last.startswith("schemas.errors.SparkFailed: Spark failed at training als (")
    assert "FRESHET_SPARK_STACK" in last or "--engine single" in last
