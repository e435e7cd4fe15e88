"""A collector does not take events for a log that may lose them."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from schemas.log import topics
from tests.e2e.systems import free_port

pytestmark = pytest.mark.stack


def test_a_collector_ends_with_one_sentence_where_accepted_events_could_be_lost(kafka_servers, site, tmp_path):
    from confluent_kafka.admin import AdminClient, NewTopic

    admin, name = AdminClient({"bootstrap.servers": kafka_servers}), f"{site}.{topics.EVENTS}"
    admin.create_topics([NewTopic(name, 8, 1, config={"cleanup.policy": "compact"})])[name].result(timeout=20)
    environment = {
        "FRESHET_STACK": "cluster",
        "FRESHET_KAFKA": kafka_servers,
        "FRESHET_PREFIX": site,
        "FRESHET_DATA": str(tmp_path),
        "FRESHET_COLLECTOR_PORT": str(free_port()),
    }
    ended = subprocess.run(
        [sys.executable, "-m", "ingest.main"],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert ended.returncode == 1, ended.stderr
    sentence = ended.stderr.strip().splitlines()[-1]
    assert sentence.startswith(f"The collector cannot start: {name} has cleanup.policy=compact, not delete")
    assert "FRESHET_DURABILITY=single to accept that" in sentence
