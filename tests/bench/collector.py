"""Events per second of the collector, acknowledged by Kafka, compared with a bare confluent-kafka producer of the same bytes."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import aiohttp
import orjson
from confluent_kafka import Producer

from schemas.configuration import site
from schemas.log import topics
from schemas.log.topics import partition_of, topic_name
from tests.bench.load import closed_loop
from tests.bench.results import Figures, percentiles
from tests.bench.system import processes, servers

SECONDS = 8.0
CONNECTIONS = 32
BATCH = 100
_JSON = {"Content-Type": "application/json"}


def measure() -> Figures:
    figures: dict[str, Any] = {}
    with servers() as (settings, folder), processes(settings, folder, workers=0) as running:
        topic = topic_name(topics.EVENTS, site.topic_prefix(settings.prefix))
        bare = []
        for size in (1, BATCH):
            bare.append(_bare(settings.kafka, topic))
            load = asyncio.run(closed_loop(_post(running.collector, size), CONNECTIONS if size == 1 else 8, SECONDS))
            name = "single" if size == 1 else f"batches_of_{BATCH}"
            figures[f"{name}_events_per_second"] = round(load.rate * size)
            figures |= {f"{name}_{key}": value for key, value in percentiles(load.seconds).items() if key != "count"}
        bare.append(_bare(settings.kafka, topic))
    figures["bare_producer_events_per_second"] = round(sum(bare) / len(bare))
    figures["batches_share_of_bare"] = round(
        figures[f"batches_of_{BATCH}_events_per_second"] / (sum(bare) / len(bare)), 3
    )
    return Figures("cluster", figures)


def _event(number: int) -> dict[str, Any]:
    return {
        "type": "click",
        "user_id": f"user-{number % 5_000}",
        "item_id": f"item-{number % 2_000}",
        "session_id": "s",
    }


def _post(collector: str, size: int) -> Any:
    bodies = [orjson.dumps([_event(n * size + k) for k in range(size)]) for n in range(64)]

    async def post(session: aiohttp.ClientSession, number: int) -> None:
        async with session.post(f"{collector}/v1/events", data=bodies[number % 64], headers=_JSON) as answered:
            assert answered.status == 202, await answered.text()

    return post


def _bare(kafka: str, topic: str) -> float:
    """Returns events per second of a loop around ``produce`` with the collector's guarantees, until all are acknowledged."""
    producer = Producer({"bootstrap.servers": kafka, "acks": "all", "enable.idempotence": True, "linger.ms": 2})
    value = orjson.dumps(_event(1) | {"event_id": "x" * 36, "occurred_at": "x" * 27, "received_at": "x" * 27})
    keys = [f"user-{n}".encode() for n in range(5_000)]
    done = 0
    begun = time.perf_counter()
    while (elapsed := time.perf_counter() - begun) < SECONDS / 2:
        for key in keys:
            producer.produce(topic, value, key, partition_of(key))
            done += 1
        while len(producer) > 50_000:
            producer.poll(0.01)
        producer.poll(0)
    producer.flush(30)
    elapsed = time.perf_counter() - begun
    return done / elapsed
