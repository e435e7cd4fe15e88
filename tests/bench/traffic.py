"""A synthetic site and its traffic: many visits at the same time, of a few events each. It is the same in every run."""

from __future__ import annotations

import random
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from confluent_kafka import Producer

from schemas.configuration import site
from schemas.events import LoggedEvent
from schemas.log import topics
from schemas.log.codec import encode_event
from schemas.log.topics import partition_of, topic_name

JSON: Final = {"Content-Type": "application/json"}
USERS: Final = 100_000
ITEMS: Final = 50_000
VISITS: Final = 2_000
"""Number of visits at the same time."""
SHOWN: Final = 10
_UNSENT: Final = 50_000
"""Events that the producer may hold. It refuses events above twice this number."""
_TASTES: Final = 400
"""Number of groups of users. The users of a group like the same part of the catalogue."""
_TYPES: Final = {"view": 55, "click": 20, "impression": 10, "search": 5, "like": 5, "cart": 3, "purchase": 2}
_WORDS: Final = ("red", "blue", "small", "warm", "light", "wool", "cotton", "shirt", "shoes", "coat", "hat", "bag")
_COUNTRIES: Final = ("DE", "FR", "US", "GB", "NL", "SE", "JP", "BR")
_DEVICES: Final = ("phone", "desktop", "tablet")


def events(seed: int) -> Iterator[dict[str, Any]]:
    """Yields events as frontends send them, without ids and times. A visit has about ten events; few users come often."""
    rng = random.Random(seed)
    visits = [_visit(rng, number) for number in range(VISITS)]
    number = VISITS
    kinds, weights = list(_TYPES), list(_TYPES.values())
    while True:
        place = rng.randrange(VISITS)
        yield _event(rng, visits[place], rng.choices(kinds, weights)[0])
        if rng.random() < 0.1:
            visits[place] = _visit(rng, number)
            number += 1


def catalogue() -> Iterator[dict[str, Any]]:
    """Yields each item as the collector takes it: a title, about thirty words out of eight thousand, a category, a price."""
    rng = random.Random(ITEMS)
    for number in range(ITEMS):
        words = [f"word{int(8_000 ** rng.random())}" for _ in range(34)]
        yield {
            "item_id": f"item-{number}",
            "title": " ".join(words[:4]),
            "description": " ".join(words[4:]),
            "categories": [f"category {number * _TASTES // ITEMS}"],
            "price": round(rng.uniform(1, 100), 2),
        }


def people(count: int, seed: int) -> list[str]:
    """Returns the users of ``count`` successive visits. Active users come more often."""
    rng = random.Random(seed)
    return [_person(rng) for _ in range(count)]


def produce(kafka: str, prefix: str, count: int, seed: int, now: datetime | None = None) -> None:
    """Writes this number of events to the log as the collector does. Their times are 100 per second, up to now."""
    producer = Producer(
        {"bootstrap.servers": kafka, "acks": "all", "enable.idempotence": True, "linger.ms": 5, "log_level": 0}
    )
    topic, now = topic_name(topics.EVENTS, site.topic_prefix(prefix)), now or datetime.now(UTC)
    for number, body in zip(range(count), events(seed), strict=False):
        at = now - timedelta(seconds=(count - number) / 100)
        event = LoggedEvent(event_id=f"{seed:08x}-{number:08x}", occurred_at=at, received_at=at, **body)
        key = event.partition_key.encode()
        producer.produce(topic, encode_event(event), key, partition_of(key, topics.DEFAULT_PARTITIONS))
        producer.poll(0)
        while len(producer) >= _UNSENT:
            producer.poll(0.01)
    producer.flush(60)


def _visit(rng: random.Random, number: int) -> dict[str, Any]:
    return {
        "user_id": _person(rng),
        "session_id": f"visit-{number}",
        "context": {"country": rng.choice(_COUNTRIES), "device": rng.choice(_DEVICES)},
    }


def _person(rng: random.Random) -> str:
    return f"user-{int(USERS * rng.random() ** 2)}"


def _event(rng: random.Random, visit: dict[str, Any], kind: str) -> dict[str, Any]:
    if kind == "search":
        return {**visit, "type": kind, "query": " ".join(rng.sample(_WORDS, 2))}
    if kind == "impression":
        shown = list(dict.fromkeys(_item(rng, visit) for _ in range(SHOWN)))
        return {**visit, "type": kind, "impression": shown, "recommendation_id": f"{rng.getrandbits(64):016x}"}
    return {**visit, "type": kind, "item_id": _item(rng, visit)}


def _item(rng: random.Random, visit: dict[str, Any]) -> str:
    """Draws an item, by Zipf's law. Seven of ten items are of the user's own part of the catalogue."""
    width = ITEMS // _TASTES
    if rng.random() < 0.7:
        taste = int(visit["user_id"][5:]) % _TASTES
        return f"item-{taste * width + int(width ** rng.random()) - 1}"
    return f"item-{(int(ITEMS ** rng.random()) - 1) * 7_919 % ITEMS}"
