"""A collector whose Kafka is gone says so at once, and takes events again by itself."""

from __future__ import annotations

import json
import subprocess
import sys
import time

import pytest

from deploy.local import stack as servers
from schemas.log import topics
from tests.e2e.systems import call, free_port

pytestmark = [pytest.mark.stack, pytest.mark.slow]
KNOWN_SECONDS = 20.0
"""Until Kafka is known to be silent: an entry's ten seconds, and a look, on a busy machine."""


@pytest.fixture
def collector(cluster, tmp_path):
    """The address of a collector process on the faults' Kafka."""
    port = free_port()
    environment = {
        **cluster.environment,
        "FRESHET_STACK": "cluster",
        "FRESHET_COLLECTOR_PORT": str(port),
        "FRESHET_DATA": str(tmp_path),
    }
    with (tmp_path / "collector.log").open("wb") as out:
        process = subprocess.Popen([sys.executable, "-m", "ingest.main"], env=environment, stdout=out, stderr=out)
    url = f"http://127.0.0.1:{port}"
    try:
        wait_until(lambda: post(url, "first")[0] == 202, 60)
        yield url
    finally:
        process.terminate()
        process.wait(30)


def wait_until(holds, seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.1)


def post(url: str, event_id: str) -> tuple[int, float]:
    """The status of an event and the seconds that it took; 0 where nobody listens."""
    began = time.monotonic()
    event = {"type": "view", "user_id": "ann", "item_id": "portal-2", "event_id": event_id}
    try:
        status, _ = call(f"{url}/v1/events", event)
    except OSError:
        status = 0
    return status, time.monotonic() - began


def ids_on_the_log(cluster) -> list[str]:
    reader = cluster.reader()
    records = [
        record
        for partition in range(topics.DEFAULT_PARTITIONS)
        for record in reader.read(topics.EVENTS, partition, 0, 10_000)
    ]
    return [json.loads(record.value)["event_id"] for record in records]


def test_with_kafka_gone_events_are_refused_within_a_second_and_taken_again_when_it_is_back(collector, cluster):
    servers.kill(cluster.config, "kafka")
    acknowledged, quickly_refused, until = ["first"], [], time.monotonic() + KNOWN_SECONDS
    number = 0
    while len(quickly_refused) < 20:
        number += 1
        status, seconds = post(collector, f"e{number}")
        assert status == 503
        if seconds < 1.0:
            quickly_refused.append(f"e{number}")
        else:
            assert not quickly_refused, f"{seconds:.1f} s, although Kafka was known to be silent"
        assert time.monotonic() < until
    servers.start(cluster.config, ["kafka"])
    wait_until(lambda: post(collector, "after")[0] == 202, 60)
    for number in range(50):
        status, _ = post(collector, f"late{number}")
        assert status == 202
        acknowledged.append(f"late{number}")
    stored = ids_on_the_log(cluster)
    assert {*acknowledged} <= {*stored}
    assert not {*quickly_refused} & {*stored}
